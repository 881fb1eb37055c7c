"""What of a method, a base and an earlier run cannot stand together. Called by `check`, before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lab.errors import ProfileError
from lab.profile.schema import Profile

ADAPTERS = ("lora", "qlora")
WEIGHTS = ("top-layer", "full")


@dataclass(frozen=True)
class Clash:
    """Values that contradict each other: `says` tells the problem, `mend` the remedy."""

    meets: Callable[[Profile], bool]
    says: Callable[[Profile], str]
    mend: str


CLASHES = (
    Clash(
        lambda p: p.method.kind in WEIGHTS and p.quantization != "none",
        lambda p: f"method.kind = '{p.method.kind}' trains weights, which {p.quantization} packs.",
        'Set model.quantization to "none", or method.kind to "qlora".',
    ),
    Clash(
        lambda p: p.method.kind not in ADAPTERS and p.method.variant != "lora",
        lambda p: f"method.variant = '{p.method.variant}' is a form of adapter, and '{p.method.kind}' trains none.",
        'Set it to "lora", or method.kind to "lora" or "qlora".',
    ),
    Clash(
        lambda p: p.method.variant == "pissa" and p.quantization != "none",
        lambda p: f"method.variant = 'pissa' changes the base, which {p.quantization} packs.",
        'Set method.kind to "lora" with model.quantization = "none", or method.variant to "lora".',
    ),
    Clash(
        lambda p: p.method.kind == "baseline" and bool(p.model.adapter),
        lambda p: "A baseline is the untuned model, and model.adapter names another run.",
        "Leave model.adapter empty, or evaluate that run itself with `lab eval`.",
    ),
    Clash(
        lambda p: p.model.adapter_mode == "stack" and bool(p.model.adapter) and p.method.kind in WEIGHTS,
        lambda p: f"method.kind = '{p.method.kind}' trains the weights beneath an adapter that stays beside them.",
        'Set model.adapter_mode to "merge".',
    ),
    Clash(
        lambda p: p.model.adapter_mode == "continue" and bool(p.model.adapter) and p.method.variant == "pissa",
        lambda p: "method.variant = 'pissa' begins an adapter, and model.adapter_mode = 'continue' trains one on.",
        'Set method.variant to "lora" (a PiSSA run is saved as one of twice its rank and alpha).',
    ),
    Clash(
        lambda p: bool(p.method.orthogonal_to) and (p.method.kind not in ADAPTERS or p.method.variant == "pissa"),
        lambda p: "method.orthogonal_to constrains a LoRA adapter, which this profile does not train.",
        'Set method.kind to "lora" or "qlora" and method.variant to "lora", "rslora" or "dora".',
    ),
    Clash(
        lambda p: bool(p.method.orthogonal_to and p.model.adapter) and p.model.adapter_mode == "continue",
        lambda p: "An adapter that is trained on cannot be orthogonal to what it was.",
        'Set model.adapter_mode to "merge" or "stack", or method.orthogonal_to to "".',
    ),
)


def check_method(profile: Profile) -> None:
    """Raise ProfileError for the first values that contradict each other."""
    for clash in CLASHES:
        if clash.meets(profile):
            raise ProfileError(clash.says(profile), clash.mend)
