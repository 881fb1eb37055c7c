"""The query of `lab runs list -q 'method=qlora loss<1.2 rank>=8 tag:alpaca'`, and of the console's filter line.

Terms are separated by spaces and all must hold; quotes keep spaces together. A term is `key operator value` with
= != < <= > >= ~ (contains) or : (the same as =), or a word alone, which id, name or profile must contain. Keys are
those of `FIXED`, the metrics, and every key of a profile, by its full path or its last part where that is enough.
"""

from __future__ import annotations

import operator
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from lab.compare.entry import profile_tree
from lab.compare.trees import at
from lab.errors import UsageError
from lab.jsonio import as_float
from lab.profile.origin import leaves
from lab.runs.state import STATES
from lab.runs.store import RunInfo
from lab.scoring.names import METRIC_NAMES
from lab.text import did_you_mean, sanitize

FIXED: dict[str, Callable[[RunInfo], Any]] = {
    "state": lambda info: info.state,
    "method": lambda info: info.text("method"),
    "profile": lambda info: info.text("profile"),
    "model": lambda info: info.text("model"),
    "name": lambda info: info.labels.name,
    "study": lambda info: info.labels.study,
    "row": lambda info: info.labels.row,
    "tag": lambda info: list(info.labels.tags),
    "loss": lambda info: as_float(info.summary.get("last_loss")),
    "eval_loss": lambda info: as_float(info.summary.get("best_eval_loss")),
    "step": lambda info: info.record.get("step"),
    "id": lambda info: info.id,
    "archived": lambda info: info.labels.archived,
}

ORDERS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

_TERM = re.compile(r"(?P<key>[A-Za-z_][\w.-]*)(?P<sign><=|>=|!=|[=<>~:])(?P<value>.*)", re.DOTALL)


@dataclass(frozen=True)
class Term:
    """One condition. A word alone has no key and the sign `~`; `:` is read as `=`."""

    key: str
    sign: str
    value: str


def parse(query: str) -> list[Term]:
    """Read a query without looking at what its keys mean.

    Raises:
        UsageError: a quote is not closed, a value is missing, or an order is asked of what is no number.
    """
    try:
        words = shlex.split(query)
    except ValueError:
        raise UsageError(f"A quote in {_shown(query)} is not closed.", "Close it, or leave it out.") from None
    return [_term(word) for word in words]


def parse_query(query: str) -> Callable[[RunInfo], bool]:
    """Return the function that tells whether a run fits `query`; every run fits an empty one.

    Raises:
        UsageError: what `parse` raises; a key or a state that does not exist, or a key that could be several.
    """
    conditions = [(_reader(term), term) for term in parse(query)]
    return lambda info: all(_holds(read(info), term) for read, term in conditions)


def _term(word: str) -> Term:
    match = _TERM.fullmatch(word)
    if match is None:
        return Term("", "~", word)
    term = Term(match["key"], "=" if match["sign"] == ":" else match["sign"], match["value"])
    if term.sign in (*ORDERS, "~") and not term.value:
        raise UsageError(f"{_shown(word)} has no value.", f"Write one behind {term.sign}.")
    if term.sign in ORDERS and _number(term.value) is None:
        raise UsageError(f"{_shown(word)} compares with no number.", "Use = or ~ for words.")
    return term


def _reader(term: Term) -> Callable[[RunInfo], Any]:
    """Return the function that reads the term's key from a run."""
    if not term.key:
        whole = term.value.casefold()  # "los" is half of "loss" rather than of "lost"
        return lambda info: [*_words(info), *([info.state] if info.state == whole else [])]
    if term.key == "state" and term.sign in ("=", "!=") and term.value not in STATES:
        hint = did_you_mean(term.value, STATES)
        raise UsageError(f"No state is called {_shown(term.value)}.{hint}", f"States are {', '.join(STATES)}.")
    if term.key in FIXED:
        return FIXED[term.key]
    if term.key in METRIC_NAMES:
        return lambda info: as_float((info.summary.get("metrics") or {}).get(term.key))
    path = _profile_key(term.key)
    return lambda info: _at(profile_tree(info.run), path)


def _words(info: RunInfo) -> list[Any]:
    """Return what a bare word is looked for in: all that lists call a run."""
    labels = info.labels
    return [info.id, labels.name, labels.row, labels.study, info.text("profile")]


def _profile_key(key: str) -> str:
    """Return the full path of a profile's key, numbers of arrays left out."""
    known = _profile_keys()
    fitting = [path for path in known if path == key] or [path for path in known if path.endswith(f".{key}")]
    if len(fitting) > 1:
        raise UsageError(f"{key} is a key of several tables.", f"Write {' or '.join(fitting)}.")
    if fitting:
        return fitting[0]
    options = [*FIXED, *METRIC_NAMES, *known, *(path.rpartition(".")[2] for path in known)]
    raise UsageError(
        f"Runs have no key {_shown(key)}.{did_you_mean(key, options)}",
        f"Use {', '.join(FIXED)}, a metric, or a profile's key.",
    )


@cache
def _profile_keys() -> tuple[str, ...]:
    from lab.profile.schema import Profile, Source, Task

    tables = {"data.source": Source(name="-"), "evaluate.task": Task(name="x")}
    nested = [f"{path}.{key}" for path, table in tables.items() for key, _ in leaves(table.model_dump())]
    return (*(path for path, _ in leaves(Profile().model_dump()) if path not in tables), *nested)


def _at(tree: dict[str, Any], path: str) -> Any:
    """Return the value at `path`, and all of them as a list where the path leads through an array of tables."""
    head, _, rest = path.rpartition(".")
    parent = at(tree, head) if head else tree
    if isinstance(parent, list):
        return [item.get(rest) for item in parent if isinstance(item, dict)]
    return at(tree, path)


def _holds(value: Any, term: Term) -> bool:
    """Tell whether one of the values holds; `!=` wants all of them to differ, and what is missing differs."""
    values = value if isinstance(value, list) else [value]
    if term.sign == "!=":
        return not any(_equal(own, term.value) for own in values)
    return any(_fits(own, term) for own in values)


def _fits(value: Any, term: Term) -> bool:
    if value is None:
        return False
    if term.sign == "=":
        return _equal(value, term.value)
    if term.sign == "~":
        return term.value.casefold() in str(value).casefold()
    wanted, given = _number(term.value), as_float(value)
    return wanted is not None and given is not None and ORDERS[term.sign](given, wanted)


def _equal(value: Any, wanted: str) -> bool:
    if value is None:
        return False
    if isinstance(value, bool):
        return wanted.casefold() == str(value).casefold()
    number = _number(wanted)
    if number is not None and isinstance(value, int | float):
        return float(value) == number
    return str(value).casefold() == wanted.casefold()


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _shown(text: str) -> str:
    return repr(sanitize(text, newlines=False, limit=80))
