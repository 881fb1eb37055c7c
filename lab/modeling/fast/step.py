"""One micro-step over packed rows: loss and gradients by the fast pieces. Called by the trainer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lab.modeling.fast.documents import document_spans
from lab.modeling.fast.graphs import GraphedStep, Inputs
from lab.modeling.fast.head import head_loss
from lab.modeling.fast.kernels import IGNORED
from lab.modeling.fast.varlen import document_ends

QUARTERS = 4
"""With few shapes the rows of the head are filled up to a quarter, a half, three quarters or all of the tokens."""
READ = ("input_ids", "position_ids", "cu_seq_lens", "max_length", "predicting")


class PackedStep:
    """Computes the loss of packed micro-batches with the fast head and adds its gradients to `.grad`.

    Args:
        causal: the model with a language-modelling head, out of its wrappers.
        parameters: what is trained.
        graph: replay each shape as a CUDA graph; batches should then have few shapes.
        precision: entered around each forward pass, a fresh one each time (autocast); None for none.
        short: let the kernel for short documents attend.
    """

    def __init__(
        self,
        causal: Any,
        parameters: Sequence[nn.Parameter],
        *,
        graph: bool,
        precision: Any = None,
        short: bool = False,
    ) -> None:
        self.causal = causal
        self.precision = precision
        self.short = short
        self.device = parameters[0].device
        self.graphed = GraphedStep(self.loss, parameters) if graph else None
        self.shaper = Shaper()

    def __call__(self, batch: dict[str, Any], items: int) -> Tensor:
        """Return the loss, detached: the sum over the supervised tokens of `batch` by `items`, those of the step."""
        inputs = step_inputs(batch, items)
        if self.graphed is not None:
            shaped, grown = self.shaper(inputs)
            if grown:
                self.graphed.forget()
            return self.graphed(_to(shaped, self.device))
        loss = self.loss(_to(inputs, self.device))
        loss.backward()
        return loss.detach()

    def loss(self, inputs: Inputs) -> Tensor:
        """Return the loss of inputs that `step_inputs` made."""
        return packed_loss(self.causal, inputs, self.precision, short=self.short)

    def release(self) -> None:
        """Give back the memory of graphs; no more steps can be taken."""
        if self.graphed is not None:
            self.graphed.forget()
        self.graphed = None  # it knows `loss`, and so this object: their memory would wait for the collector


def packed_loss(causal: Any, inputs: Inputs, precision: Any = None, *, short: bool = False) -> Tensor:
    """Return the loss of what `step_inputs` made; nothing here waits for the device.

    Args:
        precision, short: as in `PackedStep`.
    """
    if precision is not None:
        with precision():
            return packed_loss(causal, inputs, short=short)
    told = document_ends(inputs)
    if short:
        told["document_spans"] = document_spans(inputs["cu_seq_lens"], inputs["input_ids"].shape[1])
    hidden = causal.get_decoder()(
        input_ids=inputs["input_ids"],
        position_ids=inputs["position_ids"],
        use_cache=False,
        **told,
    ).last_hidden_state
    rows = hidden.squeeze(0).index_select(0, inputs["predicting"])
    return head_loss(causal, rows, inputs["targets"], inputs["items"])


def step_inputs(batch: dict[str, Any], items: int) -> Inputs:
    """Return what a micro-step reads of a packed batch.

    Args:
        batch: packed, as `training.batches` makes it.
        items: supervised tokens of the optimiser step.
    """
    targets = batch["labels"][0].index_select(0, batch["predicting"] + 1)
    made = {name: batch[name] for name in READ}
    return made | {"targets": targets, "items": torch.tensor(float(items))}


class Shaper:
    """Fills up the inputs of micro-steps so that their shape follows from their number of tokens, or nearly.

    The number of documents and the longest one only ever grow; rows of the head come in quarters of the tokens.
    """

    def __init__(self) -> None:
        self.ends = 0
        self.longest = 0

    def __call__(self, inputs: Inputs) -> tuple[Inputs, bool]:
        """Return `inputs` filled up by empty documents and rows that teach nothing, and whether all shapes grew."""
        tokens, ends, rows = inputs["input_ids"].shape[1], inputs["cu_seq_lens"], inputs["predicting"]
        before = self.ends, self.longest
        self.ends = max(self.ends, len(ends))
        self.longest = max(self.longest, inputs["max_length"])
        fill = math.ceil(QUARTERS * len(rows) / tokens) * tokens // QUARTERS - len(rows)
        shaped = inputs | {
            "cu_seq_lens": functional.pad(ends, (0, self.ends - len(ends)), value=tokens),
            "max_length": self.longest,
            "predicting": functional.pad(rows, (0, fill)),
            "targets": functional.pad(inputs["targets"], (0, fill), value=IGNORED),
        }
        return shaped, before != (self.ends, self.longest)


def _to(inputs: Inputs, device: torch.device) -> Inputs:
    """Copy tensors to the device; from pinned memory, since a copy from other memory waits for all before it."""
    found: Inputs = {}
    for name, value in inputs.items():
        if isinstance(value, Tensor) and device.type == "cuda" and not value.is_cuda:
            value = value.pin_memory()
        found[name] = value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
    return found
