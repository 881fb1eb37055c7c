"""Small random decoders with adapters, and packed rows for them. Called by the checks of the fast pieces."""

from __future__ import annotations

from typing import Any

import torch

from lab.data.masks import IGNORED, Encoded
from lab.training.batches import Layout, packed_batch, to_device

FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "gemma3")
WIDTH, HEADS, GROUPS, LAYERS = 256, 4, 2, 2
RANK, ALPHA = 8, 24


def config_of(family: str, vocabulary: int) -> Any:
    """Return a small configuration of one of `FAMILIES`, with heads as wide as real ones."""
    import transformers

    common = {
        "hidden_size": WIDTH,
        "intermediate_size": 3 * WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": GROUPS,
        "head_dim": WIDTH // HEADS,
        "vocab_size": vocabulary,
        "max_position_embeddings": 1024,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    if family == "gemma3":
        own = {"query_pre_attn_scalar": WIDTH // HEADS, "sliding_window": 16}
        return transformers.Gemma3TextConfig(**common, **own)
    if family == "qwen2":  # its configuration has no width of heads
        common.pop("head_dim")
    kinds = {"llama": "LlamaConfig", "mistral": "MistralConfig", "qwen2": "Qwen2Config", "qwen3": "Qwen3Config"}
    return getattr(transformers, kinds[family])(**common)


def plain_model(family: str, device: torch.device, dtype: torch.dtype, *, vocabulary: int = 512) -> Any:
    """Return a random model of a family, all of it frozen, whose norms and biases have learnt something."""
    import transformers

    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config_of(family, vocabulary)).to(dtype)
    for name, parameter in model.named_parameters():
        if "norm" in name or name.endswith("bias"):
            parameter.data.add_(torch.randn_like(parameter) * 0.1)
    return model.to(device).requires_grad_(False)


def adapted(
    family: str,
    device: torch.device,
    dtype: torch.dtype,
    *,
    vocabulary: int = 512,
    quantised: str = "",
    dora: bool = False,
) -> Any:
    """Return a random model of a family with adapters that have learnt something, in training mode.

    Args:
        quantised: "", "nf4", "nf4 double", or "int8".
    """
    from peft import LoraConfig, get_peft_model

    model = plain_model(family, torch.device("cpu"), dtype, vocabulary=vocabulary)
    if quantised:
        _quantise(model, dtype, quantised)
    model = model.to(device).requires_grad_(False)
    adapters = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM", use_dora=dora)
    with_adapters = get_peft_model(model, adapters)
    for name, parameter in with_adapters.named_parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
        if "lora_B" in name:
            parameter.data.normal_(std=0.05)
        if "lora_magnitude" in name:
            parameter.data.mul_(1 + 0.1 * torch.randn_like(parameter))
    return with_adapters.train()


def _quantise(model: Any, dtype: torch.dtype, kind: str) -> None:
    """Put linears of few bits in place of those of the decoder; they quantise as they move to a device."""
    for module in list(model.get_decoder().modules()):
        for name, linear in list(module.named_children()):
            if type(linear) is torch.nn.Linear:
                setattr(module, name, _in_8_bits(linear) if kind == "int8" else _in_4_bits(linear, dtype, kind))
    setattr(model, "is_loaded_in_8bit" if kind == "int8" else "is_loaded_in_4bit", True)


def _in_4_bits(linear: torch.nn.Linear, dtype: torch.dtype, kind: str) -> Any:
    from bitsandbytes.nn import Linear4bit, Params4bit

    packed = Linear4bit(linear.in_features, linear.out_features, bias=False, compute_dtype=dtype)
    options = {"quant_type": "nf4", "compress_statistics": kind.endswith("double"), "module": packed}
    packed.weight = Params4bit(linear.weight.data, requires_grad=False, **options)
    packed.support_avx512bf16_for_cpu = False
    return packed


def _in_8_bits(linear: torch.nn.Linear) -> Any:
    from bitsandbytes.nn import Int8Params, Linear8bitLt

    packed = Linear8bitLt(linear.in_features, linear.out_features, bias=False, has_fp16_weights=False, threshold=6.0)
    packed.weight = Int8Params(linear.weight.data, requires_grad=False, has_fp16_weights=False)
    return packed


def packed_rows(seed: int, *, multiple: int, device: torch.device, vocabulary: int = 512) -> dict[str, Any]:
    """Return a packed micro-batch of a few random rows, the first third of each unsupervised."""
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for index, length in enumerate((9, 61, 30, 5 + 3 * seed)):
        ids = torch.randint(3, vocabulary, (length,), generator=generator).tolist()
        silent = length // 3
        rows.append(Encoded(str(index), ids, [IGNORED] * silent + ids[silent:]))
    return to_device(packed_batch(rows, Layout(packed=True, pad_token_id=0, multiple=multiple)), device)
