"""How training begins: on the bare base, or on what an earlier run trained. Called by `session`, before `fit`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from lab import atomic
from lab.errors import ProfileError, RunStateError
from lab.modeling import pissa
from lab.modeling.adapters import check_continued
from lab.modeling.artifact import Artifact, Earlier, load_artifact, load_beneath, require_artifact
from lab.modeling.merge import logit_difference, logits_of, merge_adapters
from lab.modeling.methods import METHODS
from lab.modeling.orthogonal import Projection
from lab.modeling.weights import trained_tensors
from lab.profile.schema import Profile
from lab.runs.lineage import earlier_run
from lab.runs.paths import RunPaths
from lab.runs.reader import read_json

PROBES, PROBE_TOKENS = 4, 256


@dataclass(frozen=True)
class Begun:
    """A model ready to be trained.

    Attributes:
        earlier: what its artifact will build on.
        beginning: where PiSSA's first matrices are kept; None for every other adapter.
        projection: keeps the adapter orthogonal to an earlier one's.
        facts: what is worth knowing about the beginning, for `state.json`.
    """

    model: Any
    earlier: Earlier | None = None
    beginning: Path | None = None
    projection: Projection | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def hooks(self) -> list[TrainerCallback]:
        return [] if self.projection is None else [KeepOrthogonal(self.projection)]


class KeepOrthogonal(TrainerCallback):
    """Projects the adapter after each step of the optimiser.

    `begin` projects a fresh one; a checkpoint holds one that was projected, and once more would round it anew: a resume
    would not go on as it began.
    """

    def __init__(self, projection: Projection) -> None:
        self.projection = projection

    def on_optimizer_step(self, *_: Any, **__: Any) -> None:
        self.projection.project()


def begin(model: Any, profile: Profile, run: RunPaths, base: str, rows: Sequence[Sequence[int]]) -> Begun:
    """Return `model` (a base as loaded) with all in place that the profile trains, and what it stands on.

    Args:
        base: the name under which others find the base.
        rows: token ids of a few rows, on which a merge is measured.

    Raises:
        NotFoundError: the earlier run, or what it trained, is not there.
        RunStateError: it has been trained on since the first attempt of this run.
        ProfileError: it does not fit this profile.
    """
    earlier: Earlier | None = None
    facts: dict[str, Any] = {}
    if profile.model.adapter:
        artifact = _earlier_artifact(profile, run, base)
        model, earlier, facts = STARTS[profile.model.adapter_mode](model, profile, artifact, rows)
    else:
        model = _fresh(model, profile)
    beginning = None
    if profile.method.variant == "pissa" and profile.method.kind in ("lora", "qlora"):
        beginning = run.beginning
        pissa.begin(model, beginning)
    projection = None
    if profile.method.orthogonal_to:
        projection = Projection(model, earlier_run(run, profile.method.orthogonal_to).adapter)
        projection.project()
    return Begun(model, earlier, beginning, projection, facts)


def _fresh(model: Any, profile: Profile) -> Any:
    return METHODS[profile.method.kind](model, profile.method, profile.train.seed)


def _earlier_artifact(profile: Profile, run: RunPaths, base: str) -> Artifact:
    """Return what the profile builds on, after making sure that it is of this base and as it was at first."""
    found = require_artifact(earlier_run(run, profile.model.adapter).adapter)
    if found.base and found.base != base:
        raise ProfileError(
            f"{found.run} was trained from {found.base}, and this run begins with {base}.",
            f"Set model.name to {found.base}.",
        )
    now = {"schema": 1, "run": found.run, "hash": found.hash}
    if (read_json(run.earlier) or now) != now:
        raise RunStateError(
            f"{found.run} has been trained on since {run.id} was built on it.", "Start a new run with `lab train`."
        )
    atomic.write_json(run.earlier, now)
    return found


Started = tuple[Any, Earlier | None, dict[str, Any]]


def _continue(model: Any, profile: Profile, artifact: Artifact, rows: Sequence[Sequence[int]]) -> Started:
    """Train the same weights on: what is saved then replaces the earlier artifact."""
    adapts = profile.method.kind in ("lora", "qlora")
    if adapts != (artifact.kind == "adapter"):
        raise ProfileError(
            f"{artifact.run} trained {_what(artifact)}, which method.kind = '{profile.method.kind}' cannot train on.",
            "Set model.adapter_mode to 'merge'.",
        )
    model = load_artifact(model, artifact.folder, trainable=True)
    if adapts:
        check_continued(model, profile.method, artifact.run)
        return model, artifact.earlier, {}
    before = set(trained_tensors(model))
    model = _fresh(model, profile)
    if not before <= set(trained_tensors(model)):
        raise ProfileError(
            f"{artifact.run} trained weights that method.layers and method.head leave out here.",
            "Set both as that run had them, or model.adapter_mode to 'merge'.",
        )
    return model, artifact.earlier, {}


def _stack(model: Any, profile: Profile, artifact: Artifact, rows: Sequence[Sequence[int]]) -> Started:
    """Freeze what was trained, and train a fresh adapter beside it."""
    model = load_beneath(model, artifact.folder)
    return _fresh(model, profile), _link(artifact, "stack"), {}


def _merge(model: Any, profile: Profile, artifact: Artifact, rows: Sequence[Sequence[int]]) -> Started:
    """Fold what was trained into the base, and say how much its logits changed by that."""
    model = load_artifact(model, artifact.folder).eval()
    probes = [list(row[:PROBE_TOKENS]) for row in rows[:PROBES]]
    facts: dict[str, Any] = {}
    before = logits_of(model, probes)
    model = merge_adapters(model)
    if probes:
        facts = {"merge": {"run": artifact.run, **logit_difference(before, logits_of(model, probes))}}
    return _fresh(model, profile), _link(artifact, "merge"), facts


STARTS = {"continue": _continue, "stack": _stack, "merge": _merge}


def _link(artifact: Artifact, mode: str) -> Earlier:
    return Earlier(artifact.run, mode, artifact.hash)


def _what(artifact: Artifact) -> str:
    return "an adapter" if artifact.kind == "adapter" else "weights of the base"
