"""Evaluating one model on its test rows, into `evaluation/<spec hash>/`. Called by the worker and evaluation jobs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab import atomic
from lab.data.prepare import Prepared, TestRow
from lab.data.rows import split_hash
from lab.evaluation.bertscore import answers_for
from lab.evaluation.bertscore import prepare as prepare_scoring
from lab.evaluation.generate import Answered, Answerer, batch_size
from lab.evaluation.perplexity import reference_nll
from lab.evaluation.spec import artifact_hash, build_spec, chosen_rows
from lab.home import make_private
from lab.profile.schema import Profile
from lab.runs import lock
from lab.runs.appendlog import AppendLog
from lab.runs.paths import EvaluationPaths, RunPaths
from lab.runs.reader import read_all
from lab.scoring.score import score

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


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
    run: RunPaths,
    profile: Profile,
    prepared: Prepared,
    subject: Subject,
    progress: Callable[[str], None],
    stop_asked: Callable[[], bool],
) -> EvaluationPaths | None:
    """Answer the test rows, measure their perplexity, score. Answers of the same spec that exist already are kept.

    Returns:
        The finished evaluation; None if it was stopped half-way, to go on where it stopped when asked again.
    """
    prepare_scoring(profile.evaluate, progress)
    rows = chosen_rows(prepared.test, profile.evaluate)
    spec = _spec(run, profile, prepared, subject, rows)
    paths = EvaluationPaths(make_private(run.evaluation / spec["hash"]))
    handle = lock.acquire(paths.folder / "lock")  # two jobs of one spec would write each answer twice
    try:
        return _answered(paths, spec, profile, rows, subject, progress, stop_asked)
    finally:
        os.close(handle)


def _answered(
    paths: EvaluationPaths,
    spec: dict[str, Any],
    profile: Profile,
    rows: Sequence[TestRow],
    subject: Subject,
    progress: Callable[[str], None],
    stop_asked: Callable[[], bool],
) -> EvaluationPaths | None:
    atomic.write_json(paths.spec, spec)
    done = {str(record["id"]) for record in read_all(paths.generations)}
    missing = [row for row in rows if row.row.id not in done]
    progress(f"perplexity of {len(missing)} references")
    references = [row.encoded for row in missing]
    pad = subject.tokenizer.pad_token_id
    likelihoods = reference_nll(subject.model, references, pad, share=subject.share, stop_asked=stop_asked)
    if stop_asked():
        return None
    log = AppendLog(paths.generations)
    size = batch_size(profile.evaluate, subject.device)
    prompts = [row.prompt_ids for row in missing]
    answerer = Answerer(subject.model, subject.tokenizer, subject.stop_ids, profile.evaluate, subject.share)
    for batch in answerer.answers(prompts, size, stop_asked):
        for one in batch:
            log.append(_generation(missing[one.index], one, *likelihoods[one.index]))
        done.update(missing[one.index].row.id for one in batch)
        progress(f"answered {len(done)} of {len(rows)}")
    log.close()
    if len(done) < len(rows):
        return None
    progress("scoring")
    atomic.write_json(paths.metrics, _metrics(paths, profile, answerer, rows))
    return paths


def _spec(
    run: RunPaths, profile: Profile, prepared: Prepared, subject: Subject, rows: Sequence[TestRow]
) -> dict[str, Any]:
    return build_spec(
        profile.evaluate,
        rows=len(rows),
        rows_hash=split_hash([row.row for row in rows]),
        test_hash=prepared.report["splits"]["test"]["hash"],
        template_hash=prepared.template.hash,
        size=batch_size(profile.evaluate, subject.device),
        dtype=subject.dtype,
        quantization=subject.quantization,
        artifact=artifact_hash(run.adapter),
    )


def _generation(row: TestRow, one: Answered, nll: float, nll_tokens: int) -> dict[str, Any]:
    return {
        "id": row.row.id,
        "prompt": row.prompt_text,
        "references": list(row.references),
        "answer": one.text,
        "tokens": one.tokens,
        "seconds": one.seconds,
        "finish": one.finish,
        "group": row.row.group,
        "nll": nll,
        "nll_tokens": nll_tokens,
        "reference_bytes": len(row.row.reference.encode()),
    }


def _metrics(paths: EvaluationPaths, profile: Profile, answerer: Answerer, rows: Sequence[TestRow]) -> dict[str, Any]:
    generations = list(read_all(paths.generations))
    tokens, seconds = sum(int(g["tokens"]) for g in generations), sum(float(g["seconds"]) for g in generations)
    cost = {
        "generated_tokens": tokens,
        "seconds": seconds,
        "tokens_per_second": tokens / seconds if seconds else None,
        "first_token_seconds": answerer.first_token_seconds([row.prompt_ids for row in rows[:5]]),
    }
    answers = answers_for(paths, profile.evaluate, answerer.model.device.type)
    return {**score(answers, profile.evaluate.metric_names), "cost": cost}
