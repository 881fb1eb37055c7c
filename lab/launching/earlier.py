"""Runs that begin with what another run trained: naming it for good, and waiting for it.

There is no daemon: the worker of a later stage is started with the first, waits in `queued` until the earlier run has
ended, and only then stands in the queue for a device. So a chain goes on when whoever started it is gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from lab.errors import ProfileError, RunStateError
from lab.launching.devices import take_place
from lab.launching.hostlocks import Place
from lab.profile.load import Resolved
from lab.profile.schema import Profile
from lab.runs.lineage import PREFIX, PREVIOUS, earlier_run
from lab.runs.paths import RunPaths
from lab.runs.state import LIVE, read_state
from lab.runs.store import RunInfo, find_run

POLL_SECONDS = 0.5
KEYS = ("model.adapter", "method.orthogonal_to")


def references(profile: Profile) -> dict[str, str]:
    """Return key -> what it names, for each key of the profile that names another run."""
    values = zip(KEYS, (profile.model.adapter, profile.method.orthogonal_to), strict=True)
    return {key: value for key, value in values if value}


def rename(resolved: Resolved, name: Callable[[str], str]) -> Resolved:
    """Return the profile with each reference to another run replaced by what `name` makes of it."""
    profile = resolved.profile
    for key, value in references(profile).items():
        section, field = key.split(".")
        part = getattr(profile, section).model_copy(update={field: name(value)})
        profile = profile.model_copy(update={section: part})
    return Resolved(resolved.name, profile, resolved.origins)


def full_ids(resolved: Resolved) -> Resolved:
    """Return the profile with the whole id of each run that it names by a part.

    Raises:
        ProfileError: it says "previous", and is no stage of a study.
        NotFoundError: there is no such run.
        UsageError: the part fits several.
    """
    return rename(resolved, lambda value: PREFIX + _named(value).id)


def pin(resolved: Resolved) -> Resolved:
    """Return the profile as `full_ids` does, after making sure that each run named there can be built on.

    Raises:
        What `full_ids` raises, and RunStateError where such a run has ended badly or trains nothing.
    """
    for value in references(resolved.profile).values():
        info = _named(value)
        if info.record.get("method") == "baseline":
            raise RunStateError(f"{info.id} is a baseline and trained nothing.", "Name a run that trains.")
        if info.state not in (*LIVE, "completed"):
            raise _ended_badly(info.id, info.state)
    return full_ids(resolved)


def _named(value: str) -> RunInfo:
    if value == PREVIOUS:
        raise ProfileError(
            '"previous" means something in a stage of a study alone.', 'Name the run: model.adapter = "run:<id>".'
        )
    return find_run(value.removeprefix(PREFIX))


def place_for(run: RunPaths, profile: Profile) -> Place | None:
    """Take the run's place in the queue for devices; a run that waits for another takes its own later."""
    return None if references(profile) else take_place(run.id, profile.launch.gpus)


def wait_for_earlier(
    run: RunPaths,
    profile: Profile,
    *,
    waiting: Callable[[str], None],
    should_stop: Callable[[], bool],
    poll: float = POLL_SECONDS,
) -> bool:
    """Wait until every run that `profile` names has ended. Returns False where `should_stop` said so first.

    Raises:
        NotFoundError: such a run is not there.
        RunStateError: it did not end well.
    """
    for value in dict.fromkeys(references(profile).values()):
        other = earlier_run(run, value)
        state: dict[str, Any] = read_state(other)
        if state.get("state") in LIVE:
            waiting(f"waiting for {other.id}")
        while state.get("state") in LIVE:
            if should_stop():
                return False
            time.sleep(poll)
            state = read_state(other)
        if state.get("state") != "completed":
            raise _ended_badly(other.id, str(state.get("state")))
    return True


def _ended_badly(run: str, state: str) -> RunStateError:
    return RunStateError(
        f"{run}, on which this run builds, is {state}.",
        f"Finish it with `lab runs resume {run}`, then start or resume this one.",
    )
