"""What a run works through, counted by hand."""

from __future__ import annotations

from typing import Any

import pytest

from lab.bench.forecast import work_of
from lab.data.masks import IGNORED, Encoded, TestRow
from lab.data.prepare import Prepared
from lab.data.rows import Row
from lab.modeling.hardware import Hardware
from lab.profile.load import resolve
from lab.profile.schema import Profile
from lab.training.recipe import decide

CPU = Hardware("cpu", "some CPU", False, 1, 2)


def profile(*sets: str) -> Profile:
    tree = {
        "data": {"source": [{"name": "bundled:helpdesk"}]},
        "train": {"examples_per_step": 4, "eval_every": 2},
        "evaluate": {"max_new_tokens": 20, "batch_size": 3},
    }
    return resolve("some", tree, {}, sets).profile


def row(number: int, length: int, prefix: int) -> Encoded:
    """A row of `length` tokens that begins as others do; the last ten are supervised."""
    ids = [1] * prefix + [2 + number] * (length - prefix)
    return Encoded(str(number), ids, [IGNORED] * (length - 10) + ids[-10:])


def prepared(prefix: int = 60) -> Prepared:
    train = [row(number, 100, prefix) for number in range(8)]
    watched = [row(number, 90, prefix) for number in range(2)]
    any_row: Any = Row
    tests = []
    for number in range(5):
        encoded = row(number, 80 + number, prefix)
        tests.append(TestRow(any_row, "", encoded.input_ids[: 70 + number], encoded))
    template: Any = None
    return Prepared(train, watched, tests, {}, template, [])


def work(chosen: Profile, data: Prepared, *, sharable: bool) -> Any:
    recipe = decide(chosen, CPU, [len(one.input_ids) for one in data.train], sharable=sharable)
    return work_of(chosen, data, recipe, 512)


FIRST = 70 + 71 + 72 + 73 + 74
"""Prompts that are read one by one."""


def test_padding_counts() -> None:
    found = work(profile(), prepared(), sharable=False)
    assert (found.train, found.steps) == (2 * 4 * 100, 2)
    # one validation; likelihoods in one batch; prompts in batches of 3 and 2; the first ones again
    assert found.forward == 2 * 90 + 5 * 84 + 3 * 74 + 2 * 71 + FIRST


def test_what_rows_begin_with_counts_once_a_batch() -> None:
    found = work(profile(), prepared(), sharable=True)
    assert found.train == 2 * (60 + 4 * 40)
    assert found.forward == (60 + 2 * 30) + (60 + 5 * 24) + (60 + 3 * 14) + (60 + 2 * 11) + FIRST


@pytest.mark.parametrize(
    ("sets", "steps"), [(("train.epochs=3.0",), 6), (("train.max_steps=5",), 5), (("train.tokens_per_step=250",), 4)]
)
def test_every_step_counts(sets: tuple[str, ...], steps: int) -> None:
    found = work(profile(*sets), prepared(), sharable=False)
    assert found.steps == steps
    assert found.train == steps * (200 if "tokens" in sets[0] else 400)


def test_untuned_answers_run_to_their_limit_and_tuned_ones_as_the_references() -> None:
    tuned, untuned = (work(profile(f"method.kind={kind}"), prepared(), sharable=False) for kind in ("lora", "baseline"))
    assert (tuned.answers, untuned.answers) == (5 * 10, 5 * 20)
    assert (untuned.train, untuned.steps) == (0.0, 0)
    assert tuned.forward - untuned.forward == 2 * 90
