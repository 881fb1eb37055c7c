"""What Slurm's answer makes of a run that nobody works on."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from lab.runs import lock
from lab.runs.paths import RunPaths
from lab.runs.state import read_state
from lab.runs.submission import Submission, read_submission, write_submission
from lab.telemetry import slurm
from lab.telemetry.slurm import ASKED, GONE, Job

JOB = Submission("17", "", 1, "login1", 1000.0, ("sbatch", "job.sh"))
FRESH = {"state": "queued", "pid": None}
BEGUN = {"state": "training", "pid": 5, "detail": "step 3 of 9"}
WARNED = {"state": "stopped", "pid": 5, "detail": "Slurm's SIGTERM", "interrupted": True}
STOPPED = {"state": "stopped", "pid": 5, "detail": "stopped by me"}


@pytest.fixture
def run(tmp_path: Path) -> RunPaths:
    made = RunPaths(tmp_path / "runs/one")
    made.folder.mkdir(parents=True)
    write_submission(made, JOB)
    return made


@pytest.mark.parametrize(
    ("record", "job", "state", "detail", "unsettled"),
    [
        (FRESH, None, "queued", "submitted as Slurm job 17 on login1", None),
        (FRESH, Job("17", "PENDING", "Priority"), "queued", "Slurm job 17 is pending (Priority)", None),
        (FRESH, Job("17", "PENDING"), "queued", "Slurm job 17 is pending", None),
        (FRESH, Job("17", "RUNNING", "", "n1"), "queued", "Slurm job 17 is running on n1: its worker begins", None),
        (FRESH, Job("17", "CONFIGURING"), "queued", "Slurm job 17 is configuring: its worker begins", None),
        (FRESH, Job("17", ASKED), "lost", "Slurm job 17 left the queue, before the worker began", True),
        (FRESH, Job("17", GONE), "lost", "Slurm job 17 left the queue, before the worker began", False),
        (
            FRESH,
            Job("17", "BOOT_FAIL", "NodeDown"),
            "lost",
            "Slurm job 17 ended: boot fail (NodeDown), before the worker began",
            False,
        ),
        (BEGUN, None, "lost", "step 3 of 9", None),
        (
            BEGUN,
            Job("17", "PENDING", "BeginTime"),
            "queued",
            "Slurm job 17 was put back and is pending (BeginTime)",
            None,
        ),
        (BEGUN, Job("17", "RUNNING", "", "n1"), "queued", "Slurm job 17 is running on n1: its worker begins", None),
        (
            BEGUN,
            Job("17", "OUT_OF_MEMORY"),
            "lost",
            "Slurm job 17 ended: out of memory, and its worker wrote no end",
            False,
        ),
        (WARNED, None, "stopped", "Slurm's SIGTERM", None),
        (WARNED, Job("17", "COMPLETING"), "queued", "Slurm job 17 is completing: Slurm may put it back", None),
        (WARNED, Job("17", "REQUEUED"), "queued", "Slurm job 17 was put back and is requeued", None),
        (WARNED, Job("17", "COMPLETED"), "stopped", "Slurm's SIGTERM", False),
        (WARNED, Job("17", ASKED), "stopped", "Slurm's SIGTERM", True),
        (STOPPED, Job("17", "PENDING"), "stopped", "stopped by me", None),
    ],
)
def test_states(
    run: RunPaths,
    monkeypatch: pytest.MonkeyPatch,
    record: dict[str, Any],
    job: Job | None,
    state: str,
    detail: str,
    unsettled: bool | None,
) -> None:
    monkeypatch.setattr(slurm, "find_job", lambda number, name, cluster, since: job)
    run.state.write_text(json.dumps({"attempt": 1, **record}))
    found = read_state(run)
    assert (found["state"], found["detail"], found.get("unsettled")) == (state, detail, unsettled)
    assert found["alive"] is False
    if found["state"] == "queued":
        assert not found.get("end")


def test_a_worker_that_slurm_interrupted_is_followed_while_it_ends(
    run: RunPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "find_job", lambda *_: Job("17", "RUNNING"))
    run.state.write_text(json.dumps({"attempt": 1, **WARNED}))
    handle = lock.acquire(run.lock)
    found = read_state(run)
    os.close(handle)
    assert (found["state"], found["alive"]) == ("queued", True)


def test_a_run_that_slurm_never_saw_asks_nobody(run: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(slurm, "find_job")
    run.submission.unlink()
    run.state.write_text(json.dumps({"attempt": 1, **FRESH}))
    assert read_state(run)["state"] == "lost"


def test_a_later_job_of_a_run_is_not_resumed(run: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "find_job", lambda *_: Job("18", GONE))
    work = RunPaths(run.folder / "jobs/eval-1")
    work.folder.mkdir(parents=True)
    write_submission(work, JOB)
    work.state.write_text(json.dumps({"attempt": 1, **FRESH}))
    assert read_state(work)["end"]["remedy"] == f"See {work.log}, then give the command again."


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"job": 1}', '{"words": 5}'])
def test_a_damaged_note_is_none(run: RunPaths, text: str | None) -> None:
    assert read_submission(run) == JOB
    run.submission.unlink()
    if text is not None:
        run.submission.write_text(text)
    assert read_submission(run) is None


def test_the_label_names_a_cluster_that_was_asked_for_by_name() -> None:
    assert Submission("17", "west", 1, "h", 0.0, ()).label == "Slurm job 17 (west)"
