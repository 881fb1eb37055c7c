"""Evaluating one model on its test rows and tasks, each into `evaluation/<spec hash>/`.

Called by the worker and evaluation jobs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab import atomic
from lab.data.prepare import TestRow
from lab.data.rows import split_hash
from lab.evaluation.bertscore import answers_for
from lab.evaluation.bertscore import prepare as prepare_scoring
from lab.evaluation.choosing import Chosen, choose
from lab.evaluation.generate import Answered, Answerer, batch_size
from lab.evaluation.perplexity import reference_nll
from lab.evaluation.sets import TEST, QuestionSet
from lab.evaluation.spec import artifact_hash, build_spec, hash_of_tokens
from lab.home import make_private
from lab.modeling.dora import settled
from lab.runs import lock
from lab.runs.appendlog import AppendLog
from lab.runs.paths import EvaluationPaths, RunPaths
from lab.runs.reader import read_all, read_json
from lab.scoring.names import JUDGED
from lab.scoring.score import score
from lab.text import plural

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Say = Callable[[str], None]
Asks = Callable[[], bool]
Records = Iterator[list[dict[str, Any]]]


@dataclass(frozen=True)
class Subject:
    """The model that answers, and in what form.

    Attributes:
        stop_ids: the tokens that end an answer.
        share: what the rows of a batch begin with may be computed once.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    device: str
    dtype: str
    quantization: str
    stop_ids: frozenset[int]
    share: bool


def evaluate(
    run: RunPaths, asked: QuestionSet, subject: Subject, progress: Say, stop_asked: Asks
) -> EvaluationPaths | None:
    """Answer the rows, measure their references' likelihood, score. Answers of the same spec that exist are kept.

    Returns:
        The finished evaluation; None if it was stopped half-way, to go on where it stopped when asked again.
    """
    prepare_scoring(asked.decoding, progress)
    spec = _spec(run, asked, subject)
    paths = EvaluationPaths(make_private(run.evaluation / spec["hash"]))
    handle = lock.acquire(paths.folder / "lock")  # two jobs of one spec would write each answer twice
    try:
        atomic.write_json(paths.spec, {**spec, "metrics": asked.decoding.metric_names})
        with settled(subject.model):
            if not _answer(paths, asked, subject, progress, stop_asked):
                return None
            progress(_about(asked, "scoring"))
            atomic.write_json(paths.metrics, _metrics(paths, asked, subject))
        return paths
    finally:
        os.close(handle)


def _answer(paths: EvaluationPaths, asked: QuestionSet, subject: Subject, progress: Say, stop_asked: Asks) -> bool:
    """Write an answer for each row that has none. Returns False if somebody asked to stop."""
    done = {str(record["id"]) for record in read_all(paths.generations)}
    missing = [place for place, row in enumerate(asked.rows) if row.id not in done]
    ways = _choose if asked.by_likelihood else _generate
    log = AppendLog(paths.generations)
    try:
        for batch in ways(asked, missing, subject, progress, stop_asked) if missing else ():
            for record in batch:
                log.append(record)
            done.update(record["id"] for record in batch)
            progress(_about(asked, f"answered {len(done)} of {len(asked.rows)}"))
    finally:
        log.close()
    return len(done) >= len(asked.rows)


def _generate(asked: QuestionSet, missing: Sequence[int], subject: Subject, say: Say, stop_asked: Asks) -> Records:
    rows = [asked.rows[place] for place in missing]
    likelihoods: list[tuple[float, int]] | None = None
    if asked.referenced:
        say(_about(asked, f"perplexity of {plural(len(rows), 'reference')}"))
        references = [row.encoded for row in rows]
        pad = subject.tokenizer.pad_token_id
        likelihoods = reference_nll(subject.model, references, pad, share=subject.share, stop_asked=stop_asked)
    if stop_asked():
        return
    size = batch_size(asked.decoding, subject.device)
    for batch in _answerer(asked, subject).answers([row.prompt_ids for row in rows], size, stop_asked, say):
        yield [_generation(rows[one.index], one, likelihoods[one.index] if likelihoods else None) for one in batch]


