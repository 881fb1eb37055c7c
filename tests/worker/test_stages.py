"""A study whose row is a chain, by real workers: QLoRA, then merged into the full base an orthogonal LoRA."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.launching.jobs import start_evaluation
from lab.launching.study import done_rows, matching_rows, start_missing
from lab.profile.dump import to_toml
from lab.profile.study import Study, load_study
from lab.runs.history import read_history
from lab.runs.paths import RunPaths, evaluations
from lab.runs.reader import read_all, read_json
from lab.runs.state import read_state
from lab.runs.store import RunInfo, read_run
from tests.fixtures.tiny_runs import events, tiny, tiny_study, wait_ended

STUDY = """[study]
profile = "tiny"
set = {train.max_steps = 6, train.save_every = 0, train.eval_every = 2, evaluate.rows = 4}
[[study.row]]
name = "chain"
stages = [
    {set = {method.kind = "qlora"}},
    {set = {model.adapter = "previous", model.adapter_mode = "merge", method.orthogonal_to = "previous"}},
]
"""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stages")


@pytest.fixture(scope="module")
def chain(places: Path) -> tuple[Study, list[RunInfo]]:
    """The study and its two runs, started at once and waited for."""
    with pytest.MonkeyPatch.context() as patch:
        _enter(patch, places)
        tiny_study(places)
        (places / "profiles/studies").mkdir(parents=True)
        (places / "profiles/tiny.toml").write_text(to_toml(tiny(places).profile))
        (places / "profiles/studies/s.toml").write_text(STUDY)
        study = load_study("s")
        lines: list[str] = []
        begun = start_missing(study, say=lines.append)
        assert [line.partition(": ")[0] for line in lines] == [row.name for row in study.rows]
        for info in begun:
            assert wait_ended(info.run)["state"] == "completed", info.run.log.read_text()
        return study, [info for one in begun if (info := read_run(one.run)) is not None]


@pytest.fixture(autouse=True)
def _place(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _enter(monkeypatch, places)


def _enter(patch: pytest.MonkeyPatch, places: Path) -> None:
    patch.chdir(places)
    patch.setenv("LAB_HOME", str(places / "home"))
    patch.setenv("LAB_DEVICE_LOCKS", str(places / "locks"))


def likelihoods(run: RunPaths, folder: Path | None = None) -> dict[str, float]:
    (paths,) = [found for found in evaluations(run) if folder in (None, found.folder)]
    return {row["id"]: row["nll"] for row in read_all(paths.generations)}


def test_each_stage_builds_on_the_one_before(chain: tuple[Study, list[RunInfo]]) -> None:
    study, infos = chain
    first, second = infos
    assert [info.labels.row for info in infos] == ["chain, stage 1", "chain, stage 2"]
    earlier = [(read_json(info.run.adapter / "lab.json") or {})["earlier"] for info in infos]
    assert earlier[0] is None
    assert (earlier[1]["run"], earlier[1]["mode"]) == (first.id, "merge")
    assert f'adapter = "run:{first.id}"' in second.run.profile.read_text()
    assert events(second.run, "phase")[0]["detail"] == f"waiting for {first.id}"
    (_, end), (begin, _) = (
        read_history(i.run).phase_windows(n)[0] for i, n in ((first, "evaluating"), (second, "starting"))
    )
    assert end <= begin
    assert {name: info.id for name, info in done_rows(study).items()} == {i.labels.row: i.id for i in infos}


def test_the_hybrid_is_orthogonal_and_learns(chain: tuple[Study, list[RunInfo]]) -> None:
    run = chain[1][1].run
    facts = read_state(run)["facts"]
    assert facts["orthogonality"] < 1e-3
    assert facts["merge"]["run"] == chain[1][0].id
    assert 0 <= facts["merge"]["mean"] <= facts["merge"]["max"] < 1
    evals = [event["loss"] for event in events(run, "eval")]
    assert evals[-1] < evals[0]


def test_a_job_answers_with_the_whole_chain(chain: tuple[Study, list[RunInfo]]) -> None:
    """Another spec, so nothing is reused: base, merge and adapter are loaded anew and give the same likelihoods."""
    info = chain[1][1]
    own = likelihoods(info.run)
    job = start_evaluation(info, ["evaluate.max_new_tokens=2"])
    assert wait_ended(job)["state"] == "completed", job.log.read_text()
    again = likelihoods(info.run, evaluations(info.run)[-1].folder)
    assert len(evaluations(info.run)) == 2
    assert again == pytest.approx(own, rel=1e-4)


def test_a_stage_fits_the_run_that_it_was_built_on_alone(chain: tuple[Study, list[RunInfo]]) -> None:
    study = chain[0]
    other = replace(study, rows=tuple(replace(row, name=row.name.replace("stage 1", "first")) for row in study.rows))
    assert set(matching_rows(other)) == set(), "without the run before it, no later stage is done"
