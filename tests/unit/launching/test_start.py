"""What `start` writes before a worker lives; the worker here is a Python that does nothing."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab import atomic
from lab.errors import OutOfSpaceError
from lab.launching.local import model_label, short_model, start
from lab.launching.recorded import read_started
from lab.launching.spawn import WORKER
from lab.profile.load import Resolved, load_profile, resolve
from lab.profile.schema import Profile
from lab.runs import lock
from lab.runs.labels import Labels, read_labels
from lab.runs.paths import RunPaths
from lab.runs.store import list_runs

IDLE = ("-c", "pass")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAB_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def profile(*sets: str) -> Resolved:
    return resolve("fake", {"data": {"source": [{"name": "bundled:helpdesk"}]}}, {}, sets)


def test_folder_holds_all_that_the_worker_needs() -> None:
    resolved = profile("method.rank=4")
    run = start(resolved, command=IDLE, labels=Labels(name="mine", study="s", row="r"))
    state = json.loads(run.state.read_text())
    assert state.pop("created") == state.pop("updated")
    assert state == {
        "schema": 1,
        "id": run.id,
        "profile": "fake",
        "profile_hash": resolved.hash,
        "method": "lora",
        "model": "smollm2-135m-instruct",
        "state": "queued",
        "detail": "the worker starts",
        "attempt": 1,
        "step": 0,
        "total_steps": None,
        "device": None,
        "pid": None,
        "start_ticks": None,
        "summary": {},
        "facts": {},
        "end": None,
    }
    assert load_profile(str(run.profile)).hash == resolved.hash
    assert read_labels(run).row == "r"
    assert read_started(run).origins["method.rank"].layer == "flag"
    assert read_started(run).values["method.rank"] == 4
    assert "-smollm2-135m-lora-" in run.id
    assert run.folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("name", "label", "short"),
    [
        ("bundled:smollm2-135m-instruct", "smollm2-135m-instruct", "smollm2-135m"),
        ("meta-llama/Llama-3.2-1B-Instruct", "Llama-3.2-1B-Instruct", "Llama-3.2-1B"),
        ("/data/models/Qwen2.5-7B/", "Qwen2.5-7B", "Qwen2.5-7B"),
        ("google/gemma-2-2b-it", "gemma-2-2b-it", "gemma-2-2b"),
        ("a/" + "x" * 60, "x" * 60, "x" * 24),
        ("/", "/", "/"),
    ],
)
def test_model_names(name: str, label: str, short: str) -> None:
    one = Profile.model_validate({"model": {"name": name}})
    assert (model_label(one), short_model(one)) == (label, short)


def test_nearly_full_disk_is_refused_before_anything_is_made(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=42_000_000))
    with pytest.raises(OutOfSpaceError, match=r"Only 42.00 MB are free in .*; a run needs 200.00 MB. Free"):
        start(profile(), command=IDLE)
    assert list((home / "home" / "runs").iterdir()) == []


def test_disk_that_fills_up_meanwhile_leaves_no_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, value: Any) -> None:
        raise OutOfSpaceError("No space is left.", "Free some.")

    monkeypatch.setattr(atomic, "write_json", full)
    with pytest.raises(OutOfSpaceError):
        start(profile(), command=IDLE)
    assert list((home / "home" / "runs").iterdir()) == []


def test_raw_system_errors_become_two_sentences(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(lock, "acquire", refuse)
    with pytest.raises(OutOfSpaceError, match=r"cannot be written .No space left on device"):
        start(profile(), command=IDLE)
    assert list_runs() == []


@pytest.mark.parametrize(
    ("sets", "recorded"),
    [
        ((), False),
        (("data.source.0.name=rows.jsonl",), True),
        (("data.source.0.name=missing.jsonl",), False),
        (("model.name=models/tiny",), True),
        (("model.name=meta-llama/Llama-3.2-1B",), False),
        (("data.template=chat.jinja",), True),
        (('evaluate.task=[{name = "mine", prompts = "rows.jsonl"}]',), True),
        (('evaluate.task=[{name = "mine", source = {name = "rows.jsonl"}}]',), True),
        (('evaluate.task=[{name = "sst2"}]',), False),
        (("evaluate.bertscore_model=models/tiny",), True),
    ],
)
def test_working_folder_is_recorded_only_where_the_profile_leans_on_it(
    home: Path, sets: tuple[str, ...], recorded: bool
) -> None:
    (home / "rows.jsonl").write_text("{}\n")
    (home / "chat.jinja").write_text("")
    (home / "models" / "tiny").mkdir(parents=True)
    run: RunPaths = start(profile(*sets), command=IDLE)
    assert read_started(run).folder == (home if recorded else None)


def test_modules_in_the_working_folder_do_not_hide_the_lab(home: Path) -> None:
    (home / "lab").mkdir()
    (home / "lab" / "__init__.py").write_text("import pathlib; pathlib.Path('taken-in').touch()")
    *options, worker = WORKER
    assert worker == "lab.training.worker"
    run = start(profile(), command=(*options, "lab.errors"))
    os.close(lock.acquire(run.lock, wait=20.0))  # it has run and ended
    assert run.log.read_text() == ""
    assert not (home / "taken-in").exists()
