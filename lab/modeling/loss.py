"""The loss of a causal language model over supervised tokens alone. Called by the trainer and by perplexity."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

IGNORED = -100


def supervised_nll(model: nn.Module, inputs: dict[str, Any], labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the negative log likelihood of each supervised token.

    The head runs for the positions that predict a supervised token and for no other, so the logits of prompts never
    exist: for chat rows that is most of the head's work and nearly all of its memory.

    Args:
        inputs: input_ids and attention_mask (or position_ids), each (rows, length).
        labels: (rows, length); IGNORED where nothing is learnt. Token t is predicted from position t - 1.

    Returns:
        nll: (supervised,) in nats, fp32.
        row: (supervised,) the row that each one belongs to.
    """
    causal = _causal_model(model)
    hidden = causal.get_decoder()(**inputs, use_cache=False).last_hidden_state[:, :-1]
    targets = labels[:, 1:]
    kept = targets != IGNORED
    logits = _logits(causal, hidden[kept]).float()
    nll = functional.cross_entropy(logits, targets[kept], reduction="none")
    return nll, kept.nonzero()[:, 0]


def _causal_model(model: nn.Module) -> Any:
    """Return the model with a language-modelling head inside whatever wraps it (PEFT)."""
    get_base = getattr(model, "get_base_model", None)
    return get_base() if get_base is not None else model


def _logits(causal: Any, hidden: Tensor) -> Tensor:
    """Apply the head with the scalings that some architectures put behind it.

    Sources: Gemma 2's final_logit_softcapping, Cohere's logit_scale, Granite's logits_scaling in transformers.
    """
    logits: Tensor = causal.get_output_embeddings()(hidden)
    config = causal.config.get_text_config()
    if scale := getattr(config, "logit_scale", None):
        logits = logits * scale
    if divisor := getattr(config, "logits_scaling", None):
        logits = logits / divisor
    if cap := getattr(config, "final_logit_softcapping", None):
        logits = torch.tanh(logits / cap) * cap
    return logits
