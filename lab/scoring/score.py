"""From answers to the content of `metrics.json`. Called after generation, and by whoever scores old answers again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.scoring.answers import Answer, counts
from lab.scoring.json_match import json_field_accuracy
from lab.scoring.metrics import METRICS, samples_of
from lab.scoring.names import expand
from lab.series.bootstrap import LEVEL, Sample, distributions, percentiles, units, value

if TYPE_CHECKING:
    from lab.series.bootstrap import Floats

Read = Callable[[Sequence[Answer], Sequence[str]], dict[str, Sample]]

_FEW_TOKENS = 4  # BLEU-4 counts runs of four tokens: a shorter reference has none


def score(
    answers: Sequence[Answer],
    names: Iterable[str],
    *,
    resamples: int = 1000,
    seed: int = 0,
    read: Read = samples_of,
) -> dict[str, Any]:
    """Return the value, the 95 % interval and the signature of each metric, ready for JSON.

    Fractions are 0 to 1. `absent` gives the reason for each metric that these answers cannot have; `low` and `high`
    are None where there are fewer than two units to resample. `notes` warns of values that say little.

    Args:
        read: gives the statistics of each metric; whoever keeps them passes its own.

    Raises:
        UsageError: a name is no metric's.
    """
    wanted = expand(names)
    reasons = {name: METRICS[name].missing(answers) for name in wanted}
    samples = read(answers, [name for name in wanted if reasons[name] is None])
    groups = [answer.group for answer in answers]
    unit_count = len(set(units(groups)))
    spread = distributions(samples, groups, resamples=resamples if unit_count > 1 else 0, seed=seed)
    return {
        "rows": len(answers),
        "counts": counts(answers),
        "metrics": {name: _entry(name, sample, spread[name], answers) for name, sample in samples.items()},
        "json_fields": json_field_accuracy(answers) if "json_match" in samples else {},
        "absent": {name: reason for name, reason in reasons.items() if reason is not None},
        "notes": _notes(samples),
        "interval": {
            "method": "percentile bootstrap",
            "level": LEVEL,
            "resamples": resamples,
            "seed": seed,
            "units": "groups" if any(groups) else "rows",
            "unit_count": unit_count,
        },
    }


def _entry(name: str, sample: Sample, spread: Floats, answers: Sequence[Answer]) -> dict[str, Any]:
    low, high = percentiles(spread) or (None, None)
    return {
        "value": value(sample),
        "low": low,
        "high": high,
        "signature": METRICS[name].signature(answers),
        "rows": len(answers),
    }


def _notes(samples: dict[str, Sample]) -> dict[str, str]:
    statistics = samples["bleu"].statistics if "bleu" in samples else None
    if isinstance(statistics, np.ndarray) and np.median(statistics[:, 1]) < _FEW_TOKENS:
        return {"bleu": "most references have fewer than four tokens: read exact_match and token_f1 first"}
    return {}
