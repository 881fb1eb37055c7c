"""From the profile's sources to drawn rows, without a tokenizer. Called by `prepare`, `lab plan` and `lab fetch`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.data import tally as reasons
from lab.data.cleaning import dedupe, problem, until_last_answer
from lab.data.columns import ID, columns_of, fields_of, pick_format, shown
from lab.data.formats import FORMATS, FormatError
from lab.data.rows import SPLITS, Row
from lab.data.sources import check_sources, labels, raw_rows, source_kind
from lab.data.splits import Draw, draw, leaked, sample
from lab.data.tally import Drawn, Tally
from lab.errors import DataError
from lab.profile.schema import Data, Source

BUNDLED_GROUP = "plan"
"""Field of a bundled set's rows by which they are not independent."""


@dataclass(frozen=True)
class _Reading:
    """What each source is read with; `seen` are the exchanges so far, None where rows are not deduplicated."""

    data: Data
    seen: set[str] | None


def read_rows(data: Data) -> Drawn:
    """Read, clean and split the rows of every source.

    Raises:
        LabError: a source cannot be read, its columns fit no format, or it has fewer rows than are asked for.
    """
    check_sources(data)
    reading = _Reading(data, set() if "dedupe" in data.clean else None)
    splits: dict[str, list[Row]] = {name: [] for name in SPLITS}
    tallies = []
    for index, label in enumerate(labels(data.source)):
        tally, drawn = _read_source(reading, index, label)
        tallies.append(tally)
        for name in SPLITS:
            splits[name] += getattr(drawn, name)
    result = Drawn(splits, tallies, sum(t.unasked for t in tallies), sum(len(rows) for rows in splits.values()))
    _drop_leaked(result)
    return result


def _drop_leaked(drawn: Drawn) -> None:
    gone = list(leaked(drawn.splits))
    for _, row in gone:
        drawn.tally(row).drop(reasons.LEAKED, row.id)
    for name in SPLITS:
        lost = {row.id for split, row in gone if split == name}
        drawn.splits[name] = [row for row in drawn.splits[name] if row.id not in lost]


def _read_source(reading: _Reading, index: int, label: str) -> tuple[Tally, Draw]:
    source = reading.data.source[index]
    tally = Tally(label, shown(source.name), source.format, "", 0)
    if source_kind(source) == "bundled":
        pools = {split: _pool(reading, index, tally, split) for split in SPLITS}
        for name, rows in pools.items():
            _check_enough(index, tally, getattr(source, name), len(rows), f" in its {name} split")
        return tally, _own_splits(reading.data, index, pools)
    pool = _pool(reading, index, tally, source.split)
    asked = source.train + source.validation + source.test
    drawn = draw(pool, source.train, source.validation, source.test, reading.data.seed)
    for row in drawn.aside:
        tally.drop(reasons.HELD_OUT, row.id)
    _check_enough(index, tally, asked, len(pool) - len(drawn.aside))
    return tally, drawn


def _own_splits(data: Data, index: int, pools: dict[str, list[Row]]) -> Draw:
    """Draw each split of a set that has its own; for validation and test a count of 0 means none."""
    source = data.source[index]
    held = {name: sample(pools[name], n, data.seed) if (n := getattr(source, name)) else [] for name in SPLITS[1:]}
    return Draw(sample(pools["train"], source.train, data.seed), held["validation"], held["test"], [])


def _check_enough(index: int, tally: Tally, asked: int, there: int, where: str = "") -> None:
    if asked > there:
        told = f" (dropped: {tally.told})" if tally.dropped else ""
        raise DataError(
            f"data.source.{index} asks for {asked:,} rows, but {tally.name} has {there:,} usable ones{where}{told}.",
            f"Lower data.source.{index}.train, validation or test.",
        )


def _pool(reading: _Reading, index: int, tally: Tally, split: str) -> list[Row]:
    """Return the usable rows of one split of a source, counting the others."""
    source = reading.data.source[index]
    raws = raw_rows(index, source, split)
    tally.read += len(raws)
    if not any(isinstance(raw, Mapping) for raw in raws):
        raise DataError(f"{tally.name} holds no objects.", "Write each row as an object with named columns.")
    tally.format, tally.saw = pick_format(index, source, columns_of(raws))
    ids = _ids(raws, source, tally.label)
    rows = [row for raw, key in zip(raws, ids, strict=True) if (row := _row(raw, key, source, tally, reading))]
    return rows if reading.seen is None else dedupe(rows, reading.seen, tally)


def _ids(raws: Sequence[Any], source: Source, label: str) -> list[str]:
    """Return an id for each raw row: the source's label and the row's own id, or its number where not all have one."""
    column = source.columns.get(ID, ID)
    own = [raw.get(column) if isinstance(raw, Mapping) else None for raw in raws]
    named = [shown(str(value)) for value in own if isinstance(value, str | int) and str(value).strip()]
    if len(set(named)) != len(raws):
        named = [str(number) for number in range(1, len(raws) + 1)]
    return [name if name.startswith(f"{label}-") else f"{label}-{name}" for name in named]


def _row(raw: Any, key: str, source: Source, tally: Tally, reading: _Reading) -> Row | None:
    try:
        if not isinstance(raw, Mapping):
            raise FormatError("it is no object")
        messages = FORMATS[tally.format].read(fields_of(raw, source.columns))
    except FormatError as error:
        tally.drop(reasons.NOT_A_ROW, f"{key}: {error}")
        return None
    reason = problem(messages, reading.data.train_on)
    if reason:
        tally.drop(reason, key)
        return None
    group = str(raw.get(BUNDLED_GROUP, "")) if source_kind(source) == "bundled" else ""
    return Row(key, tuple(until_last_answer(messages)), group, tally.label)
