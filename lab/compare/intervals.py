"""Are two runs different? Paired tests on the same rows, and Holm's correction for a table of them.

Called by the comparison table. numpy and the scorers load with the first test, so importing this is light.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from lab.errors import DataError
from lab.scoring.answers import Answer
from lab.scoring.names import expand
from lab.series.bootstrap import Sample, distributions, percentiles, taken, units, value
from lab.text import sanitize

if TYPE_CHECKING:
    from lab.series.bootstrap import Floats

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Difference:
    """How much larger a metric is in the first run, its 95 % interval, and the two-sided p-value of "no difference".

    None where it is unknown: with fewer than two units nothing can be resampled. `test` is "paired bootstrap" or
    "exact McNemar".
    """

    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    rows: int
    test: str = "paired bootstrap"


def differences(
    first: Sequence[Answer], second: Sequence[Answer], names: Iterable[str], *, resamples: int = 10_000, seed: int = 0
) -> dict[str, Difference]:
    """Compare two runs' answers to the same rows on each metric; one that either run cannot have is left out.

    Raises:
        DataError: the runs did not answer the same rows.
        UsageError: a name is no metric's.
    """
    wanted = {"": expand(names)}
    found = differences_to(second, {"": first}, wanted, resamples=resamples, seed=seed)
    return {name: difference for (_, name), difference in found.items()}


def differences_to(
    base: Sequence[Answer],
    others: Mapping[Key, Sequence[Answer]],
    names: Mapping[Key, Sequence[str]],
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> dict[tuple[Key, str], Difference]:
    """Compare several runs' answers with `base` on the metrics named for each; one that either cannot have is left out.

    All runs and metrics share the resamples, so each text is read once and each resample drawn once. Metrics that are
    right or wrong per row get McNemar's exact test instead of the bootstrap's p-value, unless rows share groups, which
    that test cannot know.

    Raises:
        DataError: a run did not answer the same rows as `base`.
    """
    orders = {key: same_rows(base, answers) for key, answers in others.items()}
    groups = [answer.group for answer in base]
    ours = _samples(base, list(dict.fromkeys(name for own in names.values() for name in own)))
    pairs: dict[tuple[Key, str], tuple[Sample, Sample]] = {}
    for key, answers in others.items():
        theirs = _samples(answers, [name for name in names[key] if name in ours])
        pairs |= {(key, name): (taken(sample, orders[key]), ours[name]) for name, sample in theirs.items()}
    found = _paired(pairs, groups, resamples=resamples, seed=seed)
    return {at: _mcnemar_if_binary(at[1], pairs[at], groups, entry) for at, entry in found.items()}


def _samples(answers: Sequence[Answer], names: Sequence[str]) -> dict[str, Sample]:
    from lab.compare.statistics import samples_for
    from lab.scoring.metrics import METRICS

    return samples_for(answers, [name for name in names if METRICS[name].missing(answers) is None])


def paired_difference(
    first: Sample, second: Sample, groups: Sequence[str], *, resamples: int = 10_000, seed: int = 0
) -> Difference:
    """Compare one metric on the same rows of two runs by the paired bootstrap (Koehn, EMNLP 2004, made two-sided)."""
    return _paired({"": (first, second)}, groups, resamples=resamples, seed=seed)[""]


def same_rows(first: Sequence[Answer], second: Sequence[Answer]) -> list[int]:
    """Return where in `second` each row of `first` stands.

    Raises:
        DataError: the ids differ, one occurs twice, or a row has other references or another group.
    """
    places = {answer.id: at for at, answer in enumerate(second)}
    ids = {answer.id for answer in first}
    if len(ids) != len(first) or len(places) != len(second):
        raise DataError("A run's answers hold the same row id twice.", "Generate them again with `lab eval`.")
    if ids != places.keys():
        raise DataError(
            f"The two runs share {len(ids & places.keys()):,} rows, but hold {len(ids):,} and {len(places):,}.",
            "Evaluate both on the same rows: give them the same `data` and `evaluate.rows`, then `lab eval`.",
        )
    for answer in first:
        other = second[places[answer.id]]
        if (other.references, other.group) != (answer.references, answer.group):
            shown = sanitize(answer.id, newlines=False, limit=80)
            raise DataError(
                f"The row '{shown}' has another reference or group in the second run.",
                "Evaluate both runs on the same version of the data with `lab eval`.",
            )
    return [places[answer.id] for answer in first]


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> float:
    """Return McNemar's exact two-sided p-value for right-or-wrong answers to the same rows.

    Only rows where the runs disagree tell them apart: under "no difference" each falls to either side with 1/2.
    """
    gained = sum(bool(a) and not b for a, b in zip(first, second, strict=True))
    lost = sum(bool(b) and not a for a, b in zip(first, second, strict=True))
    trials, fewer = gained + lost, min(gained, lost)
    ways, tail = 1, 0
    for successes in range(fewer + 1):
        tail += ways
        ways = ways * (trials - successes) // (successes + 1)
    return min(1.0, 2 * tail / (1 << trials))


def holm(p_values: Mapping[Key, float]) -> dict[Key, float]:
    """Return the p-values corrected for being one family (Holm, 1979): compare each with 0.05 as if it were alone."""
    adjusted: dict[Key, float] = {}
    largest = 0.0
    for rank, key in enumerate(sorted(p_values, key=lambda key: p_values[key])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[key]))
        adjusted[key] = largest
    return {key: adjusted[key] for key in p_values}


def _paired(
    pairs: Mapping[Key, tuple[Sample, Sample]], groups: Sequence[str], *, resamples: int, seed: int
) -> dict[Key, Difference]:
    samples = {id(sample): sample for pair in pairs.values() for sample in pair}  # a base in many pairs is drawn once
    spread = distributions(samples, groups, resamples=resamples if len(set(units(groups))) > 1 else 0, seed=seed)
    result: dict[Key, Difference] = {}
    for key, (first, second) in pairs.items():
        drawn = spread[id(first)] - spread[id(second)]
        low, high = percentiles(drawn) or (None, None)
        result[key] = Difference(value(first) - value(second), low, high, _p_value(drawn), len(groups))
    return result


def _p_value(differences: Floats) -> float | None:
    """Return twice the share of resamples on the rarer side of zero, one added so that it is never 0.

    It is below 0.05 where the 95 % percentile interval leaves out zero (Efron and Tibshirani, 1993, section 15.4).
    """
    import numpy as np

    defined = differences[~np.isnan(differences)]
    if not len(defined):
        return None
    rarer = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
    return min(1.0, 2 * (rarer + 1) / (len(defined) + 1))


def _mcnemar_if_binary(name: str, pair: tuple[Sample, Sample], groups: Sequence[str], entry: Difference) -> Difference:
    import numpy as np

    from lab.scoring.metrics import METRICS

    if not METRICS[name].binary or any(groups):
        return entry
    first, second = (np.asarray(sample.statistics)[:, 0] > 0 for sample in pair)
    return replace(entry, p_value=mcnemar(first.tolist(), second.tolist()), test="exact McNemar")
