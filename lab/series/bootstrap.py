"""The bootstrap that `lab.scoring` and `lab.compare` share: resampled sums of per-row statistics.

A metric that is a function of summed statistics (a mean, a ratio, corpus BLEU, macro F1) needs its text read once; a
resample is then a row of weights times those statistics. Percentile bootstrap: Efron and Tibshirani, An Introduction
to the Bootstrap, 1993, chapter 13. numpy is loaded on the first call only.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]
    Integers: TypeAlias = NDArray[np.int64]

Key = TypeVar("Key", bound=Hashable)

LEVEL = 0.95
_CELLS = 250_000  # of one chunk of weights: 2 MB, which stay in a processor's cache while all metrics use them


@dataclass(frozen=True)
class Sparse:
    """Statistics with few non-zero columns a row, as confusion counts over thousands of classes are.

    Row i adds `values[i, m]` to column `columns[i, m]`; both (rows, m). `width` is the number of columns.
    """

    columns: Integers
    values: Floats
    width: int


@dataclass(frozen=True)
class Sample:
    """What one metric knows about one set of answers.

    `statistics` is (rows, k); `aggregate` maps sums (..., k) to values (...), NaN where a sum leaves it undefined.
    """

    statistics: Floats | Sparse
    aggregate: Callable[[Floats], Floats]


def sums(statistics: Floats | Sparse, weights: Floats) -> Floats:
    """Return the statistics summed under each row of weights: (n, rows) -> (n, k)."""
    import numpy as np

    if not isinstance(statistics, Sparse):
        return np.asarray(weights @ statistics, dtype=np.float64)
    columns = statistics.columns.ravel()
    return np.stack(
        [
            np.bincount(columns, (weight[:, None] * statistics.values).ravel(), minlength=statistics.width)
            for weight in weights
        ]
    )


def value(sample: Sample) -> float:
    """Return the metric on the rows as they are."""
    import numpy as np

    source = sample.statistics.values if isinstance(sample.statistics, Sparse) else sample.statistics
    return float(sample.aggregate(sums(sample.statistics, np.ones((1, len(source)))))[0])


def units(groups: Sequence[str]) -> list[int]:
    """Return the number of each row's resampling unit: rows of one group share it, rows without a group stand alone."""
    numbers: dict[str, int] = {}
    result: list[int] = []
    count = 0
    for group in groups:
        number = numbers.setdefault(group, count) if group else count
        count += number == count
        result.append(number)
    return result


def weights(groups: Sequence[str], resamples: int, seed: int) -> Iterator[Floats]:
    """Yield, in chunks (n, rows), how often each row occurs in each resample of as many units as there are.

    The same groups and seed give the same resamples, so samples drawn with them are paired.
    """
    import numpy as np

    unit = np.asarray(units(groups), dtype=np.int64)
    count = int(unit.max()) + 1
    generator = np.random.default_rng(seed)
    chunk = max(1, _CELLS // len(unit))
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        drawn = generator.integers(0, count, (size, count)) + np.arange(size)[:, None] * count
        times = np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)
        yield times[:, unit].astype(np.float64)


def distributions(
    samples: Mapping[Key, Sample], groups: Sequence[str], *, resamples: int, seed: int
) -> dict[Key, Floats]:
    """Return the value of every sample on the same resamples, each (resamples,); NaN where one is undefined."""
    import numpy as np

    parts: dict[Key, list[Floats]] = {key: [np.empty(0)] for key in samples}
    if samples and groups:
        for drawn in weights(groups, resamples, seed):
            # Each alone: one product for all would be faster, and its last digits would depend on what else was asked.
            for key, sample in samples.items():
                parts[key].append(sample.aggregate(sums(sample.statistics, drawn)))
    return {key: np.concatenate(values) for key, values in parts.items()}


def taken(sample: Sample, rows: Sequence[int]) -> Sample:
    """Return the sample with its rows in the order of `rows`."""
    statistics = sample.statistics
    if isinstance(statistics, Sparse):
        chosen: Floats | Sparse = Sparse(statistics.columns[rows], statistics.values[rows], statistics.width)
    else:
        chosen = statistics[rows]
    return Sample(chosen, sample.aggregate)


def percentiles(distribution: Floats) -> tuple[float, float] | None:
    """Return the bounds that hold the middle 95 % of the resamples; undefined ones are left out, None if all are."""
    import numpy as np

    defined = distribution[~np.isnan(distribution)]
    if not len(defined):
        return None
    outside = (1 - LEVEL) / 2
    # Perplexity may overflow to infinity: a bound is then an observed value, since inf - inf cannot be interpolated.
    method: Literal["linear", "nearest"] = "linear" if np.isfinite(defined).all() else "nearest"
    low, high = np.quantile(defined, [outside, 1 - outside], method=method)
    return float(low), float(high)


def interval(
    sample: Sample, groups: Sequence[str], *, resamples: int = 1000, seed: int = 0
) -> tuple[float, float] | None:
    """Return the 95 % percentile interval of one metric, None where fewer than two units leave its spread unknown."""
    if len(set(units(groups))) < 2:
        return None
    return percentiles(distributions({"": sample}, groups, resamples=resamples, seed=seed)[""])
