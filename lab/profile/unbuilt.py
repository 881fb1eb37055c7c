"""Keys of the schema whose machinery is not there yet: refused by name, never ignored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lab.errors import ProfileError
from lab.profile.schema import Profile


@dataclass(frozen=True)
class Unbuilt:
    """A value that the lab reads but cannot serve yet, and what to set instead."""

    key: str
    asked: Callable[[Profile], object]
    instead: str


UNBUILT = (
    Unbuilt("method.kind", lambda p: p.method.kind in ("top-layer", "full") and p.method.kind, '"lora" or "qlora"'),
    Unbuilt("method.variant", lambda p: p.method.variant != "lora" and p.method.variant, '"lora"'),
    Unbuilt("method.orthogonal_to", lambda p: p.method.orthogonal_to, '""'),
    Unbuilt("model.quantization", lambda p: p.model.quantization == "int8" and "int8", '"nf4"'),
    Unbuilt("model.adapter", lambda p: p.model.adapter, '""'),
    Unbuilt(
        "model.attention",
        lambda p: p.model.attention in ("varlen", "flash_attention_2") and p.model.attention,
        '"sdpa"',
    ),
    Unbuilt(
        "data.source.format",
        lambda p: next((s.format for s in p.data.source if s.format in ("squad", "sst2", "pubmedqa", "text")), None),
        '"messages", "sharegpt", "alpaca" or "prompt-completion"',
    ),
    Unbuilt("data.clean", lambda p: "meta-instructions" in p.data.clean and "meta-instructions", '["dedupe"]'),
    Unbuilt("data.group_by", lambda p: p.data.group_by, '""'),
    Unbuilt("train.tokens_per_step", lambda p: p.train.tokens_per_step, "examples_per_step"),
    Unbuilt(
        "train.checkpointing", lambda p: p.train.checkpointing.startswith("every") and p.train.checkpointing, '"all"'
    ),
    Unbuilt("train.early_stopping_patience", lambda p: p.train.early_stopping_patience, "0"),
    Unbuilt("train.keep", lambda p: p.train.keep == "best" and "best", '"last"'),
    Unbuilt("train.report_to", lambda p: p.train.report_to, "[]"),
    Unbuilt(
        "evaluate.metrics",
        lambda p: next((m for m in p.evaluate.metrics if m in ("bertscore", "chrf")), None),
        "the other metrics",
    ),
    Unbuilt("evaluate.weights", lambda p: p.evaluate.weights == "merged-bf16" and "merged-bf16", '"as-trained"'),
    Unbuilt("evaluate.task", lambda p: [t.name for t in p.evaluate.task], "no task"),
    Unbuilt("launch.kind", lambda p: p.launch.kind != "local" and p.launch.kind, '"local"'),
    Unbuilt("launch.gpus", lambda p: p.launch.gpus > 1 and p.launch.gpus, "1"),
)


def refuse_unbuilt(profile: Profile) -> None:
    """Raise ProfileError for the first value that the lab cannot serve yet."""
    for entry in UNBUILT:
        value = entry.asked(profile)
        if value:
            raise ProfileError(f"{entry.key} = {value!r} is not built yet.", f"Set it to {entry.instead} for now.")
