"""From the profile's sources to drawn rows, without a tokenizer. Called by `prepare`, `lab plan` and `lab fetch`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.data import tally as reasons
from lab.data.cleaning import dedupe, problem, until_last_answer
from lab.data.columns import ID, check_group, columns_of, fields_of, pick_format, shown
from lab.data.fields import Exchange, FormatError
from lab.data.formats import FORMATS
from lab.data.meta import Cuts, without_meta
from lab.data.own import draw_bundled, draw_official, official_splits
from lab.data.rows import SPLITS, Row, group_name
from lab.data.sources import check_sources, commits_of, labels, raw_rows, source_kind
from lab.data.splits import Draw, draw, leaked
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
    commits: Sequence[str | None]


def read_rows(data: Data, commits: Sequence[str | None] = ()) -> Drawn:
    """Read, clean and split the rows of every source.

    Args:
        commits: of each hub data set, where it is known; that one is read.

    Raises:
        LabError: a source cannot be read, its columns fit no format, or it has fewer rows than are asked for.
    """
    check_sources(data)
    reading = _Reading(data, set() if "dedupe" in data.clean else None, commits or [None] * len(data.source))
    splits: dict[str, list[Row]] = {name: [] for name in SPLITS}
    tallies = []
    for index, label in enumerate(labels(data.source)):
        tally, drawn = _read_source(reading, index, label)
        tallies.append(tally)
        for name in SPLITS:
            splits[name] += getattr(drawn, name)
    result = Drawn(splits, tallies, sum(t.unasked for t in tallies), sum(len(rows) for rows in splits.values()))
    _drop_leaked(result, grouped=bool(data.group_by))
    return result


def read_test_set(source: Source, seed: int = 0) -> tuple[list[Row], Tally]:
    """Read every usable row of a source that is all for testing, its own test split where it has one.

    Args:
        seed: of the rows of a set that is only streamed.

    Raises:
        LabError: the source cannot be read, or its columns fit no format.
    """
    data = Data(source=[source])
    (commit,) = commits_of(data)
    reading, (label,) = _Reading(data, None, [commit]), labels(data.source)
    tally = Tally(label, shown(source.name), source.format, "", 0, commit=commit)
    raws = raw_rows(0, source, "test" if source_kind(source) == "bundled" else source.split, seed=seed, commit=commit)
    pool = _pool(reading, 0, tally, raws)
    official = official_splits(raws, FORMATS[tally.format], source)
    where = dict(zip(_ids(raws, source, label), official, strict=True)) if official else {}
    return [row for row in pool if where.get(row.id, "test") == "test"], tally


def _drop_leaked(drawn: Drawn, *, grouped: bool) -> None:
    gone = list(leaked(drawn.splits, grouped=grouped))
    for _, row in gone:
        drawn.tally(row).drop(reasons.LEAKED, row.id)
    for name in SPLITS:
        lost = {row.id for split, row in gone if split == name}
        drawn.splits[name] = [row for row in drawn.splits[name] if row.id not in lost]


def _read_source(reading: _Reading, index: int, label: str) -> tuple[Tally, Draw]:
    source, seed = reading.data.source[index], reading.data.seed
    tally = Tally(label, shown(source.name), source.format, "", 0, commit=reading.commits[index])
    tally.cuts = Cuts() if "meta-instructions" in reading.data.clean else None
    if source_kind(source) == "bundled":
        pools = {split: _pool(reading, index, tally, raw_rows(index, source, split)) for split in SPLITS}
        _check_pools(index, tally, source, pools)
        return tally, draw_bundled(pools, source, seed)
    raws = raw_rows(index, source, source.split, seed=seed, commit=tally.commit)
    pool = _pool(reading, index, tally, raws)
    official = official_splits(raws, FORMATS[tally.format], source)
    if official:
        where = dict(zip(_ids(raws, source, label), official, strict=True))
        return tally, _draw_official(reading, index, tally, pool, where)
    drawn = draw(pool, source.train, source.validation, source.test, seed)
    _set_aside(tally, drawn)
    _check_enough(index, tally, source.train + source.validation + source.test, len(pool) - len(drawn.aside))
    return tally, drawn


def _draw_official(reading: _Reading, index: int, tally: Tally, pool: list[Row], where: Mapping[str, str]) -> Draw:
    """Draw from the splits that rows name themselves; `where` tells each row's by its id."""
    source = reading.data.source[index]
    pools = {split: [row for row in pool if where[row.id] == split] for split in SPLITS}
    tally.saw += ", official splits by their rows"
    drawn = draw_official(pools, source, reading.data.seed)
    _set_aside(tally, drawn)
    _check_pools(index, tally, source, pools, aside=len(drawn.aside))
    return drawn


def _set_aside(tally: Tally, drawn: Draw) -> None:
    for row in drawn.aside:
        tally.drop(reasons.GROUPED if row.group else reasons.HELD_OUT, row.id)


def _check_pools(index: int, tally: Tally, source: Source, pools: Mapping[str, list[Row]], aside: int = 0) -> None:
    asked = {name: getattr(source, name) for name in SPLITS}
    there = {name: len(pools[name]) for name in SPLITS}
    if not there["validation"]:  # then they come from the train split
        asked["train"], asked["validation"] = asked["train"] + asked["validation"], 0
    there["train"] -= aside
    for name in SPLITS:
        _check_enough(index, tally, asked[name], there[name], f" in its {name} split")


def _check_enough(index: int, tally: Tally, asked: int, there: int, where: str = "") -> None:
    if asked > there:
        told = f" (dropped: {tally.told})" if tally.dropped else ""
        raise DataError(
            f"data.source.{index} asks for {asked:,} rows, but {tally.name} has {there:,} usable ones{where}{told}.",
            f"Lower data.source.{index}.train, validation or test.",
        )


def _pool(reading: _Reading, index: int, tally: Tally, raws: Sequence[Any]) -> list[Row]:
    """Return the usable rows of a source or of one split of it, counting the others."""
    source = reading.data.source[index]
    tally.read += len(raws)
    if not any(isinstance(raw, Mapping) for raw in raws):
        raise DataError(f"{tally.name} holds no objects.", "Write each row as an object with named columns.")
    present = columns_of(raws)
    tally.format, tally.saw = pick_format(index, source, present)
    check_group(reading.data.group_by, source, present)
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
    form = FORMATS[tally.format]
    try:
        if not isinstance(raw, Mapping):
            raise FormatError("it is no object")
        said: Exchange = form.read(fields_of(raw, source.columns))
    except FormatError as error:
        tally.drop(reasons.NOT_A_ROW, f"{key}: {error}")
        return None
    reason = problem(said.messages, reading.data.train_on)
    if reason:
        tally.drop(reason, key)
        return None
    messages = until_last_answer(said.messages)
    if tally.cuts is not None and not form.asks:
        messages = without_meta(messages, key, tally.cuts)
    group = _group(raw, source, reading.data.group_by)
    return Row(key, tuple(messages), group, tally.label, said.alternatives, form.plain)


def _group(raw: Mapping[str, Any], source: Source, group_by: str) -> str:
    """Return what the row shares with others; rows without it are alone."""
    field = group_by or (BUNDLED_GROUP if source_kind(source) == "bundled" else "")
    value = raw.get(field) if field else None
    return "" if value is None else group_name(value)
