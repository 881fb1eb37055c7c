"""Raw rows of a local JSON, JSONL, CSV or Parquet file. Called by `sources`."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.errors import DataError, NotFoundError
from lab.text import plural, sanitize


def read_file(path: Path) -> list[Any]:
    """Return the raw rows of `path`: plain data that need not be rows yet.

    Raises:
        NotFoundError: the file cannot be read.
        DataError: it is empty, or not what its extension says; the message names the line.
    """
    try:
        rows = READERS[path.suffix.lower()](path)
    except OSError as error:
        raise NotFoundError(f"{_name(path)} cannot be read ({error.strerror}).", "Check its name and mode.") from error
    if not rows:
        raise DataError(f"{_name(path)} holds no rows.", "Name a file with rows in data.source.")
    return rows


def _json(path: Path) -> list[Any]:
    text = _text(path)
    if not text.lstrip().startswith("["):
        return _lines(path, text)
    try:
        rows: list[Any] = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise _not_json(path, _line_of(error), error) from error
    return rows


def _jsonl(path: Path) -> list[Any]:
    return _lines(path, _text(path))


def _lines(path: Path, text: str) -> list[Any]:
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):  # splitlines() would cut at U+2028 inside a string
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except (json.JSONDecodeError, RecursionError) as error:
            raise _not_json(path, number, error) from error
    return rows


def _csv(path: Path) -> list[Any]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # the default refuses cells over 128 KiB
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        header = next(reader, [])
        _check_header(path, header)
        rows = []
        for cells in reader:
            if cells:
                rows.append(_record(path, reader.line_num, header, cells))
    except csv.Error as error:
        problem = f"Line {reader.line_num} of {_name(path)} is not CSV ({sanitize(str(error))})."
        remedy = 'Put fields with commas or line breaks in "quotes", and double the quotes inside them.'
        raise DataError(problem, remedy) from error
    return rows


def _check_header(path: Path, header: list[str]) -> None:
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"The header of {_name(path)} names '{_short(twice)}' twice.", "Give each column its own name.")


def _record(path: Path, line: int, header: list[str], cells: list[str]) -> dict[str, str]:
    if len(cells) != len(header):
        problem = f"Line {line} of {_name(path)} has {plural(len(cells), 'field')}, its header {len(header)}."
        raise DataError(problem, 'Put fields with commas or line breaks in "quotes".')
    return dict(zip(header, cells, strict=True))


def _parquet(path: Path) -> list[Any]:
    import pyarrow.parquet  # type: ignore[import-untyped]

    try:
        rows: list[Any] = pyarrow.parquet.read_table(path).to_pylist()
    except pyarrow.ArrowException as error:
        problem = f"{_name(path)} is not a Parquet file ({_short(str(error))})."
        raise DataError(problem, "Write it again, or name a JSONL or CSV file.") from error
    return rows


READERS: dict[str, Callable[[Path], list[Any]]] = {".json": _json, ".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}


def _text(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"Line {line} of {_name(path)} is not UTF-8 text.", "Save the file as UTF-8.") from error


def _not_json(path: Path, line: int, error: Exception) -> DataError:
    words = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deep"
    remedy = "A JSONL file holds one object a line; a JSON file holds that or one list of objects."
    return DataError(f"Line {line} of {_name(path)} is not JSON ({words}).", remedy)


def _line_of(error: Exception) -> int:
    return error.lineno if isinstance(error, json.JSONDecodeError) else 1


def _name(path: Path) -> str:
    return _short(str(path))


def _short(text: str) -> str:
    return sanitize(text, newlines=False, limit=200)
