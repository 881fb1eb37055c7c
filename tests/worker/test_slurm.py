"""Runs as Slurm jobs, on a cluster of small programs: the queue, death before the start, signals, jobs put back."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lab.console.acts import ask_to_stop
from lab.console.live import LiveReader
from lab.console.request import View
from lab.console.runlist import RunList
from lab.errors import LabError, RunStateError
from lab.launching import study as studies
from lab.launching.jobs import start_evaluation
from lab.launching.local import start
from lab.launching.resume import Resumed, resume
from lab.launching.stop import ask, stop
from lab.profile.load import Resolved, resolve
from lab.profile.study import load_study
from lab.runs import lock
from lab.runs.history import read_history
from lab.runs.paths import RunPaths, complete_checkpoints
from lab.runs.state import read_state
from lab.runs.store import RunInfo, list_runs, read_run
from lab.runs.submission import Submission, read_submission
from lab.telemetry import slurm
from tests.fixtures import fake_worker
from tests.fixtures.fake_slurm import PLACE, FakeSlurm
from tests.fixtures.folders import complete_checkpoint
from tests.fixtures.tiny_runs import events, tiny, tiny_study, wait_until

FAKE = (str(Path(fake_worker.__file__)),)
ROOT = Path(fake_worker.__file__).parents[2]
SLURM = ("launch.kind=slurm", "launch.gpus=0")


@pytest.fixture(autouse=True)
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSlurm]:
    fake = FakeSlurm(tmp_path / "cluster")
    fake.install(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv(PLACE, str(fake.folder))
    monkeypatch.setenv("LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("FAKE_WORKER", "")
    monkeypatch.setattr(slurm, "_watches", {})
    monkeypatch.setattr(slurm, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(slurm, "CLOCK_SECONDS", 0.0)
    monkeypatch.chdir(tmp_path)
    yield fake
    fake.clear()
    for thread in threading.enumerate():
        if thread.name == "squeue":
            thread.join()


@pytest.fixture
def uninstall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that takes a command away, wherever else this machine may have one."""

    def remove(program: str) -> None:
        (tmp_path / "bin" / program).unlink()
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    return remove


def profile(*sets: str) -> Resolved:
    return resolve("fake", {"data": {"source": [{"name": "bundled:helpdesk"}]}}, {}, [*SLURM, *sets])


def begin(*sets: str) -> RunPaths:
    return start(profile(*sets), command=FAKE)


def info(run: RunPaths) -> RunInfo:
    found = read_run(run)
    assert found is not None
    return found


def job(run: RunPaths) -> Submission:
    found = read_submission(run)
    assert found is not None
    return found


def state(run: RunPaths) -> str:
    return info(run).state


def until(run: RunPaths, *states: str) -> dict[str, Any]:
    wait_until(lambda: state(run) in states)
    return read_state(run)


