"""`lab runs rm` and `prune`: what they delete, what they ask first, what they never touch."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest

from lab import atomic
from lab.runs.paths import RunPaths
from tests.fixtures.folders import make_run
from tests.unit.cli.conftest import Lab, content


def left(home: Path) -> set[str]:
    return {path.name.split("-")[2] for path in (home / "runs").iterdir()}


def test_a_live_run_is_not_deleted(lab: Lab, live: RunPaths, home: Path) -> None:
    before = content(home)
    lab("runs", "rm", "live", "--yes").refused(1, "is training", "lab runs stop")
    said = lab("runs", "prune", "--query", "live", "--yes", "--json")
    assert said.json == {"deleted": [], "freed_bytes": 0}
    assert content(home) == before


def test_a_run_under_evaluation_is_not_deleted(lab: Lab, home: Path, four: dict[str, RunPaths]) -> None:
    job = four["failed"].jobs / "one" / "lock"
    job.parent.mkdir(parents=True)
    with job.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        lab("runs", "rm", "failed", "--yes").refused(1, "is being evaluated")
        said = lab("runs", "prune", "--yes", "--json")
        assert "Kept: " + four["failed"].id in said.err
    assert left(home) == {"completed", "failed"}
    assert lab("runs", "rm", "failed", "--yes").code == 0


def test_nothing_is_deleted_unasked(lab: Lab, home: Path, four: dict[str, RunPaths]) -> None:
    before = content(home)
    lab("runs", "rm", "failed").refused(2, "no terminal", "Add --yes")
    lab("runs", "prune").refused(2, "no terminal", "Add --yes")
    lab("runs", "prune", "--checkpoints", "--query", "nobody")
    assert content(home) == before


@pytest.mark.parametrize(
    ("count", "words", "asked", "named"),
    [
        (1, ("rm", "run-0-"), " (completed, 2.00 MB)?", True),
        (5, ("prune", "--checkpoints"), "Delete the checkpoints of 5 runs, 10.00 MB: ", True),
        (6, ("prune", "--checkpoints"), "Delete the checkpoints of 6 runs, 12.00 MB?", False),
        (6, ("prune", "--checkpoints", "--json"), "Delete the checkpoints of 6 runs, 12.00 MB: ", True),
        (6, ("prune", "-q", "completed"), "Delete 6 runs (6 completed), 12.0", False),
    ],
)
def test_the_question_tells_how_much_goes(
    lab: Lab, home: Path, count: int, words: tuple[str, ...], asked: str, named: bool
) -> None:
    runs = [make_run(home, f"run-{number}", metrics=None) for number in range(count)]
    for run in runs:
        run.checkpoints.mkdir()
        (run.checkpoints / "optimizer.pt").write_bytes(b"x" * 2_000_000)
    said = lab("runs", *words)
    said.refused(2, asked, "no terminal")
    assert [run.id in said.err for run in runs] == [named] * count


@pytest.mark.parametrize("answer", [False, True])
def test_a_run_resumed_while_the_question_stands_is_kept(
    lab: Lab, home: Path, four: dict[str, RunPaths], monkeypatch: pytest.MonkeyPatch, answer: bool
) -> None:
    handle = os.open(four["failed"].lock, os.O_RDWR | os.O_CREAT)

    def meanwhile(question: str, *, yes: bool) -> None:
        assert four["failed"].id in question
        if answer:
            atomic.write_json(four["failed"].state, {**json.loads(four["failed"].state.read_text()), "state": "queued"})
            fcntl.flock(handle, fcntl.LOCK_EX)

    monkeypatch.setattr("lab.cli.deletion.confirm", meanwhile)
    said = lab("runs", "rm", "failed")
    os.close(handle)
    assert four["failed"].folder.exists() is answer
    assert said.code == (1 if answer else 0)


def test_rm_deletes_one(lab: Lab, home: Path, four: dict[str, RunPaths]) -> None:
    size = sum(path.stat().st_size for path in four["completed"].folder.iterdir() if path.is_file())
    said = lab("runs", "rm", "completed", "--yes", "--json")
    assert said.json == {"deleted": [four["completed"].id], "freed_bytes": size}
    assert left(home) == {"stopped", "failed", "lost"}


def test_prune_takes_what_did_not_complete(lab: Lab, home: Path, four: dict[str, RunPaths], live: RunPaths) -> None:
    size = sum(p.stat().st_size for s in ("stopped", "failed", "lost") for p in four[s].folder.iterdir())
    said = lab("runs", "prune", "--yes", "--json")
    assert set(said.json["deleted"]) == {four[state].id for state in ("stopped", "failed", "lost")}
    assert said.json["freed_bytes"] == size
    assert left(home) == {"completed", "live"}
    again = lab("runs", "prune", "--yes")
    assert (again.code, again.out, again.err) == (0, "", "There is nothing to delete.\n")


def test_prune_takes_what_a_query_names(lab: Lab, home: Path, four: dict[str, RunPaths]) -> None:
    assert lab("runs", "prune", "-q", "state=completed", "--yes").out.startswith("Freed ")
    assert left(home) == {"stopped", "failed", "lost"}


def test_prune_checkpoints_takes_only_those_of_completed_runs(lab: Lab, home: Path, four: dict[str, RunPaths]) -> None:
    for run in four.values():
        (run.checkpoints / "checkpoint-4").mkdir(parents=True)
        (run.checkpoints / "checkpoint-4" / "optimizer.pt").write_bytes(b"x" * 1000)
    before = content(home)
    said = lab("runs", "prune", "--checkpoints", "--yes", "--json")
    assert said.json == {"deleted": [four["completed"].id], "freed_bytes": 1000}
    gone = f"runs/{four['completed'].id}/checkpoints/checkpoint-4/optimizer.pt"
    assert content(home) == {name: held for name, held in before.items() if name != gone}


def test_runs_that_build_on_a_deleted_one_are_named(lab: Lab, home: Path, four: dict[str, RunPaths]) -> None:
    doomed = four["failed"]
    user = make_run(home, "second-stage", profile={"model": {"adapter": f"run:{doomed.id}"}})
    warning = f"{user.id} cannot be used without {doomed.id}.\n"
    lab("runs", "rm", "failed").refused(2, warning, "no terminal")
    assert lab("runs", "rm", user.id, "--yes").err == ""
    assert lab("runs", "rm", "failed", "--yes").err == ""
