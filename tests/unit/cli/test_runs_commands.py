"""`lab runs`: what the commands print, what they refuse, what they delete and what they leave alone."""

from __future__ import annotations

import fcntl
import json
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import atomic
from lab.launching.recorded import read_started, write_started
from lab.profile.load import resolve
from lab.runs.labels import Labels, read_labels
from lab.runs.paths import RunPaths
from tests.fixtures.folders import START, make_run
from tests.unit.cli.conftest import Lab

POISON = "\x1b]0;owned\x07\x1b[31mred\x1b[0m\x9b32m\u202eevil [bold]x[/bold]"


def ended(home: Path, name: str, state: str, **options: Any) -> RunPaths:
    """Make a run that ended in `state`, or, without an end, is lost; its profile can be resumed."""
    end = {"type": "end", "t": START + 9, "outcome": state, "reason": "why", "remedy": "mend it"}
    begun = {"type": "phase", "t": START, "phase": "training"}
    events = [begun] if state == "lost" else [begun, end]
    run = make_run(home, name, state="training" if state == "lost" else state, events=events, metrics=None, **options)
    if state != "lost":
        atomic.write_json(run.state, {**json.loads(run.state.read_text()), "end": end})
    tree = {"data": {"source": [{"name": "bundled:helpdesk"}]}, "train": {"epochs": 2.0}}
    write_started(run, resolve("fake", tree, {}), None)
    return run


@pytest.fixture
def four(home: Path) -> dict[str, RunPaths]:
    """Return one run of each end."""
    return {state: ended(home, state, state) for state in ("completed", "stopped", "failed", "lost")}


@pytest.fixture
def live(home: Path) -> Iterator[RunPaths]:
    """Return a run whose lock somebody holds."""
    run = ended(home, "live", "lost")
    handle = os.open(run.lock, os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    yield run
    os.close(handle)


def content(home: Path) -> dict[str, bytes]:
    """Return every file of the home with what it holds."""
    return {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()}


def left(home: Path) -> set[str]:
    return {path.name.split("-")[2] for path in (home / "runs").iterdir()}


# --- finding


@pytest.mark.parametrize("verb", ["show", "logs", "watch", "stop", "resume", "label", "rm"])
def test_ids_that_fit_none_or_several(lab: Lab, home: Path, four: dict[str, RunPaths], verb: str) -> None:
    before = content(home)
    lab("runs", verb, "nothing-like-it").refused(3, "No run is called 'nothing-like-it'", "lab runs list")
    lab("runs", verb, "20270115").refused(2, "'20270115' fits 4 runs", "Give more of the id")
    lab("runs", verb, four["failed"].id.replace("failed", "faild")).refused(3, f"Did you mean '{four['failed'].id}'?")
    assert content(home) == before


def test_an_empty_home_has_no_runs_and_is_not_made(lab: Lab, home: Path) -> None:
    lab("runs", "show", "latest").refused(3, "There are no runs in", "lab demo --quick")
    assert lab("runs", "list").err == "There are no runs. Start one: `lab demo --quick`.\n"
    assert lab("runs", "list", "--json").json == {"runs": []}
    assert not home.exists()


def test_any_unique_part_names_and_folders_name_a_run(lab: Lab, home: Path, four: dict[str, RunPaths]) -> None:
    lab("runs", "label", "stopped", "--name", "mine")
    for text in ("stopped", "mine", four["stopped"].id, str(four["stopped"].folder)):
        assert lab("runs", "show", text, "--json").json["id"] == four["stopped"].id


# --- looking


def test_list_has_the_shape_of_the_design(lab: Lab, four: dict[str, RunPaths]) -> None:
    runs = lab("runs", "list", "--json").json["runs"]
    assert {run["id"]: run["state"] for run in runs} == {run.id: state for state, run in four.items()}
    for run in runs:
        assert run["profile"] == f"demo-{run['state']}"
        assert run["method"] == "lora"
        assert {"created", "updated", "step", "total_steps", "summary", "name", "tags", "study", "row"} <= run.keys()
    text = lab("runs", "list").out
    assert text.splitlines()[0].split() == ["id", "state", "step", "loss", "method", "study", "name"]
    assert len(text.splitlines()) == 5


@pytest.mark.parametrize(
    ("query", "states"),
    [
        ("state=failed", {"failed"}),
        ("state!=failed method=lora", {"completed", "stopped", "lost"}),
        ("rank=16 completed", {"completed"}),
        ("rank>16", set()),
        ("method=qlora", set()),
    ],
)
def test_filters_keep_what_fits(lab: Lab, four: dict[str, RunPaths], query: str, states: set[str]) -> None:
    assert {run["state"] for run in lab("runs", "list", "-q", query, "--json").json["runs"]} == states


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("methd=lora", ["no key 'methd'", "Did you mean 'method'?"]),
        ("state=faild", ["'faild'", "Did you mean 'failed'?"]),
        ("loss<low", ["compares with no number"]),
        ("loss<", ["has no value"]),
        ("name='open", ["not closed"]),
    ],
)
@pytest.mark.parametrize("verb", ["list", "prune"])
def test_wrong_filters_are_refused(
    lab: Lab, home: Path, four: dict[str, RunPaths], verb: str, query: str, words: list[str]
) -> None:
    before = content(home)
    lab("runs", verb, "-q", query).refused(2, *words)
    assert content(home) == before


