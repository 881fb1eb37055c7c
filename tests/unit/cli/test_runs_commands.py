"""`lab runs`: finding, listing, labelling, stopping, resuming: what is printed and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lab.cli.follow import describe_end
from lab.launching.recorded import read_started
from lab.runs.labels import Labels, read_labels
from lab.runs.paths import RunPaths
from lab.runs.store import read_run
from tests.fixtures.folders import make_run
from tests.unit.cli.conftest import Lab, content

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
    assert lab("runs", "list").err == f"There are no runs in {home / 'runs'}. Start one: `lab demo --quick`.\n"
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
    assert text.splitlines()[0].split() == ["id", "state", "step", "loss", "method", "study", "row", "name"]
    assert len(text.splitlines()) == 5


@pytest.mark.parametrize(
    ("terminal", "whole", "left_out"),
    [
        (160, True, []),
        (120, True, ["study"]),
        (119, False, []),
        (80, False, []),
        (60, False, ["study"]),
        (40, False, ["study", "method", "step", "loss"]),
    ],
)
def test_on_a_narrow_terminal_the_list_keeps_states_and_rows(
    lab: Lab, home: Path, monkeypatch: pytest.MonkeyPatch, terminal: int, whole: bool, left_out: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(terminal))
    labels = Labels(study="ladder-of-ranks", row="qlora, rank 16, seed 42")
    run = make_run(home, "ladder-of-ranks-qlora-rank-16-seed-42", summary={"last_loss": 1.25}, labels=labels)
    *table, last = lab("runs", "list").out.splitlines()
    told = f"No room for {', '.join(left_out)}: use a wider terminal, or --json."
    header, line = table if left_out else (*table, last)
    assert (last == told) is bool(left_out)
    assert not {*header.split()} & {*left_out}
    assert line.split()[:2] == [run.id if whole else run.id[-4:], "completed"]
    assert labels.row[:12] in line
    assert all(len(one) <= terminal for one in table)
    assert lab("runs", "show", line.split()[0], "--json").json["id"] == run.id


@pytest.mark.parametrize(
    ("words", "told"),
    [((), "Of 4 runs in {} all are archived: add --archived.\n"), (("-q", "rank>16"), "Of 4 runs in {} none fits.\n")],
)
def test_an_empty_list_says_of_which_folder(
    lab: Lab, home: Path, four: dict[str, RunPaths], words: tuple[str, ...], told: str
) -> None:
    for state in four:
        lab("runs", "label", state, "--archive")
    said = lab("runs", "list", *words)
    assert (said.code, said.out, said.err) == (0, "", told.format(home / "runs"))


@pytest.mark.parametrize("below", ["", "deeper"])
@pytest.mark.parametrize("verb", [("list",), ("list", "--json"), ("show", "latest"), ("prune", "--yes")])
def test_a_home_that_is_a_file_is_refused(
    lab: Lab, home: Path, monkeypatch: pytest.MonkeyPatch, verb: tuple[str, ...], below: str
) -> None:
    home.write_text("a file")
    monkeypatch.setenv("LAB_HOME", str(home / below))
    lab("runs", *verb).refused(2, f"{home} is a file", "Set LAB_HOME")
    assert home.read_text() == "a file"


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
    summary |= {"last_loss": 1.25, "best_eval_loss": "nan"}
    labels = Labels(name="mine", tags=("a", "b"), notes="first\nsecond", study="ladder", row="rank 4")
    run = make_run(home, "lora", summary=summary, labels=labels)
    (run.checkpoints / "checkpoint-4").mkdir(parents=True)
    (run.checkpoints / "checkpoint-4" / "optimizer.pt").write_bytes(b"x" * 2_000_000)
    (run.checkpoints / "link").symlink_to(run.checkpoints / "checkpoint-4" / "optimizer.pt")
    lines = lab("runs", "show", "latest").out.splitlines()
    assert lines[0] == run.id
    facts = {line.split(maxsplit=1)[0]: line.split(maxsplit=1)[1] for line in lines[1:]}
    assert facts["state"] == "completed"
    assert facts["metrics"] == "bleu nan  rougeL 0.500"
    assert facts["training"] == "01:01  peak -  energy - Wh"
    assert facts["loss"] == "last 1.250  best validation nan"
    assert (facts["name"], facts["tags"], facts["notes"]) == ("mine", "a, b", "first second")
    assert facts["study"] == "ladder / rank 4"
    assert facts["size"].endswith("MB  of it checkpoints 2.00 MB")
    shown = lab("runs", "show", "latest", "--json").json
    assert shown["summary"]["metrics"] == {"bleu": "nan", "rougeL": 0.5}
    assert (shown["notes"], shown["checkpoint_bytes"]) == ("first\nsecond", 2_000_000)
    assert shown["bytes"] > 2_000_000


def test_show_leaves_out_labels_that_nobody_gave(lab: Lab, home: Path) -> None:
    make_run(home, "lora")
    out = lab("runs", "show", "latest").out
    assert "last -  best validation -" in out
    assert not {line.split()[0] for line in out.splitlines()[1:]} & {"name", "study", "tags", "notes", "archived"}


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


def test_a_lost_job_is_begun_again_and_a_lost_run_resumed(home: Path, four: dict[str, RunPaths]) -> None:
    job = RunPaths(four["completed"].jobs / "20270115-0900-gguf-0000")
    job.folder.parent.mkdir()
    shutil.copytree(four["lost"].folder, job.folder)
    for run, remedy in ((job, "Give the command again."), (four["lost"], f"`lab runs resume {four['lost'].id}`.")):
        info = read_run(run)
        assert info is not None
        assert describe_end(info).endswith(remedy)


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


def test_diff_heads_its_columns_with_what_tells_the_runs_apart(
    lab: Lab, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    one = make_run(home, "a-long-name-that-two-share-1", labels=Labels(name="mine"))
    other = make_run(home, "a-long-name-that-two-share-2", profile={"model": {"name": "someone/" + "x" * 80}})
    header = lab("runs", "diff", one.id, other.id).out.splitlines()[0]
    assert header.split() == ["key", one.id[-4:], "mine", other.id[-4:], "class"]


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
