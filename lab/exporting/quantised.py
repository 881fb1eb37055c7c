"""The weights that a quantised base stands for. Called by `weights`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.exporting.chain import Chain
from lab.modeling.load import load_config

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 64
"""Weights that share a scale; bitsandbytes' own choice, which loading leaves as it is."""


def quantised_names(chain: Chain) -> frozenset[str]:
    """Return the names of the weights that the quantised base holds packed: all linear ones but the head's."""
    import torch
    from transformers import AutoModelForCausalLM

    config = load_config(chain.source, trust_remote_code=chain.trust_remote_code)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=chain.trust_remote_code)
    head = model.get_output_embeddings()
    linear = [name for name, part in model.named_modules() if isinstance(part, torch.nn.Linear) and part is not head]
    return frozenset(f"{name}.weight" for name in linear)


def dequantised(weight: Tensor, kind: str, *, double: bool) -> Tensor:
    """Return what quantisation makes of `weight`, in fp32.

    NF4: Dettmers et al. 2023, arXiv 2305.14314. Int8: rows scaled to their largest value, Dettmers et al. 2022, arXiv
    2208.07339.

    Args:
        kind: "nf4" or "int8".
        double: NF4's scales are quantised too.
    """
    import torch

    if kind == "int8":
        halved = weight.to(torch.float16).to(torch.float32)
        scale = halved.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
        return (halved * (127 / scale)).round() * scale / 127
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    packed, state = quantize_4bit(weight.contiguous(), blocksize=BLOCK, compress_statistics=double, quant_type="nf4")
    state.dtype = torch.float32
    unpacked: Tensor = dequantize_4bit(packed, state)
    return unpacked.to(torch.float32)