def test_archived_runs_are_hidden(lab: Lab, four: dict[str, RunPaths]) -> None:
    assert lab("runs", "label", "failed", "--archive", "--json").json["archived"] is True
    assert len(lab("runs", "list", "--json").json["runs"]) == 3
    assert len(lab("runs", "list", "--archived", "--json").json["runs"]) == 4


def test_show_tells_facts(lab: Lab, home: Path) -> None:
    summary = {"metrics": {"bleu": "nan", "rougeL": 0.5}, "cost": {"train_seconds": 61.0, "energy_wh": None}}
    run = make_run(home, "lora", summary=summary)
    lines = lab("runs", "show", "latest").out.splitlines()
    assert lines[0] == run.id
    facts = {line.split(maxsplit=1)[0]: line.split(maxsplit=1)[1] for line in lines[1:]}
    assert facts["state"] == "completed"
    assert facts["metrics"] == "bleu nan  rougeL 0.500"
    assert facts["training"] == "01:01  peak -  energy - Wh"
    shown = lab("runs", "show", "latest", "--json").json
    assert shown["summary"]["metrics"] == {"bleu": "nan", "rougeL": 0.5}


def test_logs_are_the_end_of_the_log(lab: Lab, four: dict[str, RunPaths]) -> None:
    assert lab("runs", "logs", "failed", "--json").json == {"lines": []}
    four["failed"].log.write_text("".join(f"line {number}\n" for number in range(100)))
    assert lab("runs", "logs", "failed", "-n", "2").out == "line 98\nline 99\n"
    assert len(lab("runs", "logs", "failed", "--json").json["lines"]) == 50
    assert len(lab("runs", "logs", "failed", "-n", "0", "--json").json["lines"]) == 100


@pytest.mark.parametrize(("state", "code"), [("completed", 0), ("stopped", 0), ("failed", 1), ("lost", 1)])
def test_watching_what_has_ended_tells_how(lab: Lab, four: dict[str, RunPaths], state: str, code: int) -> None:
    said = lab("runs", "watch", state, "--json")
    assert said.code == code
    assert [run["state"] for run in said.json["runs"]] == [state]
    assert f"{four[state].id} {state}" in said.err
    assert ("lab runs resume" if state == "lost" else "why mend it") in said.err


def test_diff_names_each_difference_with_its_class(lab: Lab, home: Path) -> None:
    one = make_run(home, "lora")
    other = make_run(home, "qlora", profile={"method": {"rank": 4}})
    found = lab("runs", "diff", one.id, other.id, "--json").json
    assert found["runs"] == [one.id, other.id]
    rank = next(entry for entry in found["differences"] if entry["key"] == "method.rank")
    assert (rank["first"], rank["second"], rank["level"]) == (16, 4, "treatment")
    assert "method.rank" in lab("runs", "diff", one.id, other.id).out
    assert lab("runs", "diff", one.id, one.id).out == "They do not differ.\n"
    lab("runs", "diff", one.id, "nobody").refused(3, "'nobody'")


# --- labels


def test_labels_are_added_and_taken_away(lab: Lab, four: dict[str, RunPaths]) -> None:
    run = four["stopped"]
    lab("runs", "label", "stopped", "--name", "mine", "--tag", "a", "--tag", "b", "--notes", "first\nsecond")
    assert read_labels(run) == Labels(name="mine", tags=("a", "b"), notes="first\nsecond")
    said = lab("runs", "label", "stopped", "--name", "", "--untag", "a", "--tag", "b", "--json")
    assert said.json["tags"] == ["b"]
    assert read_labels(run) == Labels(tags=("b",), notes="first\nsecond")


# --- stopping and going on


@pytest.mark.parametrize("state", ["completed", "stopped", "failed", "lost"])
def test_what_has_ended_cannot_be_stopped(lab: Lab, home: Path, four: dict[str, RunPaths], state: str) -> None:
    before = content(home)
    lab("runs", "stop", state).refused(1, f"Nobody works on {four[state].id}", "lab runs show")
    lab("runs", "stop", state, "--force").refused(1, "Nobody works on")
    assert content(home) == before


