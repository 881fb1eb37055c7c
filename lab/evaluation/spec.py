"""What an evaluation is: everything that decides its numbers, and the hash that names its folder."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from lab import jsonio
from lab.data.masks import TestRow
from lab.modeling.artifact import describe_artifact
from lab.profile.schema import Evaluate

T = TypeVar("T")


def chosen_rows(rows: Sequence[T], decoding: Evaluate) -> list[T]:
    """Return the seeded subset of test rows that is answered, in the rows' own order; all of them for `rows = 0`."""
    if not decoding.rows or decoding.rows >= len(rows):
        return list(rows)
    chosen = random.Random(decoding.seed).sample(range(len(rows)), decoding.rows)
    return [rows[index] for index in sorted(chosen)]


def build_spec(
    decoding: Evaluate,
    *,
    rows: int,
    rows_hash: str,
    tokens_hash: str,
    test_hash: str,
    template_hash: str,
    size: int,
    dtype: str,
    quantization: str,
    artifact: str,
    task: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the content of `spec.json`; equal hashes mean that answers may be reused.

    Args:
        task: what a task adds: its name, how it is answered.
    """
    spec: dict[str, Any] = {
        "schema": 1,
        "task": "test",
        "rows": rows,
        "rows_hash": rows_hash,
        "tokens_hash": tokens_hash,
        "test_hash": test_hash,
        "template_hash": template_hash,
        "decoding": {
            key: getattr(decoding, key)
            for key in ("max_new_tokens", "temperature", "top_p", "repetition_penalty", "seed")
        },
        "weights": decoding.weights,
        "batch_size": size,
        "dtype": dtype,
        "quantization": quantization,
        "artifact": artifact,
        **(task or {}),
    }
    return {**spec, "hash": hashlib.sha256(jsonio.dumps(spec).encode()).hexdigest()[:12]}


def hash_of_tokens(rows: Sequence[TestRow]) -> str:
    """Return the sha256 (12 digits) of what the model is really given: system prompt, template and cuts included."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(jsonio.dumps([row.prompt_ids, row.encoded.input_ids, row.encoded.labels]).encode())
    return digest.hexdigest()[:12]


def artifact_hash(adapter: Path) -> str:
    """Return what identifies the weights in `adapter` (12 digits), with all that they build on; "base" without any."""
    artifact = describe_artifact(adapter)
    return artifact.hash if artifact else "base"
