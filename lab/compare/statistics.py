"""The metrics' per-row statistics of a set of answers, kept in the cache: a table reads each text once, not each time.

Called by the tests of differences, by floor and ceiling, and by samples that are sorted by a metric. A file is found by
the content that it was computed from and by each metric's signature, so nothing in it can be out of date.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab import jsonio
from lab.errors import OutOfSpaceError
from lab.home import cache_root, make_private
from lab.scoring.answers import Answer
from lab.series.bootstrap import Sample, Sparse

if TYPE_CHECKING:
    from lab.series.bootstrap import Floats

WORTH_KEEPING = 300
"""Answers from which on a file is faster than reading the texts again."""

FILES = 200
"""Files that are kept; of more, those that were made first go."""

Tables = dict[str, "Floats"]


def samples_for(answers: Sequence[Answer], names: Sequence[str]) -> dict[str, Sample]:
    """Return what `lab.scoring.metrics.samples_of` returns, from the cache where it is there."""
    from lab.scoring.metrics import METRICS, samples_of

    if len(answers) < WORTH_KEEPING or not names:
        return samples_of(answers, names)
    stems = {name: f"{name} {_short(METRICS[name].signature(answers))}" for name in names}
    path = cache_root() / "scores" / f"{_content(answers)}.npz"
    kept = _read(path)
    missing = [name for name in names if _from(kept, stems[name]) is None]
    if missing:
        for name, sample in samples_of(answers, missing).items():
            kept |= _as_tables(stems[name], sample)
        _write(path, kept)
    found = {name: _from(kept, stems[name]) for name in names}
    return {name: Sample(table, METRICS[name].aggregate) for name, table in found.items() if table is not None}


def _content(answers: Sequence[Answer]) -> str:
    """Return a hash of all that a metric reads of the answers; ids and groups are not among it."""
    rows = [
        [a.references, a.scored, a.nll, a.nll_tokens, a.reference_bytes, a.bertscore, a.bertscore_by] for a in answers
    ]
    return _short(jsonio.dumps(rows), 32)


def _short(text: str, digits: int = 16) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:digits]


def _as_tables(stem: str, sample: Sample) -> Tables:
    import numpy as np

    statistics = sample.statistics
    if not isinstance(statistics, Sparse):
        return {stem: statistics}
    return {
        f"{stem} columns": statistics.columns.astype(np.float64),
        f"{stem} values": statistics.values,
        f"{stem} width": np.array([statistics.width], dtype=np.float64),
    }


def _from(kept: Tables, stem: str) -> Floats | Sparse | None:
    import numpy as np

    if stem in kept:
        return kept[stem]
    parts = [kept.get(f"{stem} {part}") for part in ("columns", "values", "width")]
    if parts[0] is None or parts[1] is None or parts[2] is None:
        return None
    return Sparse(parts[0].astype(np.int64), parts[1], int(parts[2][0]))


def _read(path: Path) -> Tables:
    """Return what the file holds; a missing or damaged one holds nothing, and is written anew."""
    import numpy as np

    try:
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return {}


def _write(path: Path, tables: Tables) -> None:
    """Replace the file; a cache that cannot be written costs time and nothing else."""
    import numpy as np

    with contextlib.suppress(OSError, OutOfSpaceError):
        make_private(path.parent)
        handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            arrays: Any = tables
            np.savez_compressed(file, **arrays)
        Path(scratch).replace(path)
        ages = sorted(path.parent.glob("*.npz"), key=lambda found: found.stat().st_mtime)
        for old in ages[:-FILES]:
            old.unlink(missing_ok=True)
