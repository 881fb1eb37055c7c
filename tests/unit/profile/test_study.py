"""Rows of a study: axes multiply, rows are named, seeds repeat them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab.errors import NotFoundError, ProfileError
from lab.profile.study import find_study, list_studies, load_study

Write = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def plain(write: Write) -> None:
    write("plain", '[[data.source]]\nname = "bundled:helpdesk"\n')
    write("other", 'extends = "plain"\n[method]\nrank = 64\n')


def test_axes_multiply_in_order(write: Write) -> None:
    write(
        "studies/s",
        """[study]
description = "ranks"
profile = "plain"
[[study.axis]]
key = "method.rank"
values = [8, 16]
[[study.axis]]
key = "train.learning_rate"
values = [1e-5, 2e-4, 1e-3]
""",
    )
    study = load_study("s")
    assert (study.name, study.description) == ("s", "ranks")
    assert study.axes == ("method.rank", "train.learning_rate")
    got = [(r.resolved.profile.method.rank, r.resolved.profile.train.learning_rate) for r in study.rows]
    assert got == [(8, 1e-5), (8, 2e-4), (8, 1e-3), (16, 1e-5), (16, 2e-4), (16, 1e-3)]
    assert study.rows[1].name == "rank 8, learning_rate 0.0002"


@pytest.mark.parametrize("value", ['["q_proj", "v_proj"]', '"attention"', '["with \\"quotes\\" é"]'])
def test_values_of_an_axis_keep_their_type(write: Write, value: str) -> None:
    axis = f'[study]\nprofile = "plain"\n[[study.axis]]\nkey = "method.target_modules"\nvalues = [{value}]\n'
    write("studies/s", axis)
    write("direct", f'extends = "plain"\n[method]\ntarget_modules = {value}\n')
    write("studies/t", '[[study.row]]\nname = "x"\nprofile = "direct"\n[study]\n')
    (row,), (direct,) = load_study("s").rows, load_study("t").rows
    assert row.resolved.profile.method.target_modules == direct.resolved.profile.method.target_modules


def test_values_of_an_axis_may_have_names(write: Write) -> None:
    axis = '[study]\nprofile = "plain"\n[[study.axis]]\nkey = "method.target_modules"\n'
    write("studies/s", axis + 'values = [["q_proj"], "mlp"]\nnames = ["q", "the MLP"]\n')
    rows = load_study("s").rows
    assert [row.name for row in rows] == ["q", "the MLP"]
    assert [row.resolved.profile.method.target_modules for row in rows] == [["q_proj"], "mlp"]
    write("studies/t", axis + 'values = ["attention", "mlp"]\nnames = ["one"]\n')
    with pytest.raises(ProfileError, match=r"study\.axis\.0: .*1 names for 2 values"):
        load_study("t")


def test_baselines_come_first_then_axes_then_rows(write: Write) -> None:
    write(
        "studies/s",
        """[study]
