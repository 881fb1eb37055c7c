"""Which profiles are timed together."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.bench.equal import base_key, by_base, pass_key, train_key
from lab.profile.load import resolve
from lab.profile.schema import Profile


def profile(*sets: str) -> Profile:
    return resolve("some", {"data": {"source": [{"name": "bundled:helpdesk"}]}}, {}, sets).profile


@pytest.mark.parametrize(
    ("sets", "base", "train", "passes"),
    [
        ((), True, True, True),
        (("train.seed=1", "train.learning_rate=1e-3", "train.epochs=9.0", "method.alpha=7"), True, True, True),
        (("evaluate.metrics=['bleu']", "train.eval_every=3"), True, True, True),
        (("method.rank=4",), True, False, True),
        (("method.variant=dora",), True, False, False),
        (("method.kind=baseline",), True, False, True),
        (("train.examples_per_step=4",), True, False, True),
        (("train.optimizer=adamw_8bit",), True, False, True),
        (("evaluate.max_new_tokens=7",), True, True, False),
        (("data.max_length=64",), True, False, False),
        (("method.kind=qlora",), False, False, False),
        (("model.dtype=fp32",), False, False, False),
        (("launch.gpus=0",), False, False, False),
    ],
)
def test_equal_work_has_one_key(sets: tuple[str, ...], base: bool, train: bool, passes: bool) -> None:
    keys: tuple[tuple[Callable[[Profile], str], bool], ...] = (
        (base_key, base),
        (train_key, train),
        (pass_key, passes),
    )
    for key, equal in keys:
        assert (key(profile(*sets)) == key(profile())) is equal


def test_qlora_and_a_quantised_baseline_share_a_base() -> None:
    assert base_key(profile("method.kind=qlora")) == base_key(profile("method.kind=baseline", "model.quantization=nf4"))


def test_a_base_is_loaded_once_and_serves_what_trains_first() -> None:
    kinds = ("baseline", "qlora", "lora", "lora")
    assert by_base([profile(f"method.kind={kind}") for kind in kinds]) == [2, 3, 0, 1]
