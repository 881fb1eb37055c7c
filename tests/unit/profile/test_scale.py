"""`--scale small`: what stays, what goes, and the packed studies at both scales."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab.errors import UsageError
from lab.profile.scale import EXAMPLES, MODEL, ROWS, STEPS, load_scaled
from lab.profile.study import Study, list_studies, load_study

Write = Callable[[str, str], Path]
STUDIES = ("a-gemma-mixed", "b-military-qa", "c-two-stages", "d-memory-quality", "e-rank-placement")
KEPT = ("kind", "rank", "alpha", "dropout", "target_modules", "layers", "head", "orthogonal_to")


@pytest.fixture
def study(write: Write) -> str:
    write(
        "big",
        """[model]
name = "owner/model"
revision = "abc"
quantization = "int8"
[[data.source]]
name = "owner/rows"
config = "x"
[data]
system_prompt = "Be brief."
max_length = 4096
[train]
epochs = 3
learning_rate = 5e-5
optimizer = "paged_adamw_8bit"
[evaluate]
rows = 0
metrics = ["bleu"]
temperature = 0.3
""",
    )
    write(
        "studies/s",
        """[study]
profile = "big"
baseline = true
seeds = [1, 2]
[[study.axis]]
key = "method.rank"
values = [8, 64]
""",
    )
    return "s"


def test_small_rows_cost_little_and_are_about_the_same(study: str) -> None:
    whole, small = load_study(study), load_scaled(study, (), "small")
    assert small.name == "s-small"
    assert [row.name for row in small.rows] == [row.name for row in whole.rows]
    assert small.axes == whole.axes
    for before, after in zip(whole.rows, small.rows, strict=True):
        old, new = before.resolved.profile, after.resolved.profile
        assert new.method == old.method
        assert (new.model.name, new.model.revision, new.model.quantization) == (MODEL, "main", "int8")
        assert [source.name for source in new.data.source] == ["bundled:helpdesk"]
        assert (new.train.max_steps, new.train.examples_per_step) == (STEPS, EXAMPLES)
        assert (new.train.learning_rate, new.train.seed) == (5e-5, old.train.seed)
        assert (new.evaluate.rows, new.evaluate.temperature, new.evaluate.metrics) == (ROWS, 0.3, ["bleu"])
        assert (new.data.system_prompt, new.data.max_length) == ("", 512)
        assert after.resolved.hash != before.resolved.hash


def test_the_users_values_win(study: str) -> None:
    sets = ("train.max_steps=2", "data.source.0.name=rows.jsonl", "method.alpha=7")
    for row in load_scaled(study, sets, "small").rows:
        profile = row.resolved.profile
        assert (profile.train.max_steps, profile.method.alpha) == (2, 7)
        assert (profile.data.source[0].name, profile.data.source[0].train) == ("rows.jsonl", 48)
        assert str(row.resolved.origins["train.max_steps"]) == "flag"


def test_a_study_that_is_smaller_still_is_not_blown_up(study: str) -> None:
    sets = ("train.examples_per_step=2", "evaluate.rows=5", "evaluate.max_new_tokens=8", "data.max_length=64")
    profile = load_scaled(study, sets, "small").rows[1].resolved.profile
    assert (profile.train.examples_per_step, profile.evaluate.rows) == (2, 5)
    assert (profile.evaluate.max_new_tokens, profile.data.max_length) == (8, 64)


def test_scales(study: str) -> None:
    assert load_scaled(study) == load_study(study)
    with pytest.raises(UsageError, match=r"no scale 'smal'.*Did you mean 'small'"):
        load_scaled(study, (), "smal")


# --- the packed studies


@pytest.fixture(params=STUDIES)
def packed(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.chdir(tmp_path)
    assert request.param in list_studies()
    return load_study(request.param)


def test_packed_studies_ask_a_question_and_have_an_untuned_row(packed: Study) -> None:
    assert packed.description.endswith("?")
    assert any(row.resolved.profile.method.kind == "baseline" for row in packed.rows)
    assert len({row.resolved.hash for row in packed.rows}) == len(packed.rows)


def test_packed_studies_are_whole_at_small_scale(packed: Study) -> None:
    small = load_scaled(packed.name, (), "small")
    assert [row.name for row in small.rows] == [row.name for row in packed.rows]
    for before, after in zip(packed.rows, small.rows, strict=True):
        old, new = before.resolved.profile, after.resolved.profile
        assert [getattr(new.method, key) for key in KEPT] == [getattr(old.method, key) for key in KEPT]
        assert (new.quantization, new.model.adapter) == (old.quantization, old.model.adapter)
        assert after.after == before.after
        assert new.model.name == MODEL


def test_rows_of_a_study_are_asked_the_same(packed: Study) -> None:
    protocols = {row.resolved.profile.evaluate.model_dump_json() for row in packed.rows}
    assert len(protocols) == 1
    tested = {
        str(sorted((source.name, source.test) for source in row.resolved.profile.data.source if source.test))
        for row in packed.rows
    }
    assert len(tested) == 1


def rows_of(name: str) -> dict[str, tuple[str, str, int, object]]:
    """Return row name -> (model, method with its quantisation, rank, targets)."""
    found = {}
    for row in load_study(name).rows:
        profile = row.resolved.profile
        method = profile.method
        kind = f"{method.kind} {profile.quantization}".removesuffix(" none")
        found[row.name] = (profile.model.name, kind, method.rank, method.target_modules)
    return found


def test_study_a_trains_a_second_adapter_orthogonal_to_the_merged_first() -> None:
    first, second = load_study("a-gemma-mixed").rows[-2:]
    assert second.after == first.name
    assert (first.resolved.profile.quantization, first.resolved.profile.model.double_quant) == ("nf4", True)
    profile = second.resolved.profile
    assert (profile.quantization, profile.model.adapter, profile.model.adapter_mode) == ("none", "previous", "merge")
    assert profile.method.orthogonal_to == "previous"
    counts = [(source.train, source.test) for source in profile.data.source]
    assert counts == [(5000, 2000)] * 3


def test_study_b_has_five_rows_for_each_of_three_models() -> None:
    rows = rows_of("b-military-qa")
    assert len(rows) == 15
    assert [rank for _, kind, rank, _ in rows.values() if kind == "lora"] == [8, 32, 8]
    assert {kind for _, kind, _, _ in rows.values()} == {"baseline", "lora", "qlora nf4", "qlora int8", "top-layer"}


def test_study_c_compares_both_stages_with_each_alone() -> None:
    rows = {row.name: row for row in load_study("c-two-stages").rows}
    second = rows["3B QLoRA, stage 2"]
    assert second.after == "3B QLoRA, stage 1"
    first = rows[second.after].resolved.profile
    assert [(s.name, s.train) for s in first.data.source][1] == ("mlabonne/FineTome-100k", 40_000)
    assert second.resolved.profile.model.adapter == "previous"
    assert rows["3B QLoRA, direct"].resolved.profile.model.adapter == ""


def test_lists_of_prompts_stay_at_small_scale_and_sets_of_the_hub_go() -> None:
    asked = {
        name: {task.name for row in load_scaled(name, (), "small").rows for task in row.resolved.profile.evaluate.task}
        for name in ("c-two-stages", "e-rank-placement")
    }
    assert asked == {"c-two-stages": {"general-prompts", "course-prompts"}, "e-rank-placement": set()}


def test_study_d_prices_nf4_alone_and_varies_rank_and_targets() -> None:
    rows = rows_of("d-memory-quality")
    assert [kind for _, kind, _, _ in rows.values()][:2] == ["baseline", "baseline nf4"]
    assert {(rank, str(targets)) for _, kind, rank, targets in rows.values() if kind == "qlora nf4"} == {
        (rank, targets) for rank in (8, 64) for targets in ("['q_proj', 'v_proj']", "all-linear")
    }


def test_study_e_varies_rank_and_placement_on_two_models_against_full_fine_tuning() -> None:
    rows = rows_of("e-rank-placement")
    tuned = [row for row in rows.values() if row[1] == "qlora nf4"]
    assert len(tuned) == 12
    assert {rank for _, _, rank, _ in tuned} == {4, 8, 16}
    assert {model for model, kind, _, _ in rows.values() if kind == "full"} == {model for model, _, _, _ in tuned}
    assert {model for model, kind, _, _ in rows.values() if kind == "baseline"} == {model for model, _, _, _ in tuned}
