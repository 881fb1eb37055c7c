"""The loss of a causal language model over supervised tokens alone. Called by the trainer and by perplexity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lab.modeling.fast.varlen import document_ends
from lab.modeling.prefix import common_prefix, shared_states
from lab.series.memory import VALIDATION_LOGIT_BYTES, VALIDATION_TILE

IGNORED = -100


def supervised_nll(model: nn.Module, inputs: dict[str, Any], labels: Tensor, prefix: int = 0) -> tuple[Tensor, Tensor]:
    """Return the negative log likelihood of each supervised token.

    The head runs for the positions that predict a supervised token and for no other, so the logits of prompts never
    exist: for chat rows that is most of the head's work and nearly all of its memory.

    Args:
        inputs: input_ids and attention_mask, each (rows, length).
        labels: (rows, length); IGNORED where nothing is learnt. Token t is predicted from position t - 1.
        prefix: tokens that all rows begin with, none of them supervised nor the one after them; computed once.

    Returns:
        nll: (supervised,) in nats, fp32.
        row: (supervised,) the row that each one belongs to.
    """
    causal = causal_model(model)
    hidden = _hidden(causal.get_decoder(), inputs, prefix)[:, :-1]
    targets = labels[:, prefix + 1 :]
    kept = targets != IGNORED
    return _nll(causal, hidden[kept], targets[kept]), kept.nonzero()[:, 0]


def packed_nll(model: nn.Module, batch: dict[str, Any]) -> Tensor:
    """Return the negative log likelihood of each supervised token of packed rows: (supervised,) in nats, fp32.

    Nothing here asks the GPU for a number: where supervised tokens are is known from the batch.

    Args:
        batch: input_ids, position_ids, labels, each (1, tokens); cu_seq_lens and max_length, the ends of documents;
            predicting, (supervised,), the positions whose next token is supervised.
    """
    causal = causal_model(model)
    ids, positions, predicting = batch["input_ids"], batch["position_ids"], batch["predicting"]
    # Without an attention mask transformers keeps documents apart by their positions where the kernel does not.
    hidden = causal.get_decoder()(
        input_ids=ids, position_ids=positions, use_cache=False, **document_ends(batch)
    ).last_hidden_state
    targets = batch["labels"][0].index_select(0, predicting + 1)
    return _nll(causal, hidden[0].index_select(0, predicting), targets)


def _nll(causal: Any, rows: Tensor, targets: Tensor) -> Tensor:
    """Return the negative log likelihood of `targets` (supervised,) after the states `rows` (supervised, width).

    Where no gradient is asked for, as in validation, only some logits exist at once: all of them take more memory than
    the training of a small model with a large vocabulary.
    """
    step = max(1, len(rows) if torch.is_grad_enabled() else rows_in_tile(causal.config.get_text_config().vocab_size))
    parts = zip(rows.split(step), targets.split(step), strict=True)
    found = [functional.cross_entropy(_logits(causal, r).float(), t, reduction="none") for r, t in parts]
    return found[0] if len(found) == 1 else torch.cat(found)


def rows_in_tile(vocabulary: int) -> int:
    """Return how many rows of logits validation holds at once."""
    return max(1, VALIDATION_TILE // (VALIDATION_LOGIT_BYTES * vocabulary))


def _hidden(decoder: Any, inputs: dict[str, Any], prefix: int) -> Tensor:
    """Return the last hidden states from position `prefix` on: (rows, length - prefix, width)."""
    if not prefix:
        plain: Tensor = decoder(**inputs, use_cache=False).last_hidden_state
        return plain
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    states = shared_states(decoder, ids[:1, :prefix], len(ids))
    positions = torch.arange(prefix, ids.shape[1], device=ids.device)[None]
    rest: Tensor = decoder(
        input_ids=ids[:, prefix:],
        attention_mask=mask,
        position_ids=positions,
        past_key_values=states,
        use_cache=True,
    ).last_hidden_state
    return rest


def supervised_prefix(rows: Sequence[Sequence[int]], labels: Sequence[Sequence[int]]) -> int:
    """Return how many tokens the `rows` of a batch may share: the common ones before the first supervised token."""
    first = min(next((i for i, label in enumerate(row) if label != IGNORED), len(row)) for row in labels)
    return common_prefix(rows, first - 1)


def causal_model(model: nn.Module) -> Any:
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
