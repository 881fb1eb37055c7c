"""The loss of a head, its gradients made in the forward pass. Called by `modeling.fast.step`.

The head costs as much as four layers of a small model. For some rows at a time the logits are computed once, turned
into their own gradient in place, and multiplied back: to the gradient of the hidden states, and to that of the head's
weight where it trains. Neither logits nor softmax outlive that, and nothing is computed again in the backward pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lab.modeling.fast.kernels import softmax_gradient_
from lab.series.memory import tile_bytes

ROWS_STEP = 128


@dataclass(frozen=True)
class HeadForm:
    """A head as a product and what some architectures put behind it.

    Attributes:
        weight: (vocabulary, width).
        multiplier, cap: as in `kernels.softmax_gradient_`.
    """

    weight: Tensor
    multiplier: float
    cap: float


def head_obstacle(causal: Any) -> str:
    """Return why the fast head cannot serve this model with a head; "" where it can."""
    head = causal.get_output_embeddings()
    if type(head) is not nn.Linear:
        return "the head is no plain linear layer"
    if head.bias is not None:
        return "the head has a bias"
    return "fp16 gradients would underflow" if head.weight.dtype == torch.float16 else ""


def head_form(causal: Any) -> HeadForm:
    """Return the head of a model with the scalings behind it.

    Sources: Gemma 2's final_logit_softcapping, Cohere's logit_scale, Granite's logits_scaling in transformers.
    """
    config = causal.config.get_text_config()
    multiplier = float(getattr(config, "logit_scale", None) or 1.0) / float(
        getattr(config, "logits_scaling", None) or 1.0
    )
    weight = causal.get_output_embeddings().weight
    return HeadForm(weight, multiplier, float(getattr(config, "final_logit_softcapping", None) or 0.0))


def head_loss(causal: Any, rows: Tensor, targets: Tensor, items: int | Tensor) -> Tensor:
    """Return the loss summed over `targets`, by `items`; nothing here waits for the device.

    Args:
        rows: (predicting, width), the decoder's last states at the positions before the targets.
        targets: (predicting,); IGNORED where a row only fills up a fixed shape.
        items: supervised tokens of the whole optimiser step: a number, or an fp32 tensor of one on the device.
    """
    scale = items.reciprocal() if isinstance(items, Tensor) else torch.full((), 1.0 / items, device=rows.device)
    if torch.is_autocast_enabled(rows.device.type):
        rows = rows.to(torch.get_autocast_dtype(rows.device.type))
    form = head_form(causal)
    loss: Tensor = _HeadLoss.apply(rows, form.weight, targets, scale.to(torch.float32), form)
    return loss


def rows_at_once(vocabulary: int, itemsize: int, rows: int, budget: int = 0) -> int:
    """Return how many of `rows` have logits at once: parts of like size, each within `budget` bytes.

    Args:
        itemsize: bytes of a logit.
        budget: 0 takes what `series.memory` reckons with.
    """
    row = vocabulary * itemsize
    most = max(ROWS_STEP, (budget or tile_bytes(rows)) // row // ROWS_STEP * ROWS_STEP)
    even = math.ceil(rows / max(1, math.ceil(rows / most)))
    return max(ROWS_STEP, math.ceil(even / ROWS_STEP) * ROWS_STEP)


class _HeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, master: Tensor, targets: Tensor, scale: Tensor, form: HeadForm) -> Tensor:
        gradient, losses = torch.empty_like(hidden), []
        learnt = torch.zeros_like(master) if ctx.needs_input_grad[1] else None
        step = rows_at_once(len(master), hidden.element_size(), len(hidden))
        with torch.autocast(hidden.device.type, enabled=False):
            weight = master.to(hidden.dtype)
            for start in range(0, len(hidden), step):
                part = slice(start, start + step)
                logits = hidden[part] @ weight.t()
                losses.append(softmax_gradient_(logits, targets[part], scale, form.multiplier, form.cap))
                torch.mm(logits, weight, out=gradient[part])
                if learnt is not None:
                    learnt += logits.t() @ hidden[part]
                del logits
        ctx.save_for_backward(gradient, learnt)
        return torch.cat(losses).sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        gradient, learnt = ctx.saved_tensors
        # The scale of the loss is in them already: what comes in is 1, or a power of two under loss scaling.
        scaled = gradient * gradients[0].to(gradient.dtype)
        return scaled, None if learnt is None else learnt.mul_(gradients[0].to(learnt.dtype)), None, None, None
