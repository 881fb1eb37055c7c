"""What a run's weights are made of: a base and what its stages trained. Called by everything that exports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lab.modeling.artifact import Artifact, require_artifact
from lab.modeling.source import ModelSource, resolve_model
from lab.profile.schema import Profile
from lab.runs.paths import RunPaths
from lab.runs.reader import read_json


@dataclass(frozen=True)
class Chain:
    """A run's base and what was trained over it.

    Attributes:
        stages: the oldest first; the last is the run's own.
        quantization, double_quant, dtype: of the last run's base, as its recipe decided.
    """

    source: ModelSource
    stages: tuple[Artifact, ...]
    quantization: str
    double_quant: bool
    dtype: str
    trust_remote_code: bool


def resolve_chain(run: RunPaths, profile: Profile, progress: Callable[[str], None] = lambda line: None) -> Chain:
    """Return what `run` is made of; a bundled base is fetched first.

    Raises:
        NotFoundError: what a stage trained is gone.
        RunStateError: a stage was trained on since.
        LabError: as `resolve_model`.
    """
    stages = () if profile.method.kind == "baseline" else stages_of(require_artifact(run.adapter))
    choices = (read_json(run.recipe) or {}).get("choices", {})
    return Chain(
        resolve_model(profile.model.name, profile.model.revision, progress),
        stages,
        str((choices.get("quantization") or {}).get("value", profile.quantization)),
        profile.model.double_quant,
        str((choices.get("dtype") or {}).get("value", "fp32")),
        profile.model.trust_remote_code,
    )


def stages_of(artifact: Artifact) -> tuple[Artifact, ...]:
    """Return `artifact` behind all that it builds on."""
    before = artifact.before()
    return (*(stages_of(before) if before else ()), artifact)
