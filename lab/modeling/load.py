"""Loading a base model and its tokenizer as the recipe says. Called by the worker, evaluation jobs and `lab plan`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.errors import NotFoundError, ProfileError
from lab.modeling.source import ModelSource
from lab.text import sanitize

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def torch_dtype(name: str) -> torch.dtype:
    """Return the torch type for "bf16", "fp16" or "fp32"."""
    import torch

    return {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[name]


def load_tokenizer(source: ModelSource, *, trust_remote_code: bool = False) -> PreTrainedTokenizerBase:
    """Return the model's tokenizer with a padding token; the end-of-text token stands in where it has none.

    Raises:
        NotFoundError: the folder or hub repository holds no tokenizer.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            source.path_or_id, revision=source.load_revision, trust_remote_code=trust_remote_code
        )
    except (OSError, ValueError) as error:
        reason = sanitize(str(error).splitlines()[0], newlines=False, limit=200)
        raise NotFoundError(
            f"No tokenizer could be loaded from {source.path_or_id} ({reason}).",
            "Put tokenizer.json and tokenizer_config.json beside the weights.",
        ) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_config(source: ModelSource, *, trust_remote_code: bool = False) -> Any:
    """Return the model's configuration. Raises NotFoundError where there is none that transformers knows."""
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(
            source.path_or_id, revision=source.load_revision, trust_remote_code=trust_remote_code
        )
    except (OSError, ValueError) as error:
        raise _explain(source, error) from error


def load_base(
    source: ModelSource,
    *,
    device: str,
    dtype: str,
    quantization: str = "none",
    double_quant: bool = False,
    attention: str = "sdpa",
    trust_remote_code: bool = False,
) -> PreTrainedModel:
    """Return the frozen base model on `device`, in evaluation mode.

    Args:
        device: "cpu" or "cuda".
        dtype: "bf16", "fp16" or "fp32"; of a quantised model, what it computes in.
        quantization: "none", "nf4" or "int8" (LLM.int8: Dettmers et al. 2022).

    Raises:
        NotFoundError: there are no weights.
        ProfileError: the architecture is none that transformers knows.
    """
    from transformers import AutoModelForCausalLM

    options: dict[str, Any] = {"attn_implementation": attention, "trust_remote_code": trust_remote_code}
    if quantization != "none":
        options["quantization_config"] = _quantization_config(quantization, dtype, double_quant)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            source.path_or_id,
            revision=source.load_revision,
            dtype=torch_dtype(dtype),
            device_map={"": 0} if device == "cuda" else {"": "cpu"},
            **options,
        )
    except (OSError, ValueError) as error:
        raise _explain(source, error) from error
    model.requires_grad_(False)
    model.config.use_cache = True
    if quantization != "none" and device == "cpu":
        _keep_packing(model)
    return model.eval()


def _keep_packing(model: PreTrainedModel) -> None:
    """Keep bitsandbytes from repacking 4-bit weights for its own CPU kernel at the first pass without gradients.

    Repacking rounds the blocks' scales to bf16 for good: the model that is evaluated would not be the one that was
    trained, and training would go on with another.
    """
    from bitsandbytes.nn import Linear4bit

    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False


def _quantization_config(kind: str, dtype: str, double_quant: bool) -> Any:
    from transformers import BitsAndBytesConfig

    if kind == "int8":
        # It warns of each cast to fp16, layer by layer and step by step; the cast is what LLM.int8 does.
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
        return BitsAndBytesConfig(load_in_8bit=True)
    if kind != "nf4":
        raise ValueError(f"unknown quantisation {kind!r}")
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch_dtype(dtype),
        bnb_4bit_use_double_quant=double_quant,
    )


def _explain(source: ModelSource, error: Exception) -> NotFoundError | ProfileError:
    reason = sanitize(str(error).splitlines()[0], newlines=False, limit=200)
    if isinstance(error, OSError):
        return NotFoundError(
            f"No weights could be loaded from {source.path_or_id} ({reason}).",
            "Check model.name; a folder needs config.json and *.safetensors.",
        )
    return ProfileError(f"{source.path_or_id} cannot be loaded ({reason}).", "Choose a causal language model.")


def parameter_count(model: torch.nn.Module) -> int:
    """Return the number of parameters; a packed 4-bit weight counts as the weights it stands for."""
    total = 0
    for parameter in model.parameters():
        state = getattr(parameter, "quant_state", None)
        total += state.shape.numel() if state is not None else parameter.numel()
    return total


def trainable_count(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def folder_bytes(folder: Path) -> int:
    """Return the size of all weight files in `folder`."""
    return sum(p.stat().st_size for p in folder.rglob("*.safetensors"))
