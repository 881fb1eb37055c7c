"""The names of the metrics: what a profile may ask for and how a table shows them. Light: every front imports it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lab.errors import UsageError
from lab.text import did_you_mean, sanitize


@dataclass(frozen=True)
class MetricName:
    """How one metric is written. `unit` is "fraction" (0 to 1), "perplexity" or "bits/byte"."""

    name: str
    label: str
    unit: str = "fraction"
    higher_is_better: bool = True


METRIC_NAMES: dict[str, MetricName] = {
    entry.name: entry
    for entry in (
        MetricName("bleu", "BLEU"),
        MetricName("chrf", "chrF"),
        MetricName("rouge1", "ROUGE-1"),
        MetricName("rouge2", "ROUGE-2"),
        MetricName("rougeL", "ROUGE-L"),
        MetricName("rougeLsum", "ROUGE-Lsum"),
        MetricName("exact_match", "exact match"),
        MetricName("token_f1", "token F1"),
        MetricName("json_match", "JSON match"),
        MetricName("accuracy", "accuracy"),
        MetricName("macro_f1", "macro F1"),
        MetricName("bertscore", "BERTScore"),
        MetricName("perplexity", "perplexity", "perplexity", higher_is_better=False),
        MetricName("bits_per_byte", "bits per byte", "bits/byte", higher_is_better=False),
    )
}

LIKELIHOOD: tuple[str, ...] = ("perplexity", "bits_per_byte")
"""Metrics of a model's probabilities: a text alone has none."""

FAMILIES: dict[str, tuple[str, ...]] = {"rouge": ("rouge1", "rouge2", "rougeL", "rougeLsum")}

JUDGED: dict[str, MetricName] = {
    entry.name: entry
    for entry in (MetricName("win_rate", "win rate"), MetricName("win_rate_lc", "length-controlled win rate"))
}
"""Metrics that a judge's verdicts give, not the answers alone."""


def expand(names: Iterable[str]) -> list[str]:
    """Return the metrics that `names` ask for, families opened, each once, in the order asked for.

    Raises:
        UsageError: no metric is called that, or it needs a judge.
    """
    found: dict[str, None] = {}
    for name in names:
        found.update(dict.fromkeys(_members(name)))
    return list(found)


def _members(name: str) -> tuple[str, ...]:
    if name in METRIC_NAMES:
        return (name,)
    if name in FAMILIES:
        return FAMILIES[name]
    shown = sanitize(name, newlines=False, limit=80)
    if name in JUDGED:
        raise UsageError(f"The metric '{shown}' needs a judge.", "Take it out of `evaluate.metrics`; see `lab judge`.")
    known = [*METRIC_NAMES, *FAMILIES]
    in_any_case = {option.lower(): option for option in known}.get(name.lower(), name)
    raise UsageError(
        f"There is no metric '{shown}'.{did_you_mean(in_any_case, known)}",
        f"Name some of {', '.join(known)} in `evaluate.metrics`.",
    )
