"""Which runs go on, and with which changes."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from lab.errors import NotFoundError, ProfileError, RunStateError
from lab.launching.recorded import read_started, write_started
from lab.launching.resume import Resumed, check_resume, is_longer, resume
from lab.profile.load import load_profile, resolve
from lab.profile.schema import Train
from lab.runs import lock
from lab.runs.labels import Labels
from lab.runs.paths import RunPaths
from lab.runs.state import LIVE, RESUMABLE, read_state
from lab.runs.store import RunInfo


def run_in(folder: Path, state: str = "stopped", *sets: str, **record: Any) -> RunInfo:
    """Make the folder of a run that trained two epochs unless `sets` say otherwise."""
    run = RunPaths(folder / "20261122-0110-fake-7f3a")
    run.folder.mkdir()
    tree = {"data": {"source": [{"name": "bundled:helpdesk"}]}, "train": {"epochs": 2.0}}
    write_started(run, resolve("fake", tree, {}, sets), None)
    return RunInfo(run, state, {"attempt": 1, "step": 100, **record}, Labels())


@pytest.mark.parametrize("state", RESUMABLE)
def test_ended_runs_go_on_as_they_were(tmp_path: Path, state: str) -> None:
    info = run_in(tmp_path, state)
    before = read_started(info.run)
    resolved = check_resume(info)
    assert resolved.name == "fake"
    assert resolved.origins == before.origins
    assert dict(before.values)["train.epochs"] == resolved.profile.train.epochs


@pytest.mark.parametrize("state", LIVE)
def test_living_runs_are_refused(tmp_path: Path, state: str) -> None:
    with pytest.raises(RunStateError, match=f"is {state}; only stopped, failed and lost"):
        check_resume(run_in(tmp_path, state))


CHANGES = ["train.epochs=1", "train.max_steps=9", "train.save_every=7", "train.eval_every=0", "launch.slurm.cpus=4"]


@pytest.mark.parametrize("change", CHANGES)
def test_length_and_saving_may_change(tmp_path: Path, change: str) -> None:
    key = change.partition("=")[0]
    resolved = check_resume(run_in(tmp_path), [change])
    assert resolved.origins[key].layer == "flag"
    assert [k for k, origin in resolved.origins.items() if origin.layer == "flag"] == [key]


def test_other_changes_are_listed(tmp_path: Path) -> None:
    changes = ["method.rank=8", "train.learning_rate=0.5", "train.epochs=4", 'method.target_modules=["q_proj"]']
    with pytest.raises(ProfileError) as caught:
        check_resume(run_in(tmp_path), changes)
    assert caught.value.problem.endswith(
        'method.rank: 16 -> 8; method.target_modules: "all-linear" -> ["q_proj"]; train.learning_rate: 0.0002 -> 0.5.'
    )
    assert "train.max_steps" in caught.value.remedy


def test_setting_a_key_to_what_it_is_changes_nothing(tmp_path: Path) -> None:
    assert check_resume(run_in(tmp_path), ["method.rank=16"]).origins["method.rank"].layer == "default"


def edit(info: RunInfo, pattern: str, text: str) -> None:
    before = info.run.profile.read_text()
    after = re.sub(pattern, text, before, flags=re.MULTILINE)
    assert after != before
    info.run.profile.write_text(after)


def test_edit_by_hand_is_seen(tmp_path: Path) -> None:
    info = run_in(tmp_path)
    edit(info, r"^rank = 16$", "rank = 17")
    with pytest.raises(ProfileError, match=r"method.rank: 16 -> 17"):
        check_resume(info)


def test_added_source_is_seen(tmp_path: Path) -> None:
    info = run_in(tmp_path)
    info.run.profile.write_text(info.run.profile.read_text() + '\n[[data.source]]\nname = "more.jsonl"\n')
    with pytest.raises(ProfileError, match=r'data.source.1.name: \(none\) -> "more.jsonl"'):
        check_resume(info)


def test_allowed_edit_by_hand_names_the_file(tmp_path: Path) -> None:
    info = run_in(tmp_path)
    edit(info, r"^epochs = 2.0$", "epochs = 3.0")
    assert str(check_resume(info).origins["train.epochs"]).startswith("file profile.toml:")


def test_key_that_a_newer_lab_brought_is_no_change(tmp_path: Path) -> None:
    info = run_in(tmp_path)
    record = json.loads(info.run.origin.read_text())
    del record["values"]["method.dropout"]
    info.run.origin.write_text(json.dumps(record))
    edit(info, r"^dropout = 0.0\n", "")
    assert check_resume(info).profile.method.dropout == 0.0
    with pytest.raises(ProfileError, match=r"method.dropout: \(none\) -> 0.5"):
        check_resume(info, ["method.dropout=0.5"])


def test_hostile_values_are_shown_clean_and_short(tmp_path: Path) -> None:
    with pytest.raises(ProfileError) as caught:
        check_resume(run_in(tmp_path), ["data.system_prompt=\x1b[31m" + "x" * 500])
    assert "\x1b" not in str(caught.value)
    assert len(caught.value.problem) < 300


@pytest.mark.parametrize(
    ("before", "now", "longer"),
    [
        ((2.0, 0), {"epochs": 3.0}, True),
        ((2.0, 0), {"epochs": 2.0}, False),
        ((2.0, 0), {"epochs": 1.0}, False),
        ((2.0, 0), {"epochs": 2.0, "max_steps": 101}, True),
        ((2.0, 0), {"epochs": 2.0, "max_steps": 100}, False),
        ((1.0, 100), {"epochs": 1.0, "max_steps": 150}, True),
        ((1.0, 100), {"epochs": 9.0, "max_steps": 100}, False),
        ((1.0, 100), {"epochs": 9.0, "max_steps": 0}, False),
    ],
)
def test_is_longer(before: tuple[float, int], now: dict[str, Any], longer: bool) -> None:
    assert is_longer(*before, Train.model_validate(now), done=100) is longer


def test_completed_run_goes_on_only_to_train_longer(tmp_path: Path) -> None:
    info = run_in(tmp_path, "completed")
    with pytest.raises(RunStateError, match=r"is completed. To train it longer raise train.epochs"):
        check_resume(info)
    assert check_resume(info, ["train.epochs=3"]).profile.train.epochs == 3.0


def test_completed_baseline_trains_nothing(tmp_path: Path) -> None:
    with pytest.raises(RunStateError, match="trains nothing"):
        check_resume(run_in(tmp_path, "completed", "method.kind=baseline"), ["train.epochs=3"])


@pytest.mark.parametrize("content", [None, "", "[]", '{"values": {"a": 1}}', '{"values": {}}'])
def test_damaged_record_is_refused(tmp_path: Path, content: str | None) -> None:
    info = run_in(tmp_path)
    if content is None:
        info.run.origin.unlink()
    else:
        info.run.origin.write_text(content)
    with pytest.raises(NotFoundError, match=r"no readable origin.json. Start it anew"):
        check_resume(info)


@pytest.mark.parametrize(
    ("checkpoint", "line"),
    [
        (None, "attempt 2 starts over from step 0: no complete checkpoint is there"),
        ("checkpoint-120", "attempt 2 goes on from step 120"),
    ],
)
def test_resumed_says_from_where(tmp_path: Path, checkpoint: str | None, line: str) -> None:
    assert Resumed(RunPaths(tmp_path), 2, checkpoint).line == line


def test_new_attempt_is_written_before_its_worker_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = run_in(tmp_path)
    ended = {"attempt": 1, "state": "stopped", "pid": 7, "start_ticks": 9, "end": {"outcome": "stopped"}, "step": 100}
    info.run.state.write_text(json.dumps(ended))
    info.run.stop.write_text("{}")
    info.run.lock.write_text(json.dumps(asdict(lock.this_process())))
    seen: list[tuple[Any, ...]] = []

    def look(run: RunPaths, handle: int, **options: Any) -> None:
        seen.append((lock.is_held(run.lock), lock.holder(run.lock), run.stop.exists(), read_state(run)))

    monkeypatch.setattr("lab.launching.resume.spawn", look)
    resume(info, ["train.epochs=4"])
    ((held, holder, wish, state),) = seen
    assert (held, holder, wish) == (True, None, False)  # the last attempt's process must get no signal meant for this
    assert {key: state[key] for key in ("attempt", "state", "pid", "start_ticks", "end", "step")} == {
        "attempt": 2,
        "state": "queued",
        "pid": None,
        "start_ticks": None,
        "end": None,
        "step": 100,
    }
    reread = load_profile(str(info.run.profile))
    assert (reread.profile.train.epochs, reread.hash) == (4.0, state["profile_hash"])
    assert read_started(info.run).values["train.epochs"] == 4.0
    assert not lock.is_held(info.run.lock)


def failed(folder: Path, began: Path | None) -> RunInfo:
    """Return a run of rows that have gone since; its relative names begin in `began`."""
    info = run_in(folder, "failed", "data.source.0.name=gone.jsonl")
    write_started(info.run, load_profile(str(info.run.profile)), began)
    info.run.state.write_text(json.dumps({"attempt": 1, "state": "failed", "end": {"outcome": "failed"}}))
    return info


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> list[RunPaths]:
    runs: list[RunPaths] = []
    monkeypatch.setattr("lab.launching.resume.spawn", lambda run, handle, **options: runs.append(run))
    monkeypatch.setattr("lab.launching.resume.place_for", lambda run, profile: None)
    return runs


def test_missing_data_is_refused_before_a_worker_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spawned: list[RunPaths]
) -> None:
    monkeypatch.chdir(tmp_path)
    info = failed(tmp_path, tmp_path)
    before = {path.name: path.read_bytes() for path in info.run.folder.iterdir()}
    with pytest.raises(NotFoundError, match=r"There is no data file 'gone.jsonl'. Check data.source.0.name."):
        resume(info)
    assert spawned == []
    assert {path.name: path.read_bytes() for path in info.run.folder.iterdir()} == before
    (tmp_path / "gone.jsonl").write_text('{"prompt": "one", "completion": "two"}\n')
    assert resume(info).attempt == 2
    assert spawned == [info.run]


def test_a_folder_elsewhere_is_left_to_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spawned: list[RunPaths]
) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path)
    info = failed(tmp_path, tmp_path / "project")
    (tmp_path / "project" / "gone.jsonl").write_text('{"prompt": "one", "completion": "two"}\n')
    resume(info)
    assert spawned == [info.run]


def test_a_row_of_a_study_keeps_no_other_from_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spawned: list[RunPaths]
) -> None:
    monkeypatch.chdir(tmp_path)
    resume(failed(tmp_path, tmp_path), in_line=True)
    assert len(spawned) == 1
