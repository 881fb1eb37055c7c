"""How likely the references are: the negative log likelihood of each test row. Called by `evaluation.run`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

from lab.data.masks import Encoded
from lab.modeling.loss import IGNORED, supervised_nll, supervised_prefix

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TOKENS = 8192


@torch.inference_mode()
def reference_nll(
    model: PreTrainedModel,
    rows: Sequence[Encoded],
    pad: int,
    *,
    share: bool = False,
    stop_asked: Callable[[], bool] = lambda: False,
) -> list[tuple[float, int]]:
    """Return (sum of the supervised tokens' negative log likelihood in nats, their number) for each row.

    The mask is training's own, so this is the loss that training lowers.

    Args:
        share: compute once what the rows of a batch begin with.
        stop_asked: asked before each batch; where somebody wants to stop the rows that are left get (0.0, 0).
    """
    results: list[tuple[float, int]] = [(0.0, 0)] * len(rows)
    for batch in likelihood_batches(rows):
        if stop_asked():
            break
        longest = max(len(rows[i].input_ids) for i in batch)
        ids = torch.tensor([[*rows[i].input_ids, *[pad] * (longest - len(rows[i].input_ids))] for i in batch])
        labels = torch.tensor([[*rows[i].labels, *[IGNORED] * (longest - len(rows[i].labels))] for i in batch])
        mask = torch.tensor([[1] * len(rows[i].input_ids) + [0] * (longest - len(rows[i].input_ids)) for i in batch])
        device = model.device
        inputs = {"input_ids": ids.to(device), "attention_mask": mask.to(device)}
        chosen = [rows[i] for i in batch]
        prefix = supervised_prefix([r.input_ids for r in chosen], [r.labels for r in chosen]) if share else 0
        nll, row = supervised_nll(model, inputs, labels.to(device), prefix)
        sums = torch.zeros(len(batch), dtype=torch.float64, device=device).index_add_(0, row, nll.double()).tolist()
        counts = torch.bincount(row, minlength=len(batch)).tolist()
        for index, total, count in zip(batch, sums, counts, strict=True):
            results[index] = (total, count)
    return results


def likelihood_batches(rows: Sequence[Encoded]) -> list[list[int]]:
    """Group rows of like length so that a batch holds at most `TOKENS` tokens with its padding."""
    order = sorted(range(len(rows)), key=lambda i: (-len(rows[i].input_ids), i))
    batches: list[list[int]] = []
    for index in order:
        if batches and len(rows[batches[-1][0]].input_ids) * (len(batches[-1]) + 1) <= TOKENS:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
