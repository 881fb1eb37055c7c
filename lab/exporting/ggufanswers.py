"""What a GGUF file answers to a run's rows, through llama.cpp: for parity and for the table. Called by `gguf`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.data.masks import IGNORED, TestRow
from lab.errors import LabError
from lab.evaluation.generate import Answered
from lab.exporting import llamacpp
from lab.exporting.files import sha256
from lab.exporting.ggufwrite import contents
from lab.exporting.parity import short_greedy
from lab.exporting.score import Artifact, Reply, score_artifact
from lab.exporting.work import Work

LONGEST = 24 * 3600.0
MARGIN = 16
DECODING = {"max_new_tokens", "temperature", "top_p", "repetition_penalty", "seed"}


@dataclass
class Asked:
    """What a file said besides its answers.

    Attributes:
        first_token_seconds: median over five prompts; memory_bytes: the largest resident set of the process.
        other_prompts: ids of rows whose prompts llama.cpp cut into other tokens than the tokenizer.
    """

    first_token_seconds: float | None = None
    memory_bytes: int | None = None
    other_prompts: list[str] | None = None


def ask(work: Work, path: Path, rows: Sequence[TestRow], asked: Asked, *, greedy: bool = False) -> Iterator[Reply]:
    """Yield the file's replies to `rows`, one by one; `asked` is filled on the way.

    Args:
        greedy: for parity: no draws, and short answers.
    """
    decoding = short_greedy(work.profile.evaluate) if greedy else work.profile.evaluate
    longest = max((max(len(r.encoded.input_ids), len(r.prompt_ids) + decoding.max_new_tokens) for r in rows), default=1)
    task = {
        "model": str(path),
        "context": longest + MARGIN,
        "threads": work.hardware.threads,
        "rows": [_row(row) for row in rows],
        "stop_ids": sorted(work.stop_ids),
        "decoding": decoding.model_dump(include=DECODING),
    }
    asked.other_prompts = []
    with tempfile.TemporaryDirectory(prefix="lab-") as place:
        file = Path(place) / "task.json"
        file.write_text(json.dumps(task))
        for record in llamacpp.child_lines(llamacpp.__name__, [str(file)], timeout=LONGEST):
            if "index" not in record:
                asked.first_token_seconds, asked.memory_bytes = record["first_token_seconds"], record["memory_bytes"]
                continue
            if not record["same_prompt"]:
                asked.other_prompts.append(rows[record["index"]].id)
            yield _reply(work, rows, record)


def check_file(
    work: Work, path: Path, rows: Sequence[TestRow], reference: Sequence[str], least: float
) -> dict[str, Any]:
    """Hold a file's greedy answers against the run's own; return the figures.

    Args:
        reference: the run's answers.
        least: share of answers that must agree.

    Raises:
        LabError: llama.cpp cannot load it, cuts prompts otherwise, or too few answers agree.
    """
    asked = Asked()
    answers = [reply.answered.text for reply in ask(work, path, rows, asked, greedy=True)]
    same = sum(a == b for a, b in zip(reference, answers, strict=True))
    if asked.other_prompts:
        raise LabError(
            f"llama.cpp cuts the prompt of row {asked.other_prompts[0]} into other tokens than the tokenizer does.",
            "Nothing was kept: use `lab export merge` and llama.cpp's own converter.",
        )
    if same < len(rows) * least:
        where = next(i for i, (a, b) in enumerate(zip(reference, answers, strict=True)) if a != b)
        raise LabError(
            f"{path.name} does not say what the run says: {same} of {len(rows)} greedy answers agree, the first that "
            f"does not is row {rows[where].id}.",
            "Nothing was kept: use `lab export merge`, and report the model's type.",
        )
    return {"rows": len(rows), "agreeing": same, "least": least}


def score_file(work: Work, path: Path, kind: str) -> None:
    """Answer the run's test rows with the file, so that it stands in the table."""
    artifact = Artifact(f"gguf {kind}", sha256(path)[:12], path.stat().st_size, kind, 1, contents(path))
    asked = Asked()

    def replies(rows: Sequence[TestRow]) -> Iterator[list[Reply]]:
        yield from ([reply] for reply in ask(work, path, rows, asked))

    score_artifact(work, artifact, replies, lambda rows: asked.first_token_seconds)


def _row(row: TestRow) -> dict[str, Any]:
    return {
        "text": row.prompt_text,
        "ids": row.encoded.input_ids,
        "answer_from": len(row.prompt_ids),
        "supervised": [place for place, label in enumerate(row.encoded.labels) if label != IGNORED],
    }


def _reply(work: Work, rows: Sequence[TestRow], record: dict[str, Any]) -> Reply:
    text = work.tokenizer.decode(record["tokens"], skip_special_tokens=True)
    count = len(record["tokens"]) + (record["finish"] == "stop")
    one = Answered(record["index"], text, count, record["seconds"], record["finish"])
    return Reply(rows[record["index"]], one, record["nll"], record["nll_tokens"])
