"""The columns of a table, in the order in which people read them. Called by `table` and the views."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lab.compare.tasks import metric_name
from lab.scoring.names import METRIC_NAMES


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        key: of the metric, or in `Entry.cost`.
        unit: how its values are written (see `lab.compare.views.cells`).
        better: "higher", "lower", or "" where neither is better and nothing is marked.
        shown: whether tables for people have it; those for programs have all.
    """

    key: str
    label: str
    unit: str
    better: str = ""
    quality: bool = False
    shown: bool = True


QUALITY_ORDER = (
    *("json_match", "exact_match", "accuracy", "macro_f1", "token_f1", "bleu", "rougeL", "perplexity"),
    *("rouge1", "rouge2", "rougeLsum", "bits_per_byte"),
)
"""The first tell most at a glance; where room is short, the last go first."""

COST_COLUMNS: tuple[Column, ...] = (
    Column("train_seconds", "train time", "seconds", "lower"),
    Column("tokens_per_second", "train tok/s", "count", "higher"),
    Column("peak_memory_bytes", "peak memory", "bytes", "lower"),
    Column("energy_wh", "Wh", "small", "lower"),
    Column("joules_per_token", "J/token", "small", "lower"),
    Column("mean_watts", "mean W", "watts"),
    Column("trainable_percent", "trained %", "small"),
    Column("artifact_bytes", "artifact", "bytes", "lower"),
    Column("generated_tokens_per_second", "answer tok/s", "count", "higher"),
    Column("first_token_seconds", "first token s", "small", "lower"),
    Column("replayed_seconds", "replayed", "seconds", "lower", shown=False),
    Column("train_tokens", "train tokens", "count", shown=False),
    Column("peak_watts", "peak W", "watts", shown=False),
    Column("energy_total_wh", "total Wh", "small", "lower", shown=False),
    Column("reserved_bytes", "reserved", "bytes", "lower", shown=False),
    Column("nvml_bytes", "GPU memory", "bytes", "lower", shown=False),
    Column("trainable_parameters", "trained", "count", shown=False),
    Column("memory_kind", "memory kind", "text", shown=False),
    Column("energy_method", "energy method", "text", shown=False),
    Column("energy_shared", "energy shared", "text", shown=False),
)


def quality_columns(names: Iterable[str]) -> list[Column]:
    """Return the columns of the metrics in `names`; one that this version does not know comes last, unjudged."""
    found = dict.fromkeys(names)
    known = [name for name in QUALITY_ORDER if name in found]
    known += [name for name in METRIC_NAMES if name in found and name not in known]
    others = sorted(name for name in found if name not in METRIC_NAMES)
    return [_quality_column(name) for name in (*known, *others)]


def _quality_column(name: str) -> Column:
    metric = metric_name(name)
    if metric is None:
        return Column(name, name, "small", quality=True)
    return Column(name, metric.label, metric.unit, "higher" if metric.higher_is_better else "lower", quality=True)
