"""Does the export say what the trained model says? Logits and greedy answers on test rows. Called by `merge`."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lab.data.prepare import TestRow
from lab.errors import LabError
from lab.evaluation.generate import Answerer
from lab.profile.schema import Evaluate
from lab.text import clip, sanitize

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

ROWS = 20
ANSWER_TOKENS = 32
BATCH = 10
POSITIONS = 32
"""Places a row whose logits are compared: the last ones, where the answer stands."""

AGREEMENT = {"fp32": 1.0, "bf16": 0.95, "fp16": 0.95}
LOGITS = {"fp32": 1e-3, "bf16": 0.5, "fp16": 0.2}
"""Largest difference of a logit, in standard deviations of the logits: arithmetic's noise in fp32, the rounding of
weights in 16 bits. A wrong scale or a missing matrix is beyond either."""


@dataclass(frozen=True)
class Spoken:
    """What a model said to the rows.

    Attributes:
        logits: one tensor a row, (positions, vocabulary), fp32 on the CPU.
    """

    answers: list[str]
    logits: list[Tensor]


@dataclass(frozen=True)
class Parity:
    """How far two models agree.

    Attributes:
        largest, mean: absolute difference of logits; `relative` is the largest in standard deviations.
        differing: the rows whose greedy answers differ, with both beginnings.
        precision: what the limits were chosen for.
    """

    rows: int
    agreeing: int
    largest: float
    mean: float
    relative: float
    differing: list[dict[str, str]]
    precision: str
    reference: str

    @property
    def holds(self) -> bool:
        enough = self.agreeing >= self.rows * AGREEMENT[self.precision] - 1e-9
        return enough and self.relative <= LOGITS[self.precision]

    def as_json(self) -> dict[str, Any]:
        limits = {"agreement": AGREEMENT[self.precision], "relative": LOGITS[self.precision]}
        return {**asdict(self), "holds": self.holds, "limits": limits, "answer_tokens": ANSWER_TOKENS}

    def require(self) -> None:
        """Raise LabError, which says where they differ, if the limits are not held."""
        if self.holds:
            return
        where = self.differing[0] if self.differing else None
        shown = f" First at row {where['id']}: {where['reference']!r} became {where['export']!r}." if where else ""
        raise LabError(
            f"The export does not say what the run says: {self.agreeing} of {self.rows} greedy answers agree, "
            f"logits differ by {self.relative:.2g} standard deviations.{shown}",
            "Nothing was kept; try --dtype fp32, and compare the library versions in the run's environment.json.",
        )


def short_greedy(decoding: Evaluate) -> Evaluate:
    """Return the decoding under which answers are compared."""
    shorter = min(decoding.max_new_tokens, ANSWER_TOKENS)
    return decoding.model_copy(update={"temperature": 0.0, "max_new_tokens": shorter})


def speak(
    load: Callable[[], PreTrainedModel],
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[TestRow],
    stop_ids: frozenset[int],
    decoding: Evaluate,
) -> Spoken:
    """Load a model, let it answer the rows, and let it go: only one is in memory at once."""
    model = load()
    answerer = Answerer(model, tokenizer, stop_ids, short_greedy(decoding))
    texts = {one.index: one.text for batch in answerer.answers([r.prompt_ids for r in rows], BATCH) for one in batch}
    said = Spoken([texts[index] for index in range(len(rows))], [_logits(model, row) for row in rows])
    del model, answerer
    gc.collect()
    return said


def compare(rows: Sequence[TestRow], reference: Spoken, export: Spoken, *, precision: str, name: str) -> Parity:
    """Return how far `export` agrees with `reference`.

    Args:
        precision: the coarser one of both, by which the limits go.
        name: what the reference is, for people.
    """
    import torch

    pairs = list(zip(reference.logits, export.logits, strict=True))
    gaps = [(a - b).abs() for a, b in pairs]
    spread = float(torch.cat([a.flatten() for a, _ in pairs]).std()) if pairs else 1.0
    largest = max((float(gap.max()) for gap in gaps), default=0.0)
    texts = list(zip(rows, reference.answers, export.answers, strict=True))
    differing = [{"id": row.id, "reference": _short(a), "export": _short(b)} for row, a, b in texts if a != b]
    return Parity(
        rows=len(rows),
        agreeing=len(rows) - len(differing),
        largest=largest,
        mean=float(sum(float(gap.mean()) for gap in gaps) / len(gaps)) if gaps else 0.0,
        relative=largest / spread if spread else float(largest > 0),
        differing=differing,
        precision=precision,
        reference=name,
    )


def _logits(model: PreTrainedModel, row: TestRow) -> Tensor:
    import torch

    with torch.inference_mode():
        ids = torch.tensor([row.encoded.input_ids], device=model.device)
        every: Tensor = model(input_ids=ids, logits_to_keep=POSITIONS).logits[0]
    return every[-POSITIONS:].float().cpu()


def _short(text: str) -> str:
    return clip(sanitize(text, newlines=False), 60)
