"""The list of what is compared between rows, one `Check` each. Called by `fairness` and `diff`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from lab import jsonio
from lab.compare.entry import Entry
from lab.compare.readings import (
    UNKNOWN,
    answered_rows,
    base_model,
    decoding,
    device,
    system_prompt,
    template,
    threads,
    trained_with,
    weights,
)
from lab.compare.tasks import metric_name
from lab.compare.trees import at, covers
from lab.text import clip

TOKENS_TOLERANCE = 0.01
"""Tokens seen may differ by this share before it is worth a line: the draw of the last rows moves them a little."""

PACKAGES = ("torch", "transformers", "peft", "trl", "bitsandbytes", "accelerate", "tokenizers")


def any_two_differ(values: Sequence[Any]) -> bool:
    return len({jsonio.dumps(value) for value in values}) > 1


def by_more_than_a_hundredth(values: Sequence[Any]) -> bool:
    return bool(values) and max(values) - min(values) > TOKENS_TOLERANCE * max(values)


def plainly(values: Sequence[Any]) -> list[str]:
    return [clip(value if isinstance(value, str) else jsonio.dumps(value), 60) for value in values]


def as_hashes(values: Sequence[Any]) -> list[str]:
    """Return the shortest beginnings, of four characters or more, that keep different hashes apart."""
    texts = [str(value) for value in values]
    sizes = range(4, max(map(len, texts), default=4) + 1)
    size = next((n for n in sizes if len({text[:n] for text in texts}) == len(set(texts))), None)
    return [text if text == UNKNOWN else text[:size] for text in texts]


def as_counts(values: Sequence[Any]) -> list[str]:
    return [f"{value:,}" for value in values]


def as_signatures(values: Sequence[Any]) -> list[str]:
    """Return only the parts of the signatures that not all of them share."""
    parts = [str(value).split("|") for value in values]
    common = set.intersection(*map(set, parts)) if parts else set()
    return [clip("|".join(part for part in own if part not in common), 60) or "nothing else" for own in parts]


@dataclass(frozen=True)
class Check:
    """One thing that rows are compared in.

    Attributes:
        title: a plural that begins the sentence "... differ: ...".
        read: the row's value; None where it is unknown or does not apply, which is never held against a row.
        concerns: "quality", "cost" or "both".
        axes: a study that varies one of these keys, or keys below it, varies this on purpose.
        tail: ends the sentence, where the usual words would be wrong.
    """

    key: str
    level: str
    title: str
    read: Callable[[Entry], Any]
    concerns: str = "quality"
    axes: tuple[str, ...] = ()
    differ: Callable[[Sequence[Any]], bool] = any_two_differ
    show: Callable[[Sequence[Any]], list[str]] = plainly
    tail: str = ""

    def excused(self, axes: Sequence[str]) -> bool:
        return any(covers(key, axis) or covers(axis, key) for key in self.axes for axis in axes)


_MODEL_AXES = ("model.name", "model.revision")
_DATA_AXES = ("data.source", "data.seed", "data.clean", "data.max_length", "data.overlong", *_MODEL_AXES)

_TRAIN_KEYS = {
    "train.examples_per_step": "Examples a step",
    "train.tokens_per_step": "Tokens a step",
    "train.learning_rate": "Learning rates",
    "train.scheduler": "Learning rate schedules",
    "train.warmup_ratio": "Warm-up shares",
    "train.weight_decay": "Weight decays",
    "train.max_grad_norm": "Gradient norm limits",
    "train.optimizer": "Optimisers",
    "train.keep": "Kept checkpoints",
    "train.seed": "Training seeds",
    "data.train_on": "Supervised turns",
    "data.max_length": "Row length limits",
    "data.overlong": "Ways with overlong rows",
}

BLOCKING: tuple[Check, ...] = (
    Check("rows_hash", "blocking", "Test rows", answered_rows, show=as_hashes),
    Check(
        "template_hash",
        "blocking",
        "Chat templates",
        template,
        axes=("data.template", *_MODEL_AXES),
        show=as_hashes,
    ),
    Check("data.system_prompt", "blocking", "System prompts", system_prompt, axes=("data.system_prompt",)),
    *(
        Check(
            f"decoding.{name}",
            "blocking",
            f"Decoding settings ({name})",
            partial(decoding, name),
            axes=(f"evaluate.{name}",),
        )
        for name in ("max_new_tokens", "temperature", "top_p", "repetition_penalty", "seed")
    ),
    Check("weights", "blocking", "Weights that answered", weights, axes=("evaluate.weights",)),
)

CHECKS: tuple[Check, ...] = (
    *BLOCKING,
    Check("model", "confounding", "Base models", base_model, "both", _MODEL_AXES),
    Check(
        "tokens_seen",
        "confounding",
        "Tokens seen in training",
        lambda entry: entry.tokens_seen if entry.trained else None,
        axes=("train.epochs", "train.max_steps", *_DATA_AXES),
        differ=by_more_than_a_hundredth,
        show=as_counts,
    ),
    Check(
        "train_hash",
        "confounding",
        "Training rows",
        lambda entry: at(entry.data, "splits.train.hash") if entry.trained else None,
        axes=_DATA_AXES,
        show=as_hashes,
    ),
    Check(
        "perplexity",
        "confounding",
        "Base models behind the perplexities",
        lambda entry: base_model(entry) if "perplexity" in entry.metrics else None,
        tail="perplexities compare only where the tokenizer is the same, bits_per_byte always does.",
    ),
    *(Check(key, "confounding", title, partial(trained_with, key), axes=(key,)) for key, title in _TRAIN_KEYS.items()),
    Check(
        "dtype",
        "confounding",
        "Precisions",
        lambda entry: at(entry.environment, "model.dtype"),
        "both",
        ("model.dtype",),
    ),
    *(
        Check(
            f"packages.{name}",
            "confounding",
            f"Versions of {name}",
            partial(lambda name, entry: (entry.environment.get("packages") or {}).get(name), name),
            "both",
        )
        for name in PACKAGES
    ),
    Check("device", "confounding", "Devices", device, "cost", ("launch",)),
    Check("threads", "confounding", "CPU threads", threads, "cost", ("train.threads",)),
    Check("memory_kind", "confounding", "Kinds of memory", lambda entry: entry.cost.get("memory_kind"), "cost"),
    *(
        Check(key, "confounding", title, partial(trained_with, key), "cost", (key,))
        for key, title in (
            ("train.checkpointing", "Activation checkpoints"),
            ("train.micro_batch", "Rows at once"),
        )
    ),
)


def signature_check(name: str) -> Check:
    """Return the check that metric `name` was computed the same way in every row that has it."""
    found = metric_name(name)
    label = found.label if found else name
    return Check(
        f"signature.{name}",
        "blocking",
        f"Signatures of {label}",
        lambda entry: (entry.metrics[name].get("signature") or UNKNOWN) if name in entry.metrics else None,
        show=as_signatures,
        tail=f"their {label} may not be compared.",
    )
