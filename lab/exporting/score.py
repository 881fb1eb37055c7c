"""Answering a run's test rows with what was exported, so that it stands in the same table. Called by the exports.

An artefact's answers lie in the run's `evaluation/<spec hash>/` like its own; its spec says `"kind": "artifact"`,
and its task is none of the run's.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import atomic, jsonio
from lab.data.masks import TestRow
from lab.data.rows import split_hash
from lab.evaluation.bertscore import answers_for
from lab.evaluation.bertscore import prepare as prepare_scoring
from lab.evaluation.generate import Answered, Answerer, batch_size
from lab.evaluation.perplexity import reference_nll
from lab.evaluation.spec import build_spec, chosen_rows, hash_of_tokens
from lab.exporting.loading import load_merged
from lab.exporting.work import Work
from lab.home import make_private
from lab.runs import lock
from lab.runs.appendlog import AppendLog
from lab.runs.paths import EvaluationPaths
from lab.runs.reader import read_all
from lab.scoring.score import score


@dataclass(frozen=True)
class Reply:
    """One row's answer with the reference's likelihood: a sum in nats over so many tokens."""

    row: TestRow
    answered: Answered
    nll: float
    nll_tokens: int


@dataclass(frozen=True)
class Artifact:
    """What answers, and what its row in a table is called.

    Attributes:
        weights: "gguf q4_k_m", "merged bf16": tells artefacts of one run apart.
        digest: of the file, so that another file's answers are not taken for this one's.
        size: of what a user downloads, in bytes.
        size_of_batch: prompts answered at once; part of what makes the numbers.
        tensors: how many of each type a GGUF file holds.
    """

    weights: str
    digest: str
    size: int
    dtype: str
    size_of_batch: int
    tensors: dict[str, int]


def score_model(work: Work, folder: Path, compute: str, dtype: str) -> EvaluationPaths | None:
    """Score the merged model in `folder`. Returns None where the profile has no test rows."""
    if not work.prepared.test:
        return None
    files = sorted(folder.glob("*.safetensors"))
    digest = hashlib.sha256("".join(_digest(path) for path in files).encode()).hexdigest()[:12]
    size = batch_size(work.profile.evaluate, work.hardware.kind)
    artifact = Artifact(f"merged {dtype}", digest, sum(p.stat().st_size for p in files), compute, size, {})
    model = load_merged(work, folder, compute)
    answerer = Answerer(model, work.tokenizer, work.stop_ids, work.profile.evaluate)

    def replies(rows: Sequence[TestRow]) -> Iterator[list[Reply]]:
        likelihoods = reference_nll(model, [row.encoded for row in rows], work.tokenizer.pad_token_id)
        for batch in answerer.answers([row.prompt_ids for row in rows], size):
            yield [Reply(rows[one.index], one, *likelihoods[one.index]) for one in batch]

    def first_token(rows: Sequence[TestRow]) -> float | None:
        return answerer.first_token_seconds([row.prompt_ids for row in rows])

    return score_artifact(work, artifact, replies, first_token)


def score_artifact(work: Work, artifact: Artifact, replies: Any, first_token: Any) -> EvaluationPaths:
    """Answer what is not answered yet, score, and write the evaluation.

    Args:
        replies: a function from rows to an iterator of batches of `Reply`.
        first_token: a function from a few rows to the seconds until the first token, or None.
    """
    prepare_scoring(work.profile.evaluate, work.say)
    rows = chosen_rows(work.prepared.test, work.profile.evaluate)
    spec = artifact_spec(work, artifact, rows)
    paths = EvaluationPaths(make_private(make_private(work.owner.evaluation) / spec["hash"]))
    handle = lock.acquire(paths.folder / "lock")
    try:
        atomic.write_json(paths.spec, spec)
        _answer(work, paths, artifact, rows, replies)
        metrics = _metrics(work, paths, artifact, first_token(rows[:5]))
        atomic.write_json(paths.metrics, metrics)
    finally:
        os.close(handle)
    return paths


def artifact_spec(work: Work, artifact: Artifact, rows: Sequence[TestRow]) -> dict[str, Any]:
    """Return the content of `spec.json`: that of a run's own evaluation, and whose answers these are."""
    spec = build_spec(
        work.profile.evaluate,
        rows=len(rows),
        rows_hash=split_hash([row.row for row in rows]),
        tokens_hash=hash_of_tokens(rows),
        test_hash=work.prepared.report["splits"]["test"]["hash"],
        template_hash=work.prepared.template.hash,
        size=artifact.size_of_batch,
        dtype=artifact.dtype,
        quantization="none",
        artifact=artifact.digest,
    )
    about = {"task": "artifact", "kind": "artifact", "weights": artifact.weights}
    changed = {**spec, **about, "bytes": artifact.size, "base": work.base, "tensors": artifact.tensors}
    del changed["hash"]
    return {**changed, "hash": hashlib.sha256(jsonio.dumps(changed).encode()).hexdigest()[:12]}


def _answer(work: Work, paths: EvaluationPaths, artifact: Artifact, rows: Sequence[TestRow], replies: Any) -> None:
    done = {str(record["id"]) for record in read_all(paths.generations)}
    missing = [row for row in rows if row.row.id not in done]
    log = AppendLog(paths.generations)
    try:
        for batch in replies(missing) if missing else ():
            for reply in batch:
                log.append(_generation(reply))
            done.update(reply.row.row.id for reply in batch)
            work.say(f"{artifact.weights}: answered {len(done)} of {len(rows)}")
    finally:
        log.close()


def _generation(reply: Reply) -> dict[str, Any]:
    row, one = reply.row, reply.answered
    return {
        "id": row.row.id,
        "prompt": row.prompt_text,
        "references": list(row.references),
        "answer": one.text,
        "tokens": one.tokens,
        "seconds": one.seconds,
        "finish": one.finish,
        "group": row.row.group,
        "nll": reply.nll,
        "nll_tokens": reply.nll_tokens,
        "reference_bytes": len(row.row.reference.encode()),
    }


def _metrics(work: Work, paths: EvaluationPaths, artifact: Artifact, first_token: float | None) -> dict[str, Any]:
    generations = list(read_all(paths.generations))
    tokens, seconds = (sum(float(record[key]) for record in generations) for key in ("tokens", "seconds"))
    cost = {
        "generated_tokens": int(tokens),
        "seconds": seconds,
        "tokens_per_second": tokens / seconds if seconds else None,
        "first_token_seconds": first_token,
        "artifact_bytes": artifact.size,
    }
    answers = answers_for(paths, work.profile.evaluate, work.hardware.kind)
    return {**score(answers, work.profile.evaluate.metric_names), "cost": cost}


def _digest(path: Path) -> str:
    from lab.exporting.files import sha256

    return sha256(path)
