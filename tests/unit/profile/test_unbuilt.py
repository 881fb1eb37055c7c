"""Every value that the lab cannot serve yet is refused by its name."""

from __future__ import annotations

import pytest

from lab.errors import ProfileError
from lab.profile.load import resolve
from lab.profile.unbuilt import UNBUILT

TREE = {"data": {"source": [{"name": "bundled:helpdesk"}]}}
ASKED = [
    ("method.variant on several GPUs", ["method.variant=pissa", "launch.gpus=2"], "'pissa'"),
]


def test_the_table_asks_for_every_entry() -> None:
    assert {key for key, _, _ in ASKED} == {entry.key for entry in UNBUILT}


@pytest.mark.parametrize(("key", "sets", "value"), ASKED, ids=[key for key, _, _ in ASKED])
def test_it_is_refused_by_name(key: str, sets: list[str], value: str) -> None:
    with pytest.raises(ProfileError) as caught:
        resolve("x", TREE, {}, sets)
    assert caught.value.problem == f"{key} = {value} is not built yet."
    instead = next(entry.instead for entry in UNBUILT if entry.key == key)
    assert caught.value.remedy == f"Set it to {instead} for now."


@pytest.mark.parametrize(
    "assignment",
    [
        "method.kind=baseline",
        "method.kind=qlora",
        "method.kind=full",
        "method.variant=dora",
        "model.quantization=int8",
        "model.adapter=run:7f3a",
        "model.quantization=nf4",
        "model.attention=eager",
        "model.attention=varlen",
        "model.attention=flash_attention_2",
        "train.tokens_per_step=4096",
        "data.source.0.format=squad",
        'data.clean=["dedupe", "meta-instructions"]',
        "data.group_by=author",
        "train.checkpointing=all",
        "launch.gpus=0",
        "launch.gpus=8",
        "launch.kind=slurm",
        "evaluate.weights=merged-bf16",
        'evaluate.task=[{name = "squad"}, {name = "own", source = {name = "rows.jsonl"}}]',
        'evaluate.metrics=["rouge", "json_match", "macro_f1", "bits_per_byte", "chrf", "bertscore"]',
    ],
)
def test_what_is_built_passes(assignment: str) -> None:
    assert resolve("x", TREE, {}, [assignment]).profile.data.source