profile = "plain"
baseline = true
baseline_quantized = true
[[study.axis]]
key = "method.rank"
values = [8]
[[study.row]]
name = "big"
profile = "other"
[[study.row]]
name = "slow"
set = {"train.learning_rate" = 1e-6, "data.source.0.train" = 5}
""",
    )
    rows = load_study("s").rows
    assert [row.name for row in rows] == ["baseline", "baseline nf4", "rank 8", "big", "slow"]
    baseline, quantized, _, big, slow = (row.resolved.profile for row in rows)
    assert (baseline.method.kind, baseline.quantization) == ("baseline", "none")
    assert (quantized.method.kind, quantized.quantization) == ("baseline", "nf4")
    assert (big.method.rank, slow.method.rank) == (64, 16)
    assert (slow.train.learning_rate, slow.data.source[0].train) == (1e-6, 5)


@pytest.mark.parametrize(
    ("seeds", "names"),
    [("[]", ["{a} b"]), ("[7]", ["{a} b"]), ("[1, 2]", ["{a} b, seed 1", "{a} b, seed 2"])],
)
def test_seeds_repeat_rows(write: Write, seeds: str, names: list[str]) -> None:
    write("studies/s", f'[study]\nprofile = "plain"\nseeds = {seeds}\n[[study.row]]\nname = "{{a}} b"\n')
    rows = load_study("s").rows
    assert [row.name for row in rows] == names
    chosen = [row.resolved.profile.train.seed for row in rows]
    assert str(chosen) == seeds or (seeds == "[]" and chosen == [42])


STAGED = """[study]
profile = "plain"
seeds = [1, 2]
set = {train.epochs = 3.0, method.rank = 4}
[[study.row]]
name = "two"
set = {method.alpha = 8}
stages = [{set = {method.rank = 8}}, {profile = "other", set = {"model.adapter" = "previous", train.epochs = 1.0}}]
"""


def test_each_stage_is_a_row_of_its_own(write: Write) -> None:
    write("studies/s", STAGED)
    study = load_study("s")
    names = ["two, seed 1, stage 1", "two, seed 1, stage 2", "two, seed 2, stage 1", "two, seed 2, stage 2"]
    assert [row.name for row in study.rows] == names
    assert [row.after for row in study.rows] == ["", names[0], "", names[2]]
    profiles = [row.resolved.profile for row in study.rows]
    assert [p.train.seed for p in profiles] == [1, 1, 2, 2]
    assert [p.model.adapter for p in profiles] == ["", "previous", "", "previous"]
    assert [(p.method.rank, p.method.alpha, p.train.epochs) for p in profiles[:2]] == [(8, 8, 3.0), (4, 8, 1.0)]
    assert study.axes == ("train.seed", "model.adapter", "model.adapter_mode", "method.orthogonal_to")


@pytest.mark.parametrize(
    "values", ['{"train.epochs" = 3.0, "data.system_prompt" = "x"}', '{train.epochs = 3.0, data.system_prompt = "x"}']
)
@pytest.mark.parametrize("place", ["study", "row"])
def test_dotted_keys_need_no_quotes(write: Write, values: str, place: str) -> None:
    here = {"study": "", "row": "", place: f"set = {values}\n"}
    text = f'[study]\nprofile = "plain"\n{here["study"]}[[study.row]]\nname = "a"\n{here["row"]}'
    write("studies/s", text)
    profile = load_study("s").rows[0].resolved.profile
    assert (profile.train.epochs, profile.data.system_prompt) == (3.0, "x")


def test_flags_reach_every_row_and_win(write: Write) -> None:
    write("studies/s", '[study]\nprofile = "plain"\n[[study.axis]]\nkey = "train.seed"\nvalues = [1, 2]\n')
    rows = load_study("s", ("train.epochs=3", "train.seed=9")).rows
    assert [(r.resolved.profile.train.epochs, r.resolved.profile.train.seed) for r in rows] == [(3, 9), (3, 9)]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("[study]\n", ProfileError, "has no rows"),
        ("", ProfileError, "study: Field required"),
        ("[study]\nprofle = 1\n", ProfileError, r"s\.toml: study\.profle: Extra inputs"),
        ('[study]\n[[study.axis]]\nkey = "train.seed"\nvalues = []\n', ProfileError, r"study\.axis\.0\.values"),
        ('[study]\n[[study.row]]\nname = "a"\n', ProfileError, "Row 'a' of s.toml names no profile"),
        ("[study]\nbaseline = true\n", ProfileError, "Row 'baseline' of s.toml names no profile"),
        ('[study]\nprofile = "plian"\nbaseline = true\n', NotFoundError, "no profile 'plian'.*'plain'"),
        (
            '[study]\nprofile = "plain"\n[[study.row]]\nname = "a"\n[[study.row]]\nname = "a"\n',
            ProfileError,
            "two rows called 'a'",
        ),
        (
            '[study]\nprofile = "plain"\nbaseline = true\n[[study.row]]\nname = "baseline"\n',
            ProfileError,
            "two rows called 'baseline'",
        ),
        (
            '[study]\nprofile = "plain"\n[[study.row]]\nname = "a"\n[[study.row.stages]]\n'
            'set = {model.adapter = "previous"}\n',
            ProfileError,
            "Stage 1 of row 'a' of s.toml says \"previous\", and nothing is before it",
        ),
        (
            '[study]\nprofile = "plain"\n[[study.axis]]\nkey = "method.kind"\nvalues = ["lora", "full"]\n'
            '[study.set]\nmethod.variant = "dora"\n',
            ProfileError,
            "method.variant = 'dora' is a form of adapter, and 'full' trains none",
        ),
        (
            '[study]\nprofile = "plain"\n[[study.axis]]\nkey = "method.rnk"\nvalues = [1]\n',
            ProfileError,
            "method.rnk is not a key.*Did you mean 'rank'",
        ),
        ("[study\n", ProfileError, "no valid TOML"),
        ('[study]\n"\\u001b[31mx" = 1\n', ProfileError, r"s\.toml: study\.x: Extra"),
    ],
)
def test_refusals(write: Write, text: str, error: type[Exception], message: str) -> None:
    write("studies/s", text)
    with pytest.raises(error, match=message):
        load_study("s")


def test_studies_are_found_by_name_path_or_not(write: Write) -> None:
    path = write("studies/my-ranks", '[study]\nprofile = "plain"\nbaseline = true\n')
    assert find_study("my-ranks") == find_study("studies/my-ranks") == path
    assert load_study(str(path)).name == "my-ranks"
    assert {"my-ranks", "demo"} <= set(list_studies())
    with pytest.raises(NotFoundError, match="Did you mean 'my-ranks'"):
        find_study("my-rank")


def test_packed_studies_load() -> None:
    names = list_studies()
    assert "demo" in names
    for name in names:
        assert len(load_study(name).rows) >= 2
