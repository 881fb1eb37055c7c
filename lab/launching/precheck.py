"""The checks before a start that need the worker side, for callers that may not load it: made in a child process."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lab import errors
from lab.errors import LabError
from lab.launching.child import json_lines
from lab.profile.load import Resolved

MODULE = "lab.training.precheck"
PATIENCE_SECONDS = 60.0


def check_before_start(rows: Sequence[Resolved]) -> None:
    """Refuse what can be refused without loading anything: model names, data files, unknown bundled names.

    Raises:
        LabError: the first thing that is wrong, of the class that the worker side gave it.
    """
    if not rows:
        return
    with tempfile.TemporaryDirectory(prefix="lab-check-") as folder:
        path = Path(folder) / "profiles.json"
        path.write_text(json.dumps([row.tree for row in rows]), encoding="utf-8")
        for record in json_lines(MODULE, [str(path)], timeout=PATIENCE_SECONDS):
            kind = getattr(errors, str(record["kind"]), LabError)
            raise kind(str(record["refused"]), str(record["remedy"]))
