"""The other processes of a run that trains on several GPUs, as the worker, which leads them, sees them.

They are the worker's children and die with it. What they need (rows, recipe, where the model lies) they get through a
folder of their own; the run folder they only read. Called by `training.session` and `training.fit`.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from lab import atomic
from lab.data.masks import Encoded
from lab.errors import LabError, TrainingError
from lab.modeling.source import ModelSource
from lab.runs.paths import RunPaths
from lab.runs.reader import read_json
from lab.training.recipe import Recipe

MATERIAL = "material.pickle"
COMMAND = ("-P", "-m", "lab.training.rank")
POLL_SECONDS = 0.2
GRACE_SECONDS = 5.0
"""How long a member may take to be seen dead after its death was felt, and to end after all have trained."""
STUCK_SECONDS = 120.0
"""How long the leader may take to feel a member's death: over gloo it does at once, in a kernel of NCCL never. Saving
a large checkpoint takes its time, too."""


@dataclass(frozen=True)
class Material:
    """What members train with: the same that the leader has."""

    source: ModelSource
    train: list[Encoded]
    validation: list[Encoded]


class Team:
    """Starts the other members when entered, and leaves none of them behind.

    Args:
        visible: CUDA_VISIBLE_DEVICES of each other member; "" for the CPU.
        stuck: is told, on a thread of its own, of a death that the leader does not come back from: it waits on its GPU
            for numbers that never come, where no exception reaches it. Has to write the end and end the process.

    Raises:
        TrainingError: on leaving with an error, where a member's death is what lies behind it.
    """

    def __init__(
        self, run: RunPaths, visible: Sequence[str], material: Material, stuck: Callable[[TrainingError], None]
    ) -> None:
        self._run = run
        self._visible = visible
        self._material = material
        self._stuck = stuck
        self._members: list[subprocess.Popen[bytes]] = []
        self._folder = tempfile.TemporaryDirectory(prefix="lab-team-")
        self._done = threading.Event()
        self._died = ""
        self._starved = False
        self._tighten: Callable[[], str] | None = None

    @property
    def meeting(self) -> Path:
        return Path(self._folder.name)

    @property
    def size(self) -> int:
        return len(self._visible) + 1

    def __enter__(self) -> Team:
        (self.meeting / MATERIAL).write_bytes(pickle.dumps(self._material))
        for rank, visible in enumerate(self._visible, 1):
            words = [str(self._run.folder), str(self.meeting), str(rank), str(self.size), str(os.getpid())]
            environment = {**os.environ, "CUDA_VISIBLE_DEVICES": visible}
            self._members.append(subprocess.Popen([sys.executable, *COMMAND, *words], env=environment))
        threading.Thread(target=self._watch, name="team", daemon=True).start()
        return self

    def begin(self, recipe: Recipe, tighten: Callable[[], str]) -> None:
        """Tell the members the recipe that the probe found, with which they begin.

        Args:
            tighten: writes the recipe of the next attempt where memory ran out on a member; returns what it will be.
        """
        self._tighten = tighten
        atomic.write_json(self.meeting / "recipe.json", recipe.as_json())

    def complete(self) -> None:
        """All members have joined: the rows need not lie there any more."""
        (self.meeting / MATERIAL).unlink()

    def trained(self) -> None:
        """All have trained to the end: how members end does not matter any more."""
        self._done.set()

    def check(self) -> None:
        """Raise TrainingError where a member has died."""
        if self._died:
            raise self._error()

    def _error(self) -> TrainingError:
        if self._starved and self._tighten is not None:
            return TrainingError(self._died, self._tighten())
        again = f"`lab runs resume {self._run.id}` goes on from the last checkpoint"
        return TrainingError(self._died, f"`lab runs logs {self._run.id}` may tell more; {again}.")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        deadline = time.monotonic() + GRACE_SECONDS
        if error is None:
            for member in self._members:
                _wait(member, deadline)
        elif isinstance(error, Exception) and not isinstance(error, LabError):
            while not self._died and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
        self._done.set()
        for member in self._members:
            member.kill()
            member.wait()
        self._folder.cleanup()
        if error is not None and not isinstance(error, LabError) and isinstance(error, Exception):
            self.check()

    def _watch(self) -> None:
        """Notice a member's death, and whether the leader does."""
        while not self._done.wait(POLL_SECONDS):
            for rank, member in enumerate(self._members, 1):
                if member.poll() not in (None, 0) and not self._done.is_set():
                    self._died = self._obituary(rank, member.returncode)
                    if not self._done.wait(STUCK_SECONDS):
                        self._folder.cleanup()
                        self._stuck(self._error())
                    return

    def _obituary(self, rank: int, code: int) -> str:
        found = read_json(self.meeting / f"failed-{rank}.json") or {}
        self._starved = bool(found.get("memory"))
        how = found.get("text") or f"it ended with status {code}"
        return f"Process {rank + 1} of the {self.size} that trained this run has died: {how}"


def _wait(member: subprocess.Popen[bytes], deadline: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):  # it has trained to the end, and is killed next
        member.wait(max(0.0, deadline - time.monotonic()))


def load_material(meeting: Path) -> Material:
    """Return what `Team` has laid down for its members."""
    found: Any = pickle.loads((meeting / MATERIAL).read_bytes())
    assert isinstance(found, Material)
    return found
