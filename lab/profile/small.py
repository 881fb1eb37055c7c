"""How a small study is told from the whole one: by the end of its name. Standard library only: lists import it."""

from __future__ import annotations

SUFFIX = "-small"


def is_small(study: str) -> bool:
    """Tell whether a study's name, as its runs bear it, is that of a small one."""
    return study.endswith(SUFFIX)
