"""The lab's batches against transformers' own `generate`, one prompt at a time: the same model, the same prompts.

Called by `lab bench generation`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from lab.bench.answering import Form, open_answerer, speed
from lab.bench.inference import questions
from lab.modeling.artifact import describe_artifact
from lab.profile.load import load_profile
from lab.runs.paths import RunPaths

TARGETS = {"cuda": 15.0, "cpu": 5.0}


@dataclass(frozen=True)
class Race:
    """Generated tokens a second of both sides.

    Attributes:
        batch: prompts at once on the lab's side.
        same: share of prompts whose answers have the same text on both sides; in 16 bits sums round otherwise.
    """

    device: str
    dtype: str
    rows: int
    batch: int
    one_by_one: float | None
    batched: float | None
    same: float

    @property
    def ratio(self) -> float | None:
        return self.batched / self.one_by_one if self.batched and self.one_by_one else None

    @property
    def target(self) -> float:
        return TARGETS[self.device]

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio, "target": self.target}


def race(run: RunPaths, rows: int, tokens: int, say: Callable[[str], None] = lambda line: None) -> Race:
    """Time both sides on the run's own weights as they were trained.

    Raises:
        LabError: the model cannot be loaded, or there are no test rows.
    """
    from lab.evaluation.generate import batch_size

    asked = questions(run, rows, tokens)
    tuned = describe_artifact(run.adapter) is not None
    quantization = load_profile(str(run.profile)).profile.quantization
    form = Form("as trained", quantization=quantization, tuned=tuned)
    answerer, dtype = open_answerer(run, form, asked.stop_ids, asked.decoding)
    prompts = [row.prompt_ids for row in asked.rows]
    device = answerer.model.device.type
    size = batch_size(asked.decoding, device)
    list(answerer.answers(prompts[:1], 1))  # warms up
    say(f"{len(prompts)} prompts, up to {size} at once")
    together = [one for part in answerer.answers(prompts, size) for one in part]
    say(f"{len(prompts)} prompts, one by one")
    texts, rate = _one_by_one(answerer, prompts)
    same = sum(texts[one.index] == one.text for one in together) / len(prompts)
    return Race(device, dtype, len(prompts), min(size, len(prompts)), rate, speed(together), same)


def _one_by_one(answerer: Any, prompts: list[list[int]]) -> tuple[list[str], float | None]:
    """Return answers and tokens a second of plain `generate` calls, as a script without the lab makes them."""
    import torch

    decoding, texts, count = answerer.decoding, [], 0
    stops = sorted(answerer.stop_ids)
    drawn = {"temperature": decoding.temperature, "top_p": decoding.top_p, "top_k": 0}
    sampling = {"do_sample": True, **drawn} if decoding.temperature else {"do_sample": False}
    begin = time.perf_counter()
    for prompt in prompts:
        ids = torch.tensor([prompt], device=answerer.model.device)
        with torch.inference_mode():
            output = answerer.model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=decoding.max_new_tokens,
                repetition_penalty=decoding.repetition_penalty,
                eos_token_id=stops,
                pad_token_id=answerer.tokenizer.pad_token_id,
                **sampling,
            )
        answer = output[0, len(prompt) :].tolist()
        count += len(answer)
        texts.append(answerer.tokenizer.decode(answer, skip_special_tokens=True))
    seconds = time.perf_counter() - begin
    return texts, count / seconds if seconds else None
