"""Runs under a root: ids of their own, found by any unique part, deleted only when nobody works on them."""

from __future__ import annotations

import os
import secrets
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.errors import LabError, NotFoundError, OutOfSpaceError, RunStateError, UsageError
from lab.runs import lock
from lab.runs.labels import Labels, write_labels
from lab.runs.paths import RunPaths
from lab.runs.store import delete_run, find_run, list_runs, new_run, read_run, short_id_among, short_ids

Make = Callable[..., RunPaths]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def three(make: Make, tmp_path: Path) -> Path:
    """Three runs of 2027; the one called `best` is the newest."""
    make("20270101-0000-smollm2-lora-aaaa", state="completed", created=10)
    make("20270102-0000-smollm2-qlora-bbbb", state="completed", created=20)
    named = make("20270103-0000-llama-lora-cccc", state="completed", created=30)
    write_labels(named, Labels(name="best"))
    (tmp_path / "runs" / "no-run").mkdir()
    (tmp_path / "runs" / "a-file").write_text("")
    return tmp_path / "runs"


@pytest.mark.parametrize(
    ("label", "slug"),
    [("SmolLM2 QLoRA", "smollm2-qlora"), ("../../etc", "etc"), ("日本", "run"), ("", "run"), ("x" * 90, "x" * 40)],
)
def test_an_id_reads_and_sorts(root: Path, monkeypatch: pytest.MonkeyPatch, label: str, slug: str) -> None:
    moment = time.gmtime(1_800_000_000)
    monkeypatch.setattr(time, "gmtime", lambda: moment)
    monkeypatch.setattr(secrets, "token_hex", lambda _: "7f3a")
    run = new_run(label, root=root)
    assert run.id == f"20270115-0800-{slug}-7f3a"
    assert run.folder.parent == root
    assert stat.S_IMODE(run.folder.stat().st_mode) == 0o700


def test_ids_are_exclusive(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = time.gmtime(1_800_000_000)
    monkeypatch.setattr(time, "gmtime", lambda: moment)
    drawn = iter(["aaaa", "aaaa", "aaaa", "bbbb"])
    monkeypatch.setattr(secrets, "token_hex", lambda _: next(drawn))
    first, second = new_run("x", root=root), new_run("x", root=root)
    assert (first.id[-4:], second.id[-4:]) == ("aaaa", "bbbb")


def test_a_root_that_cannot_hold_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutOfSpaceError, match="LAB_HOME"):
        new_run("x", root=tmp_path / "gone")


def test_the_newest_run_comes_first_and_other_folders_are_passed_over(three: Path) -> None:
    assert [info.id[-4:] for info in list_runs(three)] == ["cccc", "bbbb", "aaaa"]
    assert list_runs(three / "gone") == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("latest", "cccc"),
        ("best", "cccc"),
        ("bbbb", "bbbb"),
        ("qlora", "bbbb"),
        ("20270101", "aaaa"),
        ("20270102-0000-smollm2-qlora-bbbb", "bbbb"),
    ],
)
def test_a_run_is_found_by_any_unique_part(three: Path, text: str, found: str) -> None:
    assert find_run(text, three).id.endswith(found)


def test_a_given_name_wins_over_parts_of_ids(three: Path) -> None:
    write_labels(RunPaths(three / "20270101-0000-smollm2-lora-aaaa"), Labels(name="qlora"))
    assert find_run("qlora", three).id.endswith("aaaa")


def test_a_run_elsewhere_is_found_by_its_folder(three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (three / "20270101-0000-smollm2-lora-aaaa").rename(tmp_path / "copied")
    assert find_run(str(tmp_path / "copied"), three).id == "copied"
    monkeypatch.chdir(tmp_path)
    assert find_run("./copied", three).run.folder == tmp_path / "copied"


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("lora-a", None, ""),
        ("smollm2", UsageError, "fits 2 runs: 20270102-0000-smollm2-qlora-bbbb, 20270101-0000-smollm2-lora-aaaa"),
        ("lora", UsageError, "fits 3 runs"),
        ("bestt", NotFoundError, "Did you mean 'best'"),
        ("zzzz", NotFoundError, "No run is called 'zzzz'"),
        ("", NotFoundError, "No run is called ''"),
        ("some/where", NotFoundError, "No run is called"),
        ("x\x1b[31m", NotFoundError, "No run is called 'x'"),
    ],
)
def test_what_fits_no_run_or_several(three: Path, text: str, error: type[LabError] | None, message: str) -> None:
    if error is None:
        assert find_run(text, three)
        return
    with pytest.raises(error, match=message) as caught:
        find_run(text, three)
    assert caught.value.exit_code == (2 if error is UsageError else 3)


def test_a_study_is_no_run_and_its_table_is_named(three: Path) -> None:
    write_labels(RunPaths(three / "20270101-0000-smollm2-lora-aaaa"), Labels(study="demo", row="LoRA"))
    with pytest.raises(NotFoundError, match="No run is called 'demo'") as caught:
        find_run("demo", three)
    assert caught.value.remedy == "It is a study: `lab study show demo`."


def test_an_empty_text_names_no_run_even_where_there_is_one(make: Make, tmp_path: Path) -> None:
    make(state="completed")
    with pytest.raises(NotFoundError):
        find_run("", tmp_path / "runs")


def test_no_runs_at_all(root: Path) -> None:
    with pytest.raises(NotFoundError, match="lab demo --quick") as caught:
        find_run("latest", root)
    assert caught.value.exit_code == 3


def test_a_run_as_lists_show_it(make: Make) -> None:
    run = make(state="completed", detail="done\x1b[1m\n", model="m\x07", summary=None, profile="p")
    info = read_run(run)
    assert info is not None
    assert (info.state, info.detail, info.text("model"), info.text("gone"), info.summary) == (
        "completed",
        "done ",
        "m",
        "",
        {},
    )
    shown = info.as_json()
    assert (shown["id"], shown["state"], shown["profile"], shown["step"]) == (run.id, "completed", "p", None)


@pytest.mark.parametrize(
    ("ids", "short"),
    [
        (["20270115-0800-a-7f3a", "20270115-0800-b-c36f"], ["7f3a", "c36f"]),
        (["20270115-0800-a-7f3a", "20270115-0800-b-7f3a"], ["a-7f3a", "b-7f3a"]),
        (["20270115-0800-a-7f3a", "20270115-0800-7f3a-c36f"], ["a-7f3a", "c36f"]),
        (["x-a-7f3a", "a-7f3a"], ["x-a-7f3a", "a-7f3a"]),
        (["moved"], ["moved"]),
        ([], []),
    ],
)
def test_short_ids_name_one_run_each(ids: list[str], short: list[str]) -> None:
    assert list(short_ids(ids).values()) == short
    assert [short_id_among(one, ids) for one in ids] == short


@pytest.mark.parametrize("state", ["queued", "starting", "training", "evaluating"])
def test_a_live_run_is_not_deleted(make: Make, state: str) -> None:
    run = make(state=state)
    handle = lock.acquire(run.lock)
    info = read_run(run)
    assert info is not None
    with pytest.raises(RunStateError, match=f"is {state}.*lab runs stop") as caught:
        delete_run(info)
    assert caught.value.exit_code == 1
    assert run.state.exists()
    os.close(handle)


@pytest.mark.parametrize("state", ["completed", "stopped", "failed", "training"])
def test_an_ended_or_lost_run_is_deleted(make: Make, state: str) -> None:
    run = make(state=state)
    info = read_run(run)
    assert info is not None
    delete_run(info)
    assert not run.folder.exists()
