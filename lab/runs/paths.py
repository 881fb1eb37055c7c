"""Every file name in a run folder. Nobody else spells one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunPaths:
    """The files of one run.

    Attributes:
        folder: `$LAB_HOME/runs/<id>`; may be moved or copied elsewhere, nothing inside names it.
    """

    folder: Path

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def profile(self) -> Path:
        return self.folder / "profile.toml"

    @property
    def origin(self) -> Path:
        return self.folder / "origin.json"

    @property
    def recipe(self) -> Path:
        return self.folder / "recipe.json"

    @property
    def environment(self) -> Path:
        return self.folder / "environment.json"

    @property
    def data(self) -> Path:
        return self.folder / "data.json"

    @property
    def state(self) -> Path:
        return self.folder / "state.json"

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    @property
    def stop(self) -> Path:
        return self.folder / "stop.json"

    @property
    def events(self) -> Path:
        return self.folder / "events.jsonl"

    @property
    def telemetry(self) -> Path:
        return self.folder / "telemetry.jsonl"

    @property
    def log(self) -> Path:
        return self.folder / "worker.log"

    @property
    def submission(self) -> Path:
        """Of a run that was given to Slurm: which job it is."""
        return self.folder / "slurm.json"

    @property
    def script(self) -> Path:
        """Of a run that was given to Slurm: the batch script."""
        return self.folder / "job.sh"

    @property
    def labels(self) -> Path:
        return self.folder / "labels.json"

    @property
    def ratings(self) -> Path:
        return self.folder / "ratings.jsonl"

    @property
    def reserve(self) -> Path:
        """Ballast that is deleted when the disk is full, so that the end can still be written."""
        return self.folder / "reserve"

    @property
    def adapter(self) -> Path:
        return self.folder / "adapter"

    @property
    def earlier(self) -> Path:
        """What the run builds on, as its first attempt found it: a resume must find the same."""
        return self.folder / "earlier.json"

    @property
    def beginning(self) -> Path:
        """The matrices that a PiSSA adapter began with."""
        return self.folder / "beginning.safetensors"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def best(self) -> Path:
        """The weights with the lowest validation loss so far, where the profile keeps the best."""
        return self.checkpoints / "best.safetensors"

    @property
    def trackers(self) -> Path:
        return self.folder / "trackers"

    @property
    def evaluation(self) -> Path:
        return self.folder / "evaluation"

    @property
    def jobs(self) -> Path:
        return self.folder / "jobs"

    @property
    def request(self) -> Path:
        """Of a job that exports: what is to be made."""
        return self.folder / "export.json"

    @property
    def result(self) -> Path:
        """Of a job that exported: what was made, where, and how far it agrees with the run."""
        return self.folder / "exported.json"


@dataclass(frozen=True)
class EvaluationPaths:
    """The files of one evaluation: `evaluation/<spec hash>/`."""

    folder: Path

    @property
    def spec(self) -> Path:
        return self.folder / "spec.json"

    @property
    def generations(self) -> Path:
        return self.folder / "generations.jsonl"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.json"


def evaluations(run: RunPaths) -> list[EvaluationPaths]:
    """Return the run's finished evaluations, the oldest first; unfinished ones (no metrics.json) are left out."""
    found = [EvaluationPaths(p) for p in run.evaluation.glob("*") if (p / "metrics.json").is_file()]
    return sorted(found, key=lambda e: e.metrics.stat().st_mtime)


def complete_checkpoints(run: RunPaths) -> list[Path]:
    """Return the checkpoint folders whose files are all there at their full size, the oldest step first."""
    found = [p.parent for p in run.checkpoints.glob("checkpoint-*/complete.json") if _whole(p)]
    return sorted(found, key=lambda p: int(p.name.rpartition("-")[2]))


def _whole(mark: Path) -> bool:
    """Tell whether the checkpoint that `mark` (its complete.json) completes is as it was written."""
    try:
        files: dict[str, int] = json.loads(mark.read_bytes())["files"]
        return bool(files) and all((mark.parent / name).stat().st_size == size for name, size in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
