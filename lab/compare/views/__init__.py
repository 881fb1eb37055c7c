"""Drawing comparisons: text for terminals, Markdown for reports, CSV and JSON for programs. Called by the commands."""

from __future__ import annotations

from lab import jsonio
from lab.compare.table import Table
from lab.compare.views.data import as_csv, as_json
from lab.compare.views.markdown import as_markdown
from lab.compare.views.text import as_text
from lab.errors import UsageError
from lab.text import did_you_mean, sanitize

VIEWS = ("text", "md", "csv", "json")


def render(table: Table, view: str, *, width: int | None = None, ascii_only: bool = False) -> str:
    """Return `table` as `view`, ending in a line break; `width` and `ascii_only` are those of text.

    Raises:
        UsageError: there is no such view.
    """
    if view == "text":
        return as_text(table, width, ascii_only=ascii_only)
    if view == "md":
        return as_markdown(table)
    if view == "csv":
        return as_csv(table)
    if view == "json":
        return jsonio.dumps(as_json(table), indent=2) + "\n"
    shown = sanitize(view, newlines=False, limit=80)
    raise UsageError(f"There is no format '{shown}'.{did_you_mean(view, VIEWS)}", f"Use {', '.join(VIEWS)}.")