def _choose(asked: QuestionSet, missing: Sequence[int], subject: Subject, say: Say, stop_asked: Asks) -> Records:
    choices = [asked.choices[place] for place in missing]
    pad = subject.tokenizer.pad_token_id
    for batch in choose(subject.model, asked.labels, choices, pad, share=subject.share, stop_asked=stop_asked):
        yield [_choice(asked.rows[missing[one.index]], one) for one in batch]


def _answerer(asked: QuestionSet, subject: Subject) -> Answerer:
    return Answerer(subject.model, subject.tokenizer, subject.stop_ids, asked.decoding, subject.share)


def _about(asked: QuestionSet, text: str) -> str:
    return text if asked.task == TEST else f"{asked.task}: {text}"


def _spec(run: RunPaths, asked: QuestionSet, subject: Subject) -> dict[str, Any]:
    return build_spec(
        asked.decoding,
        rows=len(asked.rows),
        rows_hash=split_hash([row.row for row in asked.rows]),
        tokens_hash=hash_of_tokens(asked.rows),
        test_hash=asked.test_hash,
        template_hash=asked.template_hash,
        size=batch_size(asked.decoding, subject.device),
        dtype=subject.dtype,
        quantization=subject.quantization,
        artifact=artifact_hash(run.adapter),
        task=asked.spec,
    )


def _generation(row: TestRow, one: Answered, likelihood: tuple[float, int] | None) -> dict[str, Any]:
    """Return a line of `generations.jsonl`; without a likelihood the row has no reference."""
    nll, tokens = likelihood or (None, None)
    return {
        "id": row.id,
        "prompt": row.prompt_text,
        "references": list(row.references) if likelihood else [],
        "answer": one.text,
        "tokens": one.tokens,
        "seconds": one.seconds,
        "finish": one.finish,
        "group": row.group,
        "nll": nll,
        "nll_tokens": tokens,
        "reference_bytes": len(row.row.reference.encode()) if likelihood else None,
    }


def _choice(row: TestRow, one: Chosen) -> dict[str, Any]:
    right = next(text for text in row.references if text in one.nll)
    nll, tokens = one.nll[right]
    return {
        "id": row.id,
        "prompt": row.prompt_text,
        "references": list(row.references),
        "answer": one.label,
        "tokens": 0,
        "seconds": one.seconds,
        "finish": "stop",
        "group": row.group,
        "nll": nll,
        "nll_tokens": tokens,
        "reference_bytes": len(right.encode()),
        "labels": {label: value for label, (value, _) in one.nll.items()},
    }


def _metrics(paths: EvaluationPaths, asked: QuestionSet, subject: Subject) -> dict[str, Any]:
    generations = list(read_all(paths.generations))
    tokens, seconds = sum(int(g["tokens"]) for g in generations), sum(float(g["seconds"]) for g in generations)
    prompts = [row.prompt_ids for row in asked.rows[:5]]
    cost = {
        "generated_tokens": tokens,
        "seconds": seconds,
        "tokens_per_second": tokens / seconds if tokens and seconds else None,
        "first_token_seconds": None if asked.by_likelihood else _answerer(asked, subject).first_token_seconds(prompts),
    }
    answers = answers_for(paths, asked.decoding, subject.model.device.type)
    found = score(answers, asked.decoding.metric_names)
    if asked.trained_on:
        text = f"{asked.trained_on} of {plural(len(asked.rows), 'row')} were also trained on"
        found["notes"] |= dict.fromkeys(list(found["metrics"])[:1], text)
    judged = (read_json(paths.metrics) or {}).get("metrics", {})  # of these very answers, by `lab judge`
    found["metrics"] |= {name: judged[name] for name in JUDGED if name in judged}
    return {**found, "cost": cost}
