"""The two models whose answers are compared, and the merged one for scoring. Called by `merge`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from lab.errors import OutOfSpaceError
from lab.exporting.base import BaseWeights
from lab.exporting.work import Work
from lab.modeling.artifact import load_artifact
from lab.modeling.load import load_base
from lab.modeling.source import ModelSource
from lab.telemetry.limits import usable_bytes
from lab.text import byte_size

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

HEADROOM = 1.3
"""Memory a loaded model needs for a pass over one row, as a multiple of its weights."""
MAPPED_BYTES = 4_000_000_000
"""Memory that a pass needs beside weights that stay in their files: states, adapters, what the libraries take."""


def compute_dtype(work: Work, parameters: int) -> str:
    """Return in what both models compute: fp32 on a CPU with room for it, so that only the weights differ.

    A bf16 model that computes in bf16 on a CPU is not read into memory: its weights are pages of its files, which the
    system drops and reads again where memory is short.

    Raises:
        OutOfSpaceError: not even 16 bits fit, and the weights cannot stay in their files.
    """
    if work.hardware.kind == "cuda":
        return work.chain.dtype
    free = min(int(psutil.virtual_memory().available), usable_bytes())
    for dtype, size in (("fp32", 4), ("bf16", 2)):
        if parameters * size * HEADROOM < free:
            return dtype
    if free > MAPPED_BYTES and _stay_in_files(work):
        work.say("the model is larger than the memory: it is read from disk again and again, which takes long")
        return "bf16"
    raise OutOfSpaceError(
        f"The parity check loads the model into memory, {byte_size(parameters * 2 * HEADROOM)}; "
        f"{byte_size(free)} are free.",
        "Export on a machine with more memory or a GPU.",
    )


def _stay_in_files(work: Work) -> bool:
    """Tell whether neither the base nor the merged model would be converted on its way into memory."""
    quantised = work.chain.quantization != "none" and work.base == "dequantised"
    return not quantised and work.request.dtype == "bf16" and BaseWeights(work.folder).stored == {"BF16"}


def load_reference(work: Work, dtype: str) -> PreTrainedModel | PeftModel:
    """Return the base with the chain's stages on it, as evaluation puts them together.

    The base is quantised where the export merges into the dequantised one.
    """
    quantization = work.chain.quantization if work.base == "dequantised" else "none"
    model: Any = load_base(
        work.chain.source,
        device=work.hardware.kind,
        dtype=dtype,
        quantization=quantization,
        double_quant=work.chain.double_quant,
        attention=attention(work),
        trust_remote_code=work.chain.trust_remote_code,
    )
    if not work.chain.stages:
        return model
    return load_artifact(model, work.owner.adapter).eval()


def load_merged(work: Work, folder: Path, dtype: str) -> PreTrainedModel:
    """Return the model that was written to `folder`."""
    return load_base(
        ModelSource("path", str(folder), None, None, folder.name),
        device=work.hardware.kind,
        dtype=dtype,
        attention=attention(work),
        trust_remote_code=work.chain.trust_remote_code,
    )


def attention(work: Work) -> str:
    """Return an attention that every device has; the run's own may need a GPU."""
    return "eager" if work.profile.model.attention == "eager" else "sdpa"