def test_a_job_waits_in_the_queue_then_works_to_its_end(
    cluster: FakeSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_0123456789")
    monkeypatch.setenv("FAKE_WORKER", "quick")
    cluster.busy()
    run = begin("launch.slurm.time=04:00:00", 'launch.slurm.setup=["echo the lines before"]')
    assert not lock.is_held(run.lock)
    (row,) = RunList(tmp_path / "home/runs").read()
    live = LiveReader(run).live(row, View())
    assert (row.state, live.phase, live.detail) == ("queued", "queued", "Slurm job 17 is pending (Priority)")
    assert (state(run), info(run).detail) == ("queued", "Slurm job 17 is pending (Priority)")
    assert (job(run).attempt, job(run).cluster) == (1, "")
    assert "--time=04:00:00" in job(run).words
    assert all("hf_0123456789" not in path.read_text() for path in run.folder.glob("*") if path.is_file())
    with pytest.raises(RunStateError, match="is queued"):
        resume(info(run), command=FAKE)
    cluster.begin("17")
    assert until(run, "completed")["attempt"] == 1
    assert run.log.read_text() == f"the lines before\ncwd {tmp_path} attempt 1\n"
    assert lock.holder(run.lock) is None or lock.is_held(run.lock), "a name that stays would look alive from elsewhere"


def test_the_worker_holds_the_lock_itself_and_stops_when_asked(cluster: FakeSlurm) -> None:
    run = begin()
    until(run, "training")
    who = lock.holder(run.lock)
    assert who is not None
    assert who.pid == cluster.job("17")["pid"], "the worker is the batch process"
    stopped = stop(info(run), who="somebody", wait=60.0)
    assert (stopped.rung, stopped.ended, stopped.state) == ("asked", True, "stopped")
    wait_until(lambda: cluster.job("17")["state"] == "COMPLETED")


def test_stop_takes_a_waiting_job_out_of_the_queue(cluster: FakeSlurm) -> None:
    cluster.busy()
    run = begin()
    stopped = stop(info(run), who="somebody", wait=60.0)
    assert (stopped.rung, stopped.ended, stopped.state) == ("cancelled", True, "stopped")
    assert stopped.line == f"{run.id} was taken out of Slurm's queue and is stopped; no weights were saved"
    assert cluster.job("17")["state"] == "CANCELLED"
    assert read_state(run)["end"]["reason"] == "stopped by somebody: Slurm job 17 was taken out of the queue"
    cluster.begin("17")  # as if scancel had come too late
    wait_until(lambda: cluster.job("17")["state"] == "COMPLETED")
    assert state(run) == "stopped"
    with pytest.raises(RunStateError, match="Nobody works on"):
        ask(run, "somebody")
    cluster.busy(False)
    resume(info(run), command=FAKE)
    assert until(run, "training")["attempt"] == 2
    assert job(run).job == "18"


def test_a_job_that_scancel_will_not_take_out_goes_on(cluster: FakeSlurm) -> None:
    cluster.busy()
    run = begin()
    cluster.fail("scancel", "scancel: error: Access/permission denied\n")
    with pytest.raises(
        LabError, match=r"scancel refused: Access/permission denied\. Look at the job with `squeue --me`"
    ):
        stop(info(run), who="somebody", wait=60.0)
    assert state(run) == "queued"


@pytest.mark.parametrize("mode", ["patient", "deaf"])
def test_the_ladder_goes_by_scancel(cluster: FakeSlurm, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setenv("FAKE_WORKER", mode)
    run = begin()
    until(run, "training")
    lines: list[str] = []
    grace = 5.0 if mode == "deaf" else 60.0
    stopped = stop(info(run), who="me", wait=0.05, force=True, grace=grace, progress=lines.append)
    assert (stopped.rung, stopped.ended, stopped.state) == {
        "patient": ("terminated", True, "stopped"),
        "deaf": ("killed", True, "lost"),
    }[mode]
    assert lines[1] == "SIGTERM to its Slurm job"


@pytest.mark.parametrize(
    ("accounting", "reason"),
    [
        (None, "Slurm job 17 left the queue, before the worker began."),
        ("17|CANCELLED by 1000|0:0|{id}\n", "Slurm job 17 ended: cancelled (by 1000), before the worker began."),
        ("17|TIMEOUT|0:15|another\n", "Slurm job 17 left the queue, before the worker began."),
    ],
)
def test_a_job_that_vanishes_before_it_began_is_lost_with_a_reason(
    cluster: FakeSlurm, tmp_path: Path, accounting: str | None, reason: str
) -> None:
    cluster.busy()
    run = begin()
    if accounting is not None:
        (cluster.folder / "accounting").write_text(accounting.format(id=run.id))
    cluster.forget("17")
    wait_until(lambda: state(run) == "lost" and not info(run).record["unsettled"])
    found = info(run)
    (row,) = RunList(tmp_path / "home/runs").read()
    assert (row.state, row.reason) == ("lost", reason)
    assert found.record["end"]["reason"] == reason
    assert found.detail == reason.rstrip(".")
    assert found.record["end"]["remedy"] == f"See `lab runs logs {run.id}`, then `lab runs resume {run.id}`."
    cluster.busy(False)
    resume(found, command=FAKE)
    assert until(run, "training")["attempt"] == 2


def test_a_job_whose_setup_fails_is_lost_and_the_log_says_why(cluster: FakeSlurm) -> None:
    run = begin('launch.slurm.setup=["no-such-command-here load cuda"]')
    until(run, "lost")
    assert info(run).detail == "Slurm job 17 ended: failed (NonZeroExitCode), before the worker began"
    assert "no-such-command-here" in run.log.read_text()


def test_without_squeue_the_folder_tells(cluster: FakeSlurm, uninstall: Callable[[str], None]) -> None:
    cluster.busy()
    run = begin()
    uninstall("squeue")
    assert (state(run), info(run).detail) == ("queued", f"submitted as Slurm job 17 on {job(run).host}")


def test_one_squeue_serves_all_runs(cluster: FakeSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.busy()
    for _ in range(3):
        begin()
    program, calls = tmp_path / "bin/squeue", tmp_path / "calls"
    program.write_text(program.read_text().replace("exec", f"echo x >> {calls}\nexec"))
    monkeypatch.setattr(slurm, "_watches", {})
    monkeypatch.setattr(slurm, "FRESH_SECONDS", 3600.0)
    for _ in range(5):
        assert [one.state for one in list_runs()] == ["queued"] * 3
    assert calls.read_text().split() == ["x"]


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            "sbatch: error: invalid partition specified: \x1b[31mnope\nsbatch: error: Batch job submission failed\n",
            "sbatch refused: invalid partition specified: nope; Batch job submission failed.",
        ),
        ("", "sbatch cannot be run here (No such file or directory), so there is no Slurm to ask."),
    ],
)
def test_a_refused_submission_leaves_no_folder(
    cluster: FakeSlurm, tmp_path: Path, uninstall: Callable[[str], None], message: str, told: str
) -> None:
    cluster.fail("sbatch", message)
    if not message:
        uninstall("sbatch")
    with pytest.raises(LabError) as caught:
        begin()
    assert caught.value.problem == told
    assert caught.value.remedy
    assert list((tmp_path / "home/runs").iterdir()) == []


