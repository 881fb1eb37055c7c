"""Model FLOPs a trained token, for the share of a GPU's peak that a run reaches (MFU)."""

from __future__ import annotations

from collections.abc import Iterable

from lab.series.shapes import ModelShape, parameter_counts


def mean_length(lengths: Iterable[int]) -> float:
    """Return the mean length of the document that a token stands in, `sum(n^2) / sum(n)`: 0 for no tokens.

    Longer than the mean document, because more tokens stand in long documents.
    """
    kept = list(lengths)
    total = sum(kept)
    return sum(length * length for length in kept) / total if total else 0.0


def flops_per_token(
    shape: ModelShape, *, length: float, adapter_parameters: int = 0, labelled: float = 1.0, frozen: bool = True
) -> float:
    """Return the FLOPs that one trained token needs with a frozen base and LoRA adapters, or with all weights trained.

    `4 N + 4 V H f + 6 N_l + 6 h d sum(S)`: frozen weights cost a forward and the gradient of their input but none of
    their own; what trains costs all three; causal attention over a document of S tokens costs `2 h d S` a layer forward
    and twice that backward. Recomputation (checkpoints, fused heads) is no model FLOP.

    Args:
        length: S, tokens of the document that a token stands in (`mean_length` for packed rows).
        labelled: f, the share of tokens that bear a label and reach the head.
        frozen: the base learns nothing; where all of it does, N and V H count six times.
    """
    head = shape.vocab * shape.hidden
    full = shape.layers - shape.windowed_layers
    attended = full * length + shape.windowed_layers * _windowed(length, shape.window)
    passes = 4.0 if frozen else 6.0
    return (
        passes * parameter_counts(shape).decoder
        + passes * head * labelled
        + 6.0 * adapter_parameters
        + 6.0 * shape.heads * shape.head_dim * attended
    )


def _windowed(length: float, window: int) -> float:
    """Return the length of a fully causal document that costs what one of `length` costs seen through `window`.

    A token sees min(position, window) tokens: `window - window^2 / (2 length)` in the mean, against `length / 2`.
    """
    return length if length <= window else 2 * window - window * window / length
