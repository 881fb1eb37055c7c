"""The wish to stop, whom a signal may reach, and which weights are usable. Real processes: tests/worker."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from lab.errors import RunStateError
from lab.launching.stop import Stopped, Wish, ask, kill, read_wish, terminate, usable_weights
from lab.runs import lock
from lab.runs.labels import Labels
from lab.runs.lock import Holder
from lab.runs.paths import RunPaths
from lab.runs.store import RunInfo
from tests.fixtures.folders import complete_checkpoint


@pytest.fixture
def held(tmp_path: Path) -> Iterator[RunPaths]:
    """A run whose lock this process holds, without its name in it."""
    run = RunPaths(tmp_path / "run")
    run.folder.mkdir()
    handle = lock.acquire(run.lock)
    yield run
    os.close(handle)


def info(run: RunPaths) -> RunInfo:
    return RunInfo(run, "training", {}, Labels())


@pytest.mark.parametrize("mode", ["save", "now"])
def test_wish_arrives(held: RunPaths, mode: str) -> None:
    assert read_wish(held) is None
    ask(held, "ann\x1b[2J@box", "now" if mode == "now" else "save")
    wish = read_wish(held)
    assert wish is not None
    assert (wish.mode, wish.who) == (mode, "ann@box")
    assert wish.t is not None
    assert set(json.loads(held.stop.read_text())) == {"mode", "who", "t"}


def test_later_wish_replaces_the_earlier(held: RunPaths) -> None:
    ask(held, "ann")
    ask(held, "ann", "now")
    assert read_wish(held) == replace(read_wish(held) or Wish("save", "", None), mode="now")


def test_unknown_mode_means_save(tmp_path: Path) -> None:
    run = RunPaths(tmp_path)
    run.stop.write_text('{"mode": "faster"}')
    assert read_wish(run) == Wish("save", "", None)


def test_nobody_to_ask(tmp_path: Path) -> None:
    run = RunPaths(tmp_path)
    with pytest.raises(RunStateError, match=r"Nobody works on .*`lab runs show"):
        ask(run, "ann")
    for send in (terminate, kill):
        with pytest.raises(RunStateError, match="Nobody works on"):
            send(info(run))
    assert not run.stop.exists()


THIS = lock.this_process()


@pytest.mark.parametrize(
    ("who", "problem"),
    [
        (None, "only just starting"),
        (replace(THIS, host="el\x1b[31msewhere"), "another host, elsewhere"),
        (replace(THIS, boot_id="before"), "another host"),
        (replace(THIS, start_ticks=THIS.start_ticks - 1), "has gone"),
        (replace(THIS, start_ticks=0), "has gone"),
        (replace(THIS, pid=2**30, start_ticks=0), "has gone"),
        (replace(THIS, pid=-1), "has gone"),
        (replace(THIS, pid=0), "has gone"),
    ],
)
def test_no_signal_where_the_holder_is_in_doubt(
    held: RunPaths, monkeypatch: pytest.MonkeyPatch, who: Holder | None, problem: str
) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *args: sent.append(args))
    monkeypatch.setattr(os, "killpg", lambda *args: sent.append(args))
    if who is not None:
        held.lock.write_text(json.dumps(asdict(who)))
    for send in (terminate, kill):
        with pytest.raises(RunStateError, match=problem):
            send(info(held))
    assert sent == []


@pytest.mark.parametrize("leads", [True, False])
def test_signal_goes_to_the_group_only_if_the_worker_leads_it(
    held: RunPaths, monkeypatch: pytest.MonkeyPatch, leads: bool
) -> None:
    sent: list[tuple[str, int, int]] = []
    monkeypatch.setattr(os, "getpgid", lambda pid: pid if leads else pid + 1)
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append(("process", pid, number)))
    monkeypatch.setattr(os, "killpg", lambda pid, number: sent.append(("group", pid, number)))
    held.lock.write_text(json.dumps(asdict(THIS)))
    terminate(info(held))
    kill(info(held))
    kind = "group" if leads else "process"
    assert sent == [(kind, os.getpid(), signal.SIGTERM), (kind, os.getpid(), signal.SIGKILL)]


@pytest.mark.parametrize(
    ("error", "problem"), [(ProcessLookupError, "Nobody works"), (PermissionError, "another user")]
)
def test_refusal_of_the_system_is_told(
    held: RunPaths, monkeypatch: pytest.MonkeyPatch, error: type[OSError], problem: str
) -> None:
    def refuse(pid: int) -> int:
        raise error

    monkeypatch.setattr(os, "getpgid", refuse)
    held.lock.write_text(json.dumps(asdict(THIS)))
    with pytest.raises(RunStateError, match=problem):
        terminate(info(held))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([], None),
        (["adapter/adapter_config.json"], None),
        (["checkpoints/checkpoint-10/model.safetensors"], None),
        (["checkpoints/checkpoint-9/complete.json", "checkpoints/checkpoint-10/complete.json"], "checkpoint-10"),
        (["checkpoints/checkpoint-9/complete.json", "adapter/adapter_model.safetensors"], "adapter"),
    ],
)
def test_usable_weights(tmp_path: Path, files: list[str], expected: str | None) -> None:
    for name in files:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
        if path.name == "complete.json":
            complete_checkpoint(path.parent)
    found = usable_weights(RunPaths(tmp_path))
    assert (found.name if found else None) == expected


@pytest.mark.parametrize(
    ("ended", "usable", "line"),
    [
        (False, None, "run was asked to stop and is still training"),
        (True, None, "run was asked to stop and is stopped; no weights were saved"),
        (True, "adapter", "run was asked to stop and is stopped; adapter is usable"),
    ],
)
def test_outcome_in_words(tmp_path: Path, ended: bool, usable: str | None, line: str) -> None:
    run = RunPaths(tmp_path / "run")
    state = "stopped" if ended else "training"
    assert Stopped(run, "asked", ended, state, run.folder / usable if usable else None).line == line
