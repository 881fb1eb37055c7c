"""Every value that the lab cannot serve yet is refused by its name."""

from __future__ import annotations

import pytest

from lab.errors import ProfileError
from lab.profile.load import resolve
from lab.profile.unbuilt import UNBUILT

TREE = {"data": {"source": [{"name": "bundled:helpdesk"}]}}
ASKED = [
    ("method.kind", "method.kind=top-layer", "'top-layer'"),
    ("method.kind", "method.kind=full", "'full'"),
    ("method.variant", "method.variant=dora", "'dora'"),
    ("method.variant", "method.variant=rslora", "'rslora'"),
    ("method.variant", "method.variant=pissa", "'pissa'"),
    ("method.orthogonal_to", "method.orthogonal_to=run:x", "'run:x'"),
    ("model.quantization", "model.quantization=int8", "'int8'"),
    ("model.adapter", "model.adapter=run:x", "'run:x'"),
    ("model.attention", "model.attention=varlen", "'varlen'"),
    ("model.attention", "model.attention=flash_attention_2", "'flash_attention_2'"),
    ("data.source.format", "data.source.0.format=squad", "'squad'"),
    ("data.source.format", "data.source.0.format=sst2", "'sst2'"),
    ("data.source.format", "data.source.0.format=pubmedqa", "'pubmedqa'"),
    ("data.source.format", "data.source.0.format=text", "'text'"),
    ("data.clean", 'data.clean=["dedupe", "meta-instructions"]', "'meta-instructions'"),
    ("data.group_by", "data.group_by=author", "'author'"),
    ("train.tokens_per_step", "train.tokens_per_step=4096", "4096"),
    ("train.checkpointing", "train.checkpointing=every-2", "'every-2'"),
    ("train.early_stopping_patience", "train.early_stopping_patience=3", "3"),
    ("train.keep", "train.keep=best", "'best'"),
    ("train.report_to", 'train.report_to=["wandb"]', "['wandb']"),
    ("evaluate.metrics", 'evaluate.metrics=["bleu", "bertscore"]', "'bertscore'"),
    ("evaluate.metrics", 'evaluate.metrics=["chrf"]', "'chrf'"),
    ("evaluate.weights", "evaluate.weights=merged-bf16", "'merged-bf16'"),
    ("evaluate.task", 'evaluate.task=[{name = "squad"}]', "['squad']"),
    ("launch.kind", "launch.kind=slurm", "'slurm'"),
    ("launch.kind", "launch.kind=torchrun", "'torchrun'"),
    ("launch.gpus", "launch.gpus=2", "2"),
]


def test_the_table_asks_for_every_entry() -> None:
    assert {key for key, _, _ in ASKED} == {entry.key for entry in UNBUILT}


@pytest.mark.parametrize(("key", "assignment", "value"), ASKED, ids=[a for _, a, _ in ASKED])
def test_it_is_refused_by_name(key: str, assignment: str, value: str) -> None:
    with pytest.raises(ProfileError) as caught:
        resolve("x", TREE, {}, [assignment])
    assert caught.value.problem == f"{key} = {value} is not built yet."
    instead = next(entry.instead for entry in UNBUILT if entry.key == key)
    assert caught.value.remedy == f"Set it to {instead} for now."


@pytest.mark.parametrize(
    "assignment",
    [
        "method.kind=baseline",
        "method.kind=qlora",
        "model.quantization=nf4",
        "model.attention=eager",
        "data.source.0.format=messages",
        'data.clean=["dedupe"]',
        "train.checkpointing=all",
        "launch.gpus=0",
        'evaluate.metrics=["rouge", "json_match", "macro_f1", "bits_per_byte"]',
    ],
)
def test_what_is_built_passes(assignment: str) -> None:
    assert resolve("x", TREE, {}, [assignment]).profile.data.source
