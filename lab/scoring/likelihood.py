"""`perplexity` and `bits_per_byte`: how well the model expects the references, apart from what it generates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lab.scoring.aggregates import ratio
from lab.scoring.answers import Answer

if TYPE_CHECKING:
    from lab.series.bootstrap import Floats


def per_token(answers: Sequence[Answer]) -> Floats:
    """Return (rows, 2): negative log likelihood in nats, supervised tokens."""
    return np.array([(answer.nll, answer.nll_tokens) for answer in answers], dtype=np.float64)


def per_byte(answers: Sequence[Answer]) -> Floats:
    """Return (rows, 2): negative log likelihood in bits, UTF-8 bytes of the reference."""
    return np.array([(answer.nll, answer.reference_bytes) for answer in answers], dtype=np.float64) / [math.log(2), 1]


def perplexity(sums: Floats) -> Floats:
    """Return exp(sum of NLL / sum of tokens), (..., 2) -> (...): not the mean of the rows' perplexities."""
    with np.errstate(over="ignore"):  # a diverged model's perplexity is infinite, and is shown so
        return np.exp(ratio(sums[..., 0], sums[..., 1]))


def bits_per_byte(sums: Floats) -> Floats:
    """Return bits a byte, (..., 2) -> (...): unlike perplexity it compares across tokenizers."""
    return ratio(sums[..., 0], sums[..., 1])


def perplexity_signature(_: Sequence[Answer]) -> str:
    return "exp:sum-nll/sum-tokens|tokens:supervised|version:1"


def bits_per_byte_signature(_: Sequence[Answer]) -> str:
    return "sum-nll/ln2/sum-bytes|bytes:utf-8|version:1"