def test_a_resume_that_slurm_refuses_leaves_the_run_as_it_was(cluster: FakeSlurm) -> None:
    run = begin()
    until(run, "training")
    stop(info(run), who="me", wait=60.0)
    before = {path: path.read_bytes() for path in (run.state, run.profile, run.origin, run.submission)}
    cluster.fail("sbatch", "sbatch: error: Slurm is down\n")
    with pytest.raises(LabError, match="sbatch refused: Slurm is down"):
        resume(info(run), ["launch.slurm.time=08:00:00"], command=FAKE)
    assert {path: path.read_bytes() for path in before} == before
    cluster.fail("sbatch", "")
    resume(info(run), ["launch.slurm.time=08:00:00"], command=FAKE)
    assert "--time=08:00:00" in job(run).words
    assert until(run, "training")["attempt"] == 2


@pytest.mark.parametrize("hard", [True, False])
def test_a_job_that_is_put_back_goes_on_as_a_new_attempt(cluster: FakeSlurm, hard: bool) -> None:
    run = begin()
    until(run, "training")
    for step in (5, 30):
        folder = run.checkpoints / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        complete_checkpoint(folder)
    if not hard:  # as the lab's own worker writes it when Slurm sends SIGTERM; this one does not know Slurm
        cluster.requeue("17", hard=False)
        run.state.write_text(json.dumps({**json.loads(run.state.read_text()), "interrupted": True}))
    else:
        cluster.requeue("17", hard=True)
    wait_until(lambda: info(run).detail == "Slurm job 17 was put back and is pending (BeginTime)")
    assert state(run) == "queued"
    cluster.begin("17")
    wait_until(lambda: state(run) == "training" and read_state(run)["attempt"] == 2)
    assert (job(run).attempt, job(run).job) == (2, "17")
    assert [phase.attempt for phase in read_history(run).phases] == [1, 2]
    assert stop(info(run), who="me", wait=60.0).state == "stopped"