def test_a_worker_that_goes_on_is_told_as_such(lab: Lab, live: RunPaths) -> None:
    said = lab("runs", "stop", "live", "--wait", "0", "--json")
    assert said.code == 1
    assert said.json == {"id": live.id, "rung": "asked", "ended": False, "state": "training"}
    assert "lab runs stop --force" in said.err
    assert json.loads(live.stop.read_text())["mode"] == "save"


def test_completed_runs_are_not_resumed_as_they_are(
    lab: Lab, home: Path, four: dict[str, RunPaths], spawned: list[str]
) -> None:
    before = content(home)
    lab("runs", "resume", "completed").refused(1, "is completed", "train.epochs")
    lab("runs", "resume", "completed", "--set", "train.epochs=1").refused(1, "is completed")
    lab("runs", "resume", "stopped", "--set", "method.rank=4").refused(2, "method.rank: 16 -> 4", "lab train")
    lab("runs", "resume", "stopped", "--set", "method.rnak=4").refused(2, "Did you mean 'rank'?")
    assert content(home) == before
    assert spawned == []


def test_live_runs_are_not_resumed(lab: Lab, live: RunPaths, home: Path, spawned: list[str]) -> None:
    before = content(home)
    lab("runs", "resume", "live").refused(1, "is training", "lab runs stop")
    assert content(home) == before
    assert spawned == []


@pytest.mark.parametrize("state", ["stopped", "failed", "lost"])
def test_others_go_on_in_a_new_attempt(lab: Lab, four: dict[str, RunPaths], spawned: list[str], state: str) -> None:
    said = lab("runs", "resume", state, "--set", "train.epochs=3", "--detach", "--json")
    assert said.json == {"id": four[state].id, "attempt": 2}
    assert "attempt 2 starts over from step 0" in said.err
    assert spawned == [four[state].id]
    assert read_started(four[state]).values["train.epochs"] == 3.0


# --- deleting


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
    assert lab("runs", "rm", "completed", "--yes", "--json").json == {"deleted": [four["completed"].id]}
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


# --- poison


def printable(text: str) -> bool:
    """Tell whether nothing in `text` commands a terminal, reorders or hides."""
    return all(c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs") for c in text)


@pytest.fixture
def poisoned(home: Path) -> RunPaths:
    """Return a failed run with poison in whatever of it is text."""
    labels = Labels(name=POISON, tags=(POISON,), notes=POISON, study=POISON, row=POISON)
    events = [
        {"type": "phase", "t": START, "phase": "training", "detail": POISON},
        {"type": "end", "t": START + 9, "outcome": "failed", "reason": POISON, "remedy": POISON},
    ]
    run = make_run(home, "lora", events=events, state="failed", labels=labels)
    record = json.loads(run.state.read_text())
    texts = dict.fromkeys(("profile", "method", "model", "detail", "device"), POISON)
    end = {"outcome": "failed", "reason": POISON, "remedy": POISON}
    atomic.write_json(run.state, record | texts | {"end": end, "summary": {"metrics": {POISON: 0.5}}})
    run.log.write_text(POISON + "\n")
    environment = json.loads(run.environment.read_text())
    atomic.write_json(run.environment, environment | {POISON: POISON})
    return run


@pytest.mark.parametrize(
    "arguments",
    [
        ("runs", "list"),
        ("runs", "show", "latest"),
        ("runs", "logs"),
        ("runs", "watch"),
        ("runs", "rm", "latest"),
        ("runs", "stop", "latest"),
        ("runs", "resume", "latest"),
        ("runs", "label", "latest"),
        ("runs", "diff", "latest", "clean"),
        ("compare", "latest", "clean"),
        ("samples", "latest"),
    ],
)
@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_only_printable_text_is_printed(
    lab: Lab, home: Path, poisoned: RunPaths, arguments: tuple[str, ...], flags: tuple[str, ...]
) -> None:
    clean = make_run(home, "clean")
    atomic.write_json(clean.state, {**json.loads(clean.state.read_text()), "created": START - 1})
    said = lab(*arguments, *flags)
    assert printable(said.out), ascii(said.out)
    assert printable(said.err), ascii(said.err)
    if flags and said.out:
        assert said.json
    assert poisoned.folder.exists()


def test_markup_is_shown_as_it_stands(lab: Lab, poisoned: RunPaths) -> None:
    assert lab("runs", "logs").out == "redevil [bold]x[/bold]\n"
    assert "redevil [bold]x[/bold]" in lab("runs", "show", "latest").out
