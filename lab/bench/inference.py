"""What answering costs in each form of a run's weights, measured one after the other on the same prompts.

Called by `lab bench inference`. Each form runs in a process of its own; GGUF files of the run through llama.cpp.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lab.bench.answering import Form
from lab.errors import LabError, NotFoundError, RunStateError
from lab.profile.schema import Evaluate
from lab.runs.paths import RunPaths
from lab.runs.reader import read_json
from lab.runs.state import LIVE
from lab.runs.store import RunInfo

BATCH = 16
LONGEST = 3600.0
MARGIN = 16
DECODING = {"max_new_tokens", "temperature", "top_p", "repetition_penalty", "seed"}
NOT_OF_TEXTS = ("perplexity", "bits_per_byte", "bertscore")
"""Metrics that answers alone do not give."""


@dataclass(frozen=True)
class Cost:
    """One form's figures; None where nothing was measured.

    Attributes:
        tokens_per_second, first_token_seconds: by the number of prompts at once.
        quality: of the answers given alone, on the rows that all forms answered.
        failed: why there are no figures.
    """

    name: str
    dtype: str = ""
    seconds_per_prompt: float | None = None
    tokens_per_second: dict[str, float | None] | None = None
    first_token_seconds: dict[str, float | None] | None = None
    memory_bytes: int | None = None
    memory_kind: str = ""
    file_bytes: int | None = None
    quality: dict[str, float] | None = None
    failed: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Questions:
    """The rows that every form answers, alike.

    Attributes:
        rows: `lab.data.masks.TestRow`.
    """

    rows: list[Any]
    stop_ids: list[int]
    decoding: Evaluate
    tokenizer: Any
    threads: int


def measure(
    info: RunInfo, rows: int, tokens: int, only: Sequence[str] = (), say: Callable[[str], None] = lambda line: None
) -> list[Cost]:
    """Measure every form of the run `info`.

    Args:
        rows: prompts of the test rows.
        tokens: longest answer.
        only: parts of the names of the forms that are wanted; none takes all.

    Raises:
        LabError: the run has no weights or no test rows, or nothing is called that.
    """
    run = info.run
    if info.state in LIVE:
        raise RunStateError(f"{info.id} is {info.state}.", f"Wait for it: `lab runs watch {info.id}`.")
    files = gguf_files(run)
    wanted = [form for form in forms_of(info) if _asked(form.name, only)]
    chosen = {kind: path for kind, path in files.items() if _asked(kind, only)}
    if not wanted and not chosen:
        names = ", ".join([*(form.name for form in forms_of(info)), *files])
        raise NotFoundError(f"No form of {info.id} is called that.", f"Choose from {names}.")
    asked = questions(run, rows, tokens)
    found = []
    for form in wanted:
        say(form.name)
        found.append(_measured(form.name, lambda form=form: _torch(run, form, asked)))  # type: ignore[misc]
    for kind, path in chosen.items():
        say(kind)
        found.append(_measured(kind, lambda path=path, kind=kind: _gguf(path, kind, asked)))  # type: ignore[misc]
    return found


def forms_of(info: RunInfo) -> list[Form]:
    """Return the forms in which PyTorch can run this run's weights."""
    from lab.modeling.artifact import describe_artifact
    from lab.profile.load import load_profile

    packed = [Form("base nf4", quantization="nf4")] if find_spec("bitsandbytes") else []
    bases = [Form("base"), *packed]
    artifact = describe_artifact(info.run.adapter)
    if artifact is None:
        return bases
    quantization = load_profile(str(info.run.profile)).profile.quantization
    name = f"{artifact.kind} on {quantization}" if quantization != "none" else artifact.kind
    own = Form(name, quantization=quantization, tuned=True)
    merged = [Form(f"merged {d}", d, quantization, tuned=True, plain=True) for d in ("fp32", "bf16")]
    return [*bases, own, *merged]


def gguf_files(run: RunPaths) -> dict[str, Path]:
    """Return the GGUF files that exports of the run left and that are still there, by name, the last of each type."""
    found: dict[str, Path] = {}
    for job in sorted(run.jobs.glob("*")):
        record = read_json(RunPaths(job).result) or {}
        names = [name for name in record.get("files") or {} if str(name).endswith(".gguf")]
        for name in names if record.get("kind") == "gguf" else ():
            path = Path(str(record.get("target"))) / name
            kind = path.stem.rpartition("-")[2]
            if kind != "adapter" and path.is_file():
                found[f"gguf {kind}"] = path
    return found


