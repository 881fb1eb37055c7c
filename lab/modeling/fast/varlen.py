"""Attention over packed rows: one sequence in which each document attends to itself alone. Used by training.

On a GPU it is PyTorch's own FlashAttention (`torch.nn.attention.varlen`), or the lab's kernel for short documents where
the step asks for it; elsewhere a loop over the documents does the same, so packed training can be held against separate
rows on any machine. Registered with transformers as `NAME`, it takes the ends of the documents from the keyword
arguments that transformers hands to every layer. It knows no padding mask and no cache: evaluation and generation keep
the implementation that the model was loaded with.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lab.modeling.fast.documents import attend_documents, sees_all

NAME = "lab_varlen"
FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi3", "smollm3", "granite")
"""Their layers pass on the ends of documents, and nothing but attention mixes positions."""
MAX_HEAD = 256
"""Widest head of FlashAttention 2."""


def varlen_available() -> bool:
    """Tell whether this torch has the kernel's interface, with windows."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return False
    return "window_size" in inspect.signature(varlen_attn).parameters


def packing_obstacle(config: Any) -> str:
    """Return why a model of this configuration cannot take packed rows; "" where it can."""
    if config is None:
        return "the model's configuration is not known"
    text = config.get_text_config()
    if text.model_type != config.model_type:
        return f"{config.model_type} wraps its language model"
    return "" if text.model_type in FAMILIES else f"nobody tried packed rows with {text.model_type}"


def kernel_obstacle(config: Any, dtype: str) -> str:
    """Return why the kernel cannot serve a model of this configuration in `dtype`; "" where it can."""
    text = config.get_text_config()
    if getattr(text, "attn_logit_softcapping", None):
        return "the kernel does not cap attention logits as this model does"
    if getattr(text, "attention_dropout", 0.0):
        return "the kernel does not drop attention weights as this model does"
    if dtype not in ("bf16", "fp16"):
        return f"the kernel does not compute in {dtype}"
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return f"the kernel has no heads {width} wide" if width > MAX_HEAD or width % 8 else ""


def document_ends(batch: dict[str, Any]) -> dict[str, Any]:
    """Return the ends of a packed batch's documents under the names by which transformers passes them to its layers."""
    ends, longest = batch["cu_seq_lens"], batch["max_length"]
    return {"cu_seq_lens_q": ends, "cu_seq_lens_k": ends, "max_length_q": longest, "max_length_k": longest}


def attend(
    query: Tensor, key: Tensor, value: Tensor, ends: Tensor, longest: int, scale: float | None, window: int | None
) -> Tensor:
    """Return causal attention inside each document: (tokens, heads, width).

    Args:
        query: (tokens, heads, width); key and value: (tokens, heads or a divisor of them, width).
        ends: (documents + 1,) int32, where documents begin and end; empty documents are allowed.
        longest: at least the length of the longest document.
        window: tokens that each one sees, itself included; None for all before it.
    """
    if not query.is_cuda:
        return attend_each(query, key, value, ends, scale, window)
    from torch.nn.attention.varlen import varlen_attn

    options: dict[str, Any] = {"scale": scale, "window_size": (window - 1 if window else -1, 0)}
    if key.shape[1] != query.shape[1]:
        if serves_groups():
            options["enable_gqa"] = True
        else:
            key, value = (_repeat(heads, query.shape[1]) for heads in (key, value))
    attended: Tensor = varlen_attn(query, key, value, ends, ends, longest, longest, **options)
    return attended


def attend_each(
    query: Tensor, key: Tensor, value: Tensor, ends: Tensor, scale: float | None, window: int | None
) -> Tensor:
    """Return what `attend` does, by SDPA over one document after the other."""
    edges = ends.tolist()
    parts = []
    for start, end in pairwise(edges):
        if start == end:
            continue
        q, k, v = (x[start:end].transpose(0, 1)[None] for x in (query, key, value))
        mask = _window_mask(end - start, window, query.device) if window and window < end - start else None
        part = functional.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None, scale=scale, enable_gqa=k.shape[1] != q.shape[1]
        )
        parts.append(part[0].transpose(0, 1))
    return torch.cat(parts)


def _window_mask(length: int, window: int, device: torch.device) -> Tensor:
    position = torch.arange(length, device=device)
    back = position[:, None] - position[None]
    return (back >= 0) & (back < window)


def _repeat(heads: Tensor, count: int) -> Tensor:
    return heads.repeat_interleave(count // heads.shape[1], dim=1)


@lru_cache(maxsize=1)
def serves_groups() -> bool:
    """Tell whether the kernel's interface takes fewer key heads than query heads (torch 2.12 and later)."""
    from torch.nn.attention.varlen import varlen_attn

    return "enable_gqa" in inspect.signature(varlen_attn).parameters


def _layer(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    cu_seq_lens_q: Tensor | None = None,
    max_length_q: int | None = None,
    softcap: float | None = None,
    document_spans: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Serve one layer of a transformers model: heads come as (1, heads, tokens, width) and go as (1, tokens, ...)."""
    if cu_seq_lens_q is None or max_length_q is None:
        raise RuntimeError("Varlen attention serves packed batches alone: this one does not say where documents end.")
    if softcap is not None:
        raise RuntimeError("Varlen attention cannot cap its logits.")
    if query.is_cuda and torch.is_autocast_enabled("cuda"):  # what adapters add to 4-bit layers can be fp32
        query, key, value = (x.to(torch.get_autocast_dtype("cuda")) for x in (query, key, value))
    q, k, v = (x.squeeze(0).transpose(0, 1) for x in (query, key, value))
    if document_spans is not None and sees_all(sliding_window, max_length_q):
        return attend_documents(q, k, v, document_spans, scaling or q.shape[-1] ** -0.5)[None], None
    return attend(q, k, v, cu_seq_lens_q, max_length_q, scaling, sliding_window)[None], None


@contextlib.contextmanager
def attention(model: Any, name: str) -> Iterator[None]:
    """Let `model`, a transformers model, attend by `name` ("varlen", "sdpa", "eager" ...); set it back at the end."""
    before = model.config._attn_implementation
    wanted = NAME if name == "varlen" else name
    if wanted == before:
        yield
        return
    if wanted == NAME:
        from transformers import AttentionInterface

        AttentionInterface.register(NAME, _layer)
    model.set_attn_implementation(wanted)
    try:
        yield
    finally:
        model.set_attn_implementation(before)
