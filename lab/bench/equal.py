"""Which profiles do the same work, so that it is timed once. Called by `lab.bench.speed` and its stopwatch."""

from __future__ import annotations

from collections.abc import Sequence

from lab import jsonio
from lab.profile.schema import Profile

STEP_KEYS = {"examples_per_step", "tokens_per_step", "micro_batch", "optimizer", "checkpointing", "threads"}


def by_base(profiles: Sequence[Profile]) -> list[int]:
    """Return the places of the profiles, those of one base together, and in them what trains first."""
    bases = [base_key(profile) for profile in profiles]
    return sorted(
        range(len(profiles)),
        key=lambda place: (bases.index(bases[place]), profiles[place].method.kind == "baseline"),
    )


def base_key(profile: Profile) -> str:
    """Return what is equal for profiles whose base is loaded in the same way."""
    model = profile.model.model_dump(exclude={"adapter", "adapter_mode", "quantization"})
    return jsonio.dumps([model, profile.quantization, profile.launch.gpus, profile.train.threads])


def train_key(profile: Profile) -> str:
    """Return what is equal for profiles whose steps take equally long."""
    train = profile.train.model_dump(include=STEP_KEYS)
    method = profile.method.model_dump(exclude={"alpha", "orthogonal_to"})
    return jsonio.dumps([base_key(profile), profile.data.model_dump(), train, method])


def pass_key(profile: Profile) -> str:
    """Return what is equal for profiles that read and answer about equally fast: how large adapters are is left out."""
    evaluate = profile.evaluate.model_dump(include={"rows", "max_new_tokens", "batch_size"})
    return jsonio.dumps([base_key(profile), profile.data.model_dump(), evaluate, profile.method.variant == "dora"])
