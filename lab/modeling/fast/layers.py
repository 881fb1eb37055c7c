"""Liger's kernels for norms, gated MLPs and rotary positions, put into a model for the time of its training."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any


def liger_obstacle(config: Any) -> str:
    """Return why Liger has no kernels for a model of this configuration; "" where it has. Imports Liger."""
    families = import_module("liger_kernel.transformers.monkey_patch").MODEL_TYPE_TO_APPLY_LIGER_FN
    known = config is not None and config.model_type in families
    return "" if known else "Liger has no kernels for this model"


@contextlib.contextmanager
def liger_layers(model: Any) -> Iterator[None]:
    """Let the layers of `model`, a transformers model, compute by Liger's kernels; undone at the end.

    Liger sets attributes of modules and replaces names in the family's Python module. What was there before is put
    back, so that a model answers the same whether it was trained in this process or loaded.
    """
    spaces = [vars(sys.modules[type(model).__module__]), *(vars(module) for module in model.modules())]
    before = [dict(space) for space in spaces]
    apply = import_module("liger_kernel.transformers")._apply_liger_kernel_to_instance
    apply(model=model, cross_entropy=False, fused_linear_cross_entropy=False)
    changed = [
        {name for name, value in space.items() if name not in old or old[name] is not value}
        for space, old in zip(spaces, before, strict=True)
    ]
    try:
        yield
    finally:
        for space, old, names in zip(spaces, before, changed, strict=True):
            for name in names:
                space.pop(name)
            space.update({name: old[name] for name in names if name in old})