def test_a_wish_to_stop_outlives_the_requeue(cluster: FakeSlurm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_WORKER", "deaf")
    run = begin()
    until(run, "training")
    assert not stop(info(run), who="me", wait=0.05).ended
    cluster.requeue("17", hard=True)
    monkeypatch.setenv("FAKE_WORKER", "")
    cluster.begin("17")
    wait_until(lambda: state(run) == "stopped" and read_state(run)["attempt"] == 2)


def test_a_job_that_another_has_replaced_leaves_the_folder_alone(cluster: FakeSlurm) -> None:
    run = begin()
    until(run, "training")
    stop(info(run), who="me", wait=60.0)
    resume(info(run), command=FAKE)
    until(run, "training")
    stop(info(run), who="me", wait=60.0)
    before = run.state.read_bytes()
    cluster.change("17", state="PENDING", restarts=1, pid=None)
    cluster.begin("17")
    wait_until(lambda: cluster.job("17")["state"] == "FAILED")
    assert run.state.read_bytes() == before
    assert f"Slurm job 17 is not the one that works on {run.id}: Slurm job 18 was submitted" in run.log.read_text()


def test_a_later_stage_waits_in_the_queue_for_the_one_before(
    cluster: FakeSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studies, "start", partial(start, command=FAKE))
    (tmp_path / "profiles/studies").mkdir(parents=True)
    (tmp_path / "profiles/plain.toml").write_text(
        'launch.gpus = 0\nlaunch.kind = "slurm"\n[[data.source]]\nname = "bundled:helpdesk"\n'
    )
    (tmp_path / "profiles/studies/s.toml").write_text(
        '[study]\nprofile = "plain"\n[[study.row]]\nname = "chain"\n'
        'stages = [{}, {set = {model.adapter = "previous"}}]\n'
    )
    cluster.busy()
    runs = studies.start_missing(load_study("s"))
    assert [one.state for one in runs] == ["queued", "queued"]
    assert [one["given"].get("dependency") for one in cluster.jobs()] == [None, "afterany:17"]
    local = load_study("s", ["launch.kind=local"])
    assert len(studies.matching_rows(local)) == 2, "where a row runs is no part of the work"


def test_later_work_on_the_run_goes_to_slurm_too(cluster: FakeSlurm) -> None:
    cluster.busy()
    run = begin("method.kind=baseline")
    assert ask_to_stop(run.folder).line == f"{run.id}: taken out of Slurm's queue before it began."
    work = start_evaluation(info(run))
    assert state(work) == "queued"
    wait_until(lambda: info(work).detail == "Slurm job 18 is pending (Priority)")
    assert work.script.read_text().rstrip().endswith(f"--of {run.folder} {work.folder}")
    assert stop(info(work), who="me", wait=60.0).state == "stopped"


@pytest.fixture
def long_run(cluster: FakeSlurm, tmp_path: Path) -> Callable[..., RunPaths]:
    """Return a function that starts real training which takes minutes if nobody stops it."""
    tiny_study(tmp_path)

    def make() -> RunPaths:
        run = start(tiny(tmp_path, *SLURM, "train.epochs=5000", "train.eval_every=0", "evaluate.rows=1"))
        wait_until(lambda: len(complete_checkpoints(run)) > 0)
        return run

    return make


def test_slurms_warning_saves_and_a_resume_goes_on_there(cluster: FakeSlurm, long_run: Callable[..., RunPaths]) -> None:
    run = long_run()
    os.kill(cluster.job("17")["pid"], signal.SIGTERM)
    wait_until(lambda: not lock.is_held(run.lock) and state(run) == "stopped")
    record = read_state(run)
    assert record["end"]["reason"].startswith("Slurm's SIGTERM to job 17: it was cancelled")
    assert record["end"]["remedy"] == f"Go on with `lab runs resume {run.id}`."
    assert record["interrupted"] is True
    newest = complete_checkpoints(run)[-1].name
    assert newest == f"checkpoint-{record['step']}", "the step in which the signal came is saved"
    resumed = resume(info(run))
    assert resumed == Resumed(run, 2, newest)
    wait_until(lambda: bool(events(run, "resume")))
    assert events(run, "resume")[0]["from_step"] == record["step"]
    assert stop(info(run), who="me", wait=60.0).state == "stopped"
    assert read_state(run)["interrupted"] is False


def test_a_preempted_run_goes_on_from_what_it_saved(cluster: FakeSlurm, long_run: Callable[..., RunPaths]) -> None:
    run = long_run()
    cluster.requeue("17", hard=False)
    step = json.loads(run.state.read_text())["step"]
    wait_until(lambda: state(run) == "queued")
    cluster.begin("17")
    wait_until(lambda: bool(events(run, "resume")))
    assert events(run, "resume")[0]["from_step"] == step
    assert stop(info(run), who="me", wait=60.0).state == "stopped"
    assert read_state(run)["attempt"] == 2
