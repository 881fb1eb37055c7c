"""Which columns a source has, which format they make, and what the profile calls them. Called by `read`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab.data.fields import Fields, Format
from lab.data.formats import FORMATS
from lab.errors import DataError
from lab.profile.schema import Source
from lab.text import did_you_mean, sanitize

ID = "id"


def columns_of(raws: Sequence[Any]) -> list[str]:
    """Return every column that some raw row has, in order of appearance."""
    return list(dict.fromkeys(name for raw in raws if isinstance(raw, Mapping) for name in raw))


def pick_format(index: int, source: Source, present: Sequence[str]) -> tuple[str, str]:
    """Return the source's format and, for people, what it was chosen by.

    Args:
        index: the source's place in `data.source`, for messages.
        present: the columns of the raw rows.

    Raises:
        DataError: the columns fit no format, or lack one that the profile names.
    """
    absent = next((theirs for theirs in source.columns.values() if theirs not in present), None)
    if absent is not None:
        raise _no_column(index, source, absent, present)
    if source.format == "auto":
        return _detect(index, source, present)
    form = FORMATS[source.format]
    _check_map(index, source, form)
    missing = next((name for name in form.required if name not in {*present, *source.columns}), None)
    if missing is not None:
        raise _no_column(index, source, missing, present)
    return source.format, "the profile"


def fields_of(raw: Mapping[str, Any], mapping: Mapping[str, str]) -> Fields:
    """Return a raw row under the format's own column names."""
    return {**raw, **{own: raw.get(theirs) for own, theirs in mapping.items()}} if mapping else raw


def check_group(group_by: str, source: Source, present: Sequence[str]) -> None:
    """Raise DataError where no row of the source has the field by which rows are to be grouped."""
    if group_by and group_by not in present:
        raise DataError(
            f"{shown(source.name)} has no column '{shown(group_by)}' to group by; it has {_listed(present)}."
            f"{did_you_mean(group_by, present)}",
            "Set data.group_by to a column that every source has.",
        )


def _detect(index: int, source: Source, present: Sequence[str]) -> tuple[str, str]:
    known = {*present, *source.columns}
    for name, form in FORMATS.items():
        if known.issuperset(form.required):
            _check_map(index, source, form)
            return name, "columns " + ", ".join(column for column in form.columns if column in known)
    shapes = "; ".join(f"{name}: {', '.join(form.required)}" for name, form in FORMATS.items())
    own = [column for form in FORMATS.values() for column in form.required]
    odd = [column for column in present if column not in own]  # a right name needs no better one
    hint = next((h for column in odd if (h := did_you_mean(column.lower(), own))), "")
    raise DataError(
        f"The columns of {shown(source.name)} ({_listed(present)}) fit no format ({shapes}).{hint}",
        f'Set data.source.{index}.format and map the columns: data.source.{index}.columns = {{output = "..."}}.',
    )


def _check_map(index: int, source: Source, form: Format) -> None:
    unknown = next((own for own in source.columns if own not in (*form.columns, ID)), None)
    if unknown is not None:
        raise DataError(
            f"data.source.{index}.columns names '{shown(unknown)}', which is no column of the format."
            f"{did_you_mean(unknown, form.columns)}",
            f"Write it as format's column = the data's column; the format has: {', '.join((*form.columns, ID))}.",
        )


def _no_column(index: int, source: Source, name: str, present: Sequence[str]) -> DataError:
    return DataError(
        f"{shown(source.name)} has no column '{shown(name)}'; it has {_listed(present)}.{did_you_mean(name, present)}",
        f'Set data.source.{index}.columns to the data\'s names, for example {{{_example(name)} = "..."}}.',
    )


def _example(name: str) -> str:
    own = {column for form in FORMATS.values() for column in form.columns}
    return name if name in own else "output"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(shown(name) for name in names[:12]) + (" ..." if len(names) > 12 else "") or "none"


def shown(name: str) -> str:
    """Return a name from outside for a message."""
    return sanitize(name, newlines=False, limit=120)
