"""The metrics: name to per-row statistics and the function of their sums. Called by `score` and `lab.compare`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.scoring import aggregates, bertscore, bleu, chrf, json_match, labels, likelihood, rouge, squad
from lab.scoring.answers import Answer
from lab.scoring.names import METRIC_NAMES
from lab.series.bootstrap import Sample, Sparse
from lab.text import plural

if TYPE_CHECKING:
    from lab.series.bootstrap import Floats


@dataclass(frozen=True)
class Metric:
    """One metric.

    `statistics` gives (rows, k), `aggregate` maps their sums (..., k) to values (...), `signature` names what the value
    depends on, and `missing` says why these answers have no such value (None: they have). `binary` rows are 0 or 1.
    """

    name: str
    statistics: Callable[[Sequence[Answer]], Floats | Sparse]
    aggregate: Callable[[Floats], Floats]
    signature: Callable[[Sequence[Answer]], str]
    missing: Callable[[Sequence[Answer]], str | None]
    binary: bool = False

    @property
    def higher_is_better(self) -> bool:
        return METRIC_NAMES[self.name].higher_is_better

    def sample(self, answers: Sequence[Answer]) -> Sample:
        """Return what the bootstrap needs to know of these answers."""
        return Sample(self.statistics(answers), self.aggregate)


def _without_reference(answers: Sequence[Answer]) -> str | None:
    return _reason(answers, [not answer.references for answer in answers], "no reference")


def _without_json(answers: Sequence[Answer]) -> str | None:
    lacking = [not any(map(json_match.is_json, answer.references)) for answer in answers]
    return _reason(answers, lacking, "no reference that is JSON")


def _without_likelihood(size: str) -> Callable[[Sequence[Answer]], str | None]:
    def missing(answers: Sequence[Answer]) -> str | None:
        sizes = [getattr(answer, size) for answer in answers]
        lacking = [
            answer.nll is None or math.isnan(answer.nll) or count is None
            for answer, count in zip(answers, sizes, strict=True)
        ]
        reason = _reason(answers, lacking, f"no measured nll and {size}")
        return reason or (None if sum(sizes) else f"every row's {size} is 0")

    return missing


def _reason(answers: Sequence[Answer], lacking: list[bool], what: str) -> str | None:
    if not answers:
        return "there are no answers"
    count = sum(lacking)
    return f"{what} on {count:,} of {plural(len(answers), 'row')}" if count else None


def _rouge(name: str) -> Metric:
    return Metric(name, rouge.statistics(name), aggregates.mean, rouge.signature, _without_reference)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("bleu", bleu.statistics, bleu.aggregate, bleu.signature, _without_reference),
        Metric("chrf", chrf.statistics, chrf.aggregate, chrf.signature, _without_reference),
        *map(_rouge, rouge.MEASURES),
        Metric("exact_match", squad.exact_match, aggregates.mean, squad.signature, _without_reference, binary=True),
        Metric("token_f1", squad.token_f1, aggregates.mean, squad.signature, _without_reference),
        Metric("json_match", json_match.json_match, aggregates.mean, json_match.signature, _without_json, binary=True),
        Metric(
            "accuracy", labels.accuracy, aggregates.mean, labels.accuracy_signature, _without_reference, binary=True
        ),
        Metric("macro_f1", labels.confusion, labels.macro_f1, labels.macro_f1_signature, _without_reference),
        Metric("bertscore", bertscore.statistics, aggregates.mean, bertscore.signature, bertscore.missing),
        Metric(
            "perplexity",
            likelihood.per_token,
            likelihood.perplexity,
            likelihood.perplexity_signature,
            _without_likelihood("nll_tokens"),
        ),
        Metric(
            "bits_per_byte",
            likelihood.per_byte,
            likelihood.bits_per_byte,
            likelihood.bits_per_byte_signature,
            _without_likelihood("reference_bytes"),
        ),
    )
}


def samples_of(answers: Sequence[Answer], names: Sequence[str]) -> dict[str, Sample]:
    """Return what the bootstrap needs of each metric, none of which may be missing; each text is read once a family."""
    family = [name for name in names if name in rouge.MEASURES]
    read = dict(zip(family, rouge.table(answers, family), strict=True)) if family else {}
    return {
        name: Sample(read[name], METRICS[name].aggregate) if name in read else METRICS[name].sample(answers)
        for name in names
    }
