"""What of a profile can be refused before anything is loaded. `python -m lab.training.precheck FILE`, or in process.

The file holds the trees of profiles as JSON; the answer is the first refusal, or nothing. Started by
`launching.precheck`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from lab.data.read import read_rows
from lab.data.sources import check_sources, file_of, source_kind
from lab.errors import LabError
from lab.evaluation.tasks.rows import check_task_sources
from lab.launching.child import Emit, serve
from lab.modeling.source import check_model_name
from lab.profile.schema import Data, Profile
from lab.profile.trackers import refuse_missing_trackers

QUICK_BYTES = 4_000_000
"""Size of data files up to which their rows are read before the start: a blink."""


def check(profile: Profile) -> None:
    """Raise LabError for a model name, a data file with its rows, a bundled name or a tracker that cannot work."""
    check_model_name(profile.model.name)
    refuse_missing_trackers(profile)
    check_sources(profile.data)
    if _quickly_read(profile.data):
        read_rows(profile.data)
    check_task_sources(profile.evaluate.task)


def _quickly_read(data: Data) -> bool:
    """Tell whether all sources are text files so small that a wrong column need not wait for the worker to be found."""
    files = [file_of(source) for source in data.source if source_kind(source) == "file"]
    if len(files) < len(data.source) or any(path.suffix.lower() == ".parquet" for path in files):
        return False
    return sum(path.stat().st_size for path in files) <= QUICK_BYTES


def _work(emit: Emit) -> None:
    for tree in json.loads(Path(sys.argv[1]).read_bytes()):
        try:
            check(Profile.model_validate(tree))
        except LabError as error:
            emit({"kind": type(error).__name__, "refused": error.problem, "remedy": error.remedy})
            return


if __name__ == "__main__":
    sys.exit(serve(_work))
