"""One form of a run's model, answering against the clock, in a process of its own so that its memory is its own.

`python -m lab.bench.answering TASK.json` prints one JSON line; `lab.bench.inference` starts it. The task is {"run",
"form": {"name", "dtype", "quantization", "tuned", "plain"}, "prompts": token ids, "stop_ids", "decoding", "batch"}.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.launching.child import Emit, serve
from lab.modeling.cpu import limit_cpu
from lab.profile.schema import Evaluate
from lab.telemetry.host import peak_bytes

if TYPE_CHECKING:
    from lab.evaluation.generate import Answered, Answerer
    from lab.runs.paths import RunPaths


@dataclass(frozen=True)
class Form:
    """In what form the weights answer.

    Attributes:
        dtype: "auto" is what this machine computes fastest in.
        tuned: with what the run trained.
        plain: merged into plain weights.
    """

    name: str
    dtype: str = "auto"
    quantization: str = "none"
    tuned: bool = False
    plain: bool = False


def open_answerer(run: RunPaths, form: Form, stop_ids: Sequence[int], decoding: Evaluate) -> tuple[Answerer, str]:
    """Return the run's model in a form, ready to answer, and the precision that it computes in.

    Raises:
        LabError: the model or what the run trained cannot be loaded.
    """
    import torch

    from lab.evaluation.generate import Answerer
    from lab.modeling.artifact import load_artifact
    from lab.modeling.hardware import detect
    from lab.modeling.load import load_base, load_tokenizer, torch_dtype
    from lab.modeling.methods import cast_adapter
    from lab.modeling.plain import as_plain
    from lab.modeling.prefix import can_share
    from lab.modeling.source import resolve_model
    from lab.profile.load import load_profile

    profile = load_profile(str(run.profile)).profile
    hardware = detect("cuda" if torch.cuda.is_available() else "cpu", profile.train.threads)
    torch.set_num_threads(hardware.threads)
    fastest = "bf16" if hardware.bf16 else "fp16" if hardware.kind == "cuda" else "fp32"
    dtype = fastest if form.dtype == "auto" else form.dtype
    source = resolve_model(profile.model.name, profile.model.revision)
    trust = profile.model.trust_remote_code
    model: Any = load_base(
        source,
        device=hardware.kind,
        dtype=dtype,
        quantization=form.quantization,
        double_quant=profile.model.double_quant,
        trust_remote_code=trust,
    )
    if form.tuned:
        model = load_artifact(model, run.adapter)
    if form.plain:
        model = as_plain(model, torch_dtype(dtype))
    else:
        cast_adapter(model, torch_dtype(dtype))
    tokenizer = load_tokenizer(source, trust_remote_code=trust)
    share = can_share(model.config)
    return Answerer(model.eval(), tokenizer, frozenset(stop_ids), decoding, share), dtype


def measure(answerer: Answerer, prompts: Sequence[Sequence[int]], batch: int) -> dict[str, Any]:
    """Return answers and figures: alone, prompt by prompt, and `batch` prompts at once."""
    list(answerer.answers([prompts[0]], 1))  # warms up
    alone = [one for part in answerer.answers(prompts, 1) for one in part]
    many = [prompts[i % len(prompts)] for i in range(batch)]
    together = [one for part in answerer.answers(many, batch) for one in part]
    return {
        "answers": [asdict(one) for one in sorted(alone, key=lambda one: one.index)],
        "seconds_per_prompt": sum(one.seconds for one in alone) / len(alone),
        "tokens_per_second": {"1": speed(alone), str(batch): speed(together)},
        "first_token_seconds": {
            "1": answerer.first_token_seconds(prompts),
            str(batch): answerer.first_token_seconds(many, at_once=batch),
        },
    }


def speed(answers: Sequence[Answered]) -> float | None:
    """Return generated tokens a second; None where nothing was generated."""
    seconds = sum(one.seconds for one in answers)
    return sum(one.tokens for one in answers) / seconds if seconds else None


def memory() -> tuple[int | None, str]:
    """Return the most memory that this process held, None where that is not known, and what kind of memory that is."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated(), "torch allocated"
    return peak_bytes(), "resident set"


def work(task: dict[str, Any], emit: Emit) -> None:
    limit_cpu()
    from lab.runs.paths import RunPaths
    from lab.training.session import quiet_libraries

    quiet_libraries()
    decoding = Evaluate.model_validate(task["decoding"])
    answerer, dtype = open_answerer(RunPaths(Path(task["run"])), Form(**task["form"]), task["stop_ids"], decoding)
    figures = measure(answerer, task["prompts"], task["batch"])
    held, kind = memory()
    emit({**figures, "dtype": dtype, "memory_bytes": held, "memory_kind": kind})


if __name__ == "__main__":
    sys.exit(serve(lambda emit: work(json.loads(Path(sys.argv[1]).read_bytes()), emit)))
