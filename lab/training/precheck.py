"""What of a profile can be refused before anything is loaded. `python -m lab.training.precheck FILE`, or in process.

The file holds the trees of profiles as JSON; the answer is the first refusal, or nothing. Started by
`launching.precheck`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from lab.data.sources import check_sources
from lab.errors import LabError
from lab.launching.child import Emit, serve
from lab.modeling.source import check_model_name
from lab.profile.schema import Profile


def check(profile: Profile) -> None:
    """Raise LabError for a model name, a data file or a bundled name that cannot work."""
    check_model_name(profile.model.name)
    check_sources(profile.data)


def _work(emit: Emit) -> None:
    for tree in json.loads(Path(sys.argv[1]).read_bytes()):
        try:
            check(Profile.model_validate(tree))
        except LabError as error:
            emit({"kind": type(error).__name__, "refused": error.problem, "remedy": error.remedy})
            return


if __name__ == "__main__":
    sys.exit(serve(_work))