def questions(run: RunPaths, rows: int, tokens: int) -> Questions:
    """Return the first `rows` of the rows that evaluations answer. Raises LabError where there are none."""
    from lab.data.prepare import prepare
    from lab.evaluation.spec import chosen_rows
    from lab.modeling.hardware import physical_cores
    from lab.modeling.load import load_tokenizer
    from lab.modeling.source import resolve_model
    from lab.profile.load import load_profile

    profile = load_profile(str(run.profile)).profile
    source = resolve_model(profile.model.name, profile.model.revision)
    tokenizer = load_tokenizer(source, trust_remote_code=profile.model.trust_remote_code)
    prepared = prepare(profile, tokenizer)
    chosen = chosen_rows(prepared.test, profile.evaluate)[:rows]
    if not chosen:
        raise NotFoundError(f"{run.id} has no test rows to answer.", "Train with data.source.N.test above 0.")
    decoding = profile.evaluate.model_copy(update={"max_new_tokens": tokens or profile.evaluate.max_new_tokens})
    return Questions(chosen, prepared.stop_ids, decoding, tokenizer, profile.train.threads or physical_cores())


def _asked(name: str, only: Sequence[str]) -> bool:
    return not only or any(part in name for part in only)


def _measured(name: str, work: Callable[[], Cost]) -> Cost:
    try:
        return replace(work(), name=name)
    except LabError as error:
        return Cost(name, failed=error.problem)


def _torch(run: RunPaths, form: Form, asked: Questions) -> Cost:
    from lab.launching.child import json_lines

    task = {
        "run": str(run.folder),
        "form": asdict(form),
        "prompts": [row.prompt_ids for row in asked.rows],
        "stop_ids": asked.stop_ids,
        "decoding": asked.decoding.model_dump(include=DECODING),
        "batch": BATCH,
    }
    (record,) = _lines(task, lambda path: json_lines("lab.bench.answering", [path], timeout=LONGEST))
    answers = [(one["index"], one["text"], one["finish"]) for one in record.pop("answers")]
    return Cost("", **record, quality=_quality(asked, answers))


def _gguf(path: Path, kind: str, asked: Questions) -> Cost:
    from lab.exporting import llamacpp

    rows = [
        {"text": row.prompt_text, "ids": row.encoded.input_ids, "answer_from": len(row.prompt_ids), "supervised": []}
        for row in asked.rows
    ]
    longest = max(len(row.encoded.input_ids) for row in asked.rows) + asked.decoding.max_new_tokens
    task = {
        "model": str(path),
        "context": longest + MARGIN,
        "threads": asked.threads,
        "rows": rows,
        "stop_ids": asked.stop_ids,
        "decoding": asked.decoding.model_dump(include=DECODING),
    }
    *said, last = _lines(task, lambda file: llamacpp.child_lines(llamacpp.__name__, [file], timeout=LONGEST))
    seconds = sum(one["seconds"] for one in said)
    tokens = sum(len(one["tokens"]) + (one["finish"] == "stop") for one in said)
    decode = asked.tokenizer.decode
    answers = [(one["index"], decode(one["tokens"], skip_special_tokens=True), one["finish"]) for one in said]
    return Cost(
        "",
        kind.removeprefix("gguf "),
        seconds / len(said),
        {"1": tokens / seconds if seconds else None},
        {"1": last["first_token_seconds"]},
        last["memory_bytes"],
        "resident set",
        path.stat().st_size,
        _quality(asked, answers),
    )


def _lines(task: dict[str, Any], start: Callable[[str], Any]) -> list[dict[str, Any]]:
    """Write the task to a file of its own and return what the child that reads it prints."""
    with tempfile.TemporaryDirectory(prefix="lab-bench-") as place:
        path = Path(place) / "task.json"
        path.write_text(json.dumps(task))
        return list(start(str(path)))


def _quality(asked: Questions, said: Sequence[tuple[int, str, str]]) -> dict[str, float]:
    """Return the profile's metrics of the answers, by name; what texts alone do not have is left out."""
    from lab.scoring.answers import answers_from_rows
    from lab.scoring.score import score

    rows = [
        {
            "id": asked.rows[index].id,
            "references": list(asked.rows[index].references),
            "answer": text,
            "finish": finish,
            "group": asked.rows[index].group,
        }
        for index, text, finish in said
    ]
    names = [name for name in asked.decoding.metric_names if name not in NOT_OF_TEXTS]
    found = score(answers_from_rows(rows), names, resamples=0)["metrics"]
    return {name: record["value"] for name, record in found.items()}
