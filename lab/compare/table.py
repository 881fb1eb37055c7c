"""The table of a comparison, as data: rows, columns, the best of each, differences, fairness. Views only draw it.

Called by `lab compare`, `lab study`, `lab demo` and the console's results page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lab.compare.best import best_of, reference_of
from lab.compare.columns import COST_COLUMNS, Column, quality_columns
from lab.compare.deltas import Delta, deltas_to
from lab.compare.entry import Entry, row_labels
from lab.compare.fairness import Finding, compare_fairness, quality_key
from lab.compare.floor import ceiling_entry, floor_entry
from lab.compare.notes import notes_on
from lab.compare.seeds import with_seed_means
from lab.errors import DataError


@dataclass(frozen=True)
class Table:
    """A comparison.

    Attributes:
        best: the ids of the best rows of each column, among rows that may be compared; several where they tie.
        reference: id of the row that the others are tested against; None where no row was evaluated.
        deltas: differences to the reference by (id, metric).
        findings: what stands against comparing these rows.
        notes: sentences about rows and figures.
        signatures: every signature that occurs, with the labels of its metrics.
    """

    entries: tuple[Entry, ...]
    columns: tuple[Column, ...]
    labels: dict[str, str]
    best: dict[str, frozenset[str]]
    reference: str | None
    deltas: dict[tuple[str, str], Delta]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    signatures: dict[str, str]

    @property
    def blocked(self) -> bool:
        """Say whether `--strict` refuses this table."""
        return any(finding.level == "blocking" for finding in self.findings)


def build_table(
    entries: Sequence[Entry], axes: Iterable[str] = (), *, floor: bool = False, tests: bool = True
) -> Table:
    """Compare `entries`, in the order given.

    Args:
        axes: key paths that the study varies on purpose.
        floor: add the rows of shuffled references and of the references themselves.
        tests: test differences to the baseline, else to the first evaluated row: seconds for thousands of rows.

    """
    reference = reference_of(entries)
    with_means = with_seed_means(entries)
    # Whoever trained one row with several seeds has varied the seed on purpose.
    axes = (*axes, *(["train.seed"] if len(with_means) > len(entries) else []))
    rows, missing = _with_bounds(with_means, reference) if floor else (with_means, [])
    labels = row_labels(rows)
    columns = (*quality_columns(name for entry in rows for name in entry.metrics), *COST_COLUMNS)
    deltas, untested = _tested(entries, reference, axes) if tests else ({}, [])
    return Table(
        entries=tuple(rows),
        columns=columns,
        labels=labels,
        best={column.key: best_of(entries, column, reference, axes) for column in columns},
        reference=reference.id if reference else None,
        deltas=deltas,
        findings=tuple(compare_fairness(entries, axes)),
        notes=(*notes_on(rows, labels), *missing, *_untuned(entries), *untested),
        signatures=_signatures(rows, columns),
    )


def _with_bounds(entries: Sequence[Entry], reference: Entry | None) -> tuple[list[Entry], list[str]]:
    """Return the rows between their floor and their ceiling, or the rows alone and a sentence why."""
    if reference is None:
        return [*entries], []
    try:
        return [floor_entry(reference), *entries, ceiling_entry(reference)], []
    except DataError as error:
        return [*entries], [f"There is no floor and no ceiling: {error.problem}"]


def _untuned(entries: Sequence[Entry]) -> list[str]:
    """Return a sentence where evaluated rows lack the model that they began with: no gain can be read off then."""
    evaluated = [entry for entry in entries if entry.metrics]
    if not evaluated or any(entry.method == "baseline" for entry in evaluated):
        return []
    return ["The untuned model is not among these rows: what training gained cannot be read off."]


def _tested(
    entries: Sequence[Entry], reference: Entry | None, axes: Sequence[str]
) -> tuple[dict[tuple[str, str], Delta], list[str]]:
    if reference is None:
        return {}, []
    key = quality_key(reference, axes)
    return deltas_to(reference, [entry for entry in entries if entry.metrics and quality_key(entry, axes) == key])


def _signatures(entries: Sequence[Entry], columns: Sequence[Column]) -> dict[str, str]:
    """Return the metrics' labels for each signature: several metrics may share one, and one may have several."""
    found: dict[str, dict[str, None]] = {}
    for column in columns:
        for entry in entries if column.quality else ():
            if column.key in entry.metrics:
                found.setdefault(entry.metrics[column.key]["signature"], {})[column.label] = None
    return {signature: ", ".join(labels) for signature, labels in found.items()}
