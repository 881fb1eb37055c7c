"""What squeue and sacct print, read; and who is asked how often."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from lab.errors import LabError
from lab.telemetry import slurm
from lab.telemetry.slurm import ASKED, GONE, Job, Watch, parse_accounting, parse_queue
from lab.telemetry.slurmcall import call


@pytest.mark.parametrize(
    ("line", "job", "words"),
    [
        ("17|PENDING|Priority||run", Job("17", "PENDING", "Priority", "", "run"), "pending (Priority)"),
        ("17|PENDING|None||run", Job("17", "PENDING", "", "", "run"), "pending"),
        ("17|RUNNING|None|gpu[1-2]|run", Job("17", "RUNNING", "", "gpu[1-2]", "run"), "running"),
        ("17|TIMEOUT|TimeLimit|gpu1|run", Job("17", "TIMEOUT", "TimeLimit", "gpu1", "run"), "timeout (TimeLimit)"),
        ("17|CANCELLED|PartitionDown||run", Job("17", "CANCELLED", "", "", "run"), "cancelled"),
        ("17|OUT_OF_MEMORY|\x1b[31mOut|n|a|b", Job("17", "OUT_OF_MEMORY", "Out", "n", "a|b"), "out of memory (Out)"),
    ],
)
def test_a_line_of_squeue(line: str, job: Job, words: str) -> None:
    assert parse_queue(line + "\n") == {"17": job}
    assert job.words == words


def test_lines_of_another_form_are_passed_over() -> None:
    assert parse_queue("CLUSTER: west\n\nslurm is slow today\n17|PENDING\n") == {}


@pytest.mark.parametrize(
    ("line", "job"),
    [
        ("17|CANCELLED by 1000|0:0|run", Job("17", "CANCELLED", "by 1000", "", "run")),
        ("17|FAILED|1:0|run", Job("17", "FAILED", "exit code 1:0", "", "run")),
        ("17|COMPLETED|0:0|run", Job("17", "COMPLETED", "", "", "run")),
        ("17|RUNNING|0:0|run", None),
        ("17|PENDING|0:0|run", None),
        ("nonsense", None),
    ],
)
def test_a_line_of_sacct(line: str, job: Job | None) -> None:
    assert parse_accounting(line) == ({} if job is None else {"17": job})


@pytest.mark.parametrize(
    ("state", "waits", "under_way", "settled"),
    [
        ("PENDING", True, False, False),
        ("REQUEUE_HOLD", True, False, False),
        ("RUNNING", False, True, False),
        ("COMPLETING", False, True, False),
        ("NODE_FAIL", False, False, True),
        ("A_STATE_OF_TOMORROW", False, False, True),
        (ASKED, False, False, False),
        (GONE, False, False, True),
    ],
)
def test_states(state: str, waits: bool, under_way: bool, settled: bool) -> None:
    job = Job("17", state)
    assert (job.waits, job.under_way, job.settled) == (waits, under_way, settled)


class Cluster:
    """Answers for squeue and sacct; None is silence."""

    def __init__(self) -> None:
        self.queue: str | None = ""
        self.accounts: str | None = None
        self.asked: list[list[str]] = []

    def __call__(self, words: Sequence[str], *, timeout: float) -> str:
        self.asked.append(list(words))
        answer = self.queue if words[0] == "squeue" else self.accounts
        if answer is None:
            raise LabError("No answer.", "Wait.")
        return answer


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster()
    monkeypatch.setattr(slurm, "call", made)
    return made


def rest() -> None:
    for thread in threading.enumerate():
        if thread.name == "squeue":
            thread.join()


def test_one_look_serves_for_some_seconds(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.queue = "17|PENDING|Priority||one\n18|RUNNING|None|n|two\n"
    watch = Watch()
    assert watch.find("17", "one", 0.0) == Job("17", "PENDING", "Priority", "", "one")
    assert watch.find("18", "two", 0.0) == Job("18", "RUNNING", "", "n", "two")
    assert len(cluster.asked) == 1
    monkeypatch.setattr(slurm, "FRESH_SECONDS", 0.0)
    cluster.queue = "17|RUNNING|None|n|one\n"
    found = watch.find("17", "one", 0.0)
    assert found is not None
    rest()
    monkeypatch.setattr(slurm, "FRESH_SECONDS", 3600.0)
    assert watch.find("17", "one", 0.0) == Job("17", "RUNNING", "", "n", "one")


def test_the_number_of_another_job_is_not_ours(cluster: Cluster) -> None:
    cluster.queue = "17|RUNNING|None|n|another\n"
    assert Watch().find("17", "one", 0.0) == Job("17", GONE)


def test_a_job_submitted_after_the_look_is_taken_to_wait(cluster: Cluster) -> None:
    assert Watch().find("17", "one", 4e9) == Job("17", "PENDING")


def test_accounting_is_asked_once_for_a_job_that_left(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "FRESH_SECONDS", 0.0)
    cluster.accounts = "17|FAILED|1:0|one\n"
    watch = Watch("west")
    for _ in range(3):
        assert watch.find("17", "one", 0.0) == Job("17", "FAILED", "exit code 1:0", "", "one")
        rest()
    asked = [words for words in cluster.asked if words[0] == "sacct"]
    assert len(asked) == 1
    assert asked[0][-2:] == ["--jobs=17", "--clusters=west"]
    assert cluster.asked[0][-1] == "--clusters=west"


def test_another_job_that_left_is_told_when_accounting_has_answered(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch()
    assert watch.find("17", "one", 0.0) == Job("17", GONE)
    assert watch.find("18", "two", 0.0) == Job("18", ASKED, name="two")
    monkeypatch.setattr(slurm, "FRESH_SECONDS", 0.0)
    watch.find("18", "two", 0.0)
    rest()
    assert watch.find("18", "two", 0.0) == Job("18", GONE)
    rest()


def test_silence_leaves_what_was_known(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "FRESH_SECONDS", 0.0)
    cluster.queue = None
    watch = Watch()
    assert watch.find("17", "one", 0.0) is None
    cluster.queue = "17|PENDING|None||one\n"
    watch.find("17", "one", 0.0)
    rest()
    cluster.queue = None
    for _ in range(2):
        assert watch.find("17", "one", 0.0) == Job("17", "PENDING", "", "", "one")
        rest()


def raising(error: Exception) -> Callable[..., Any]:
    def run(*args: object, **options: object) -> None:
        raise error

    return run


@pytest.mark.parametrize(
    ("run", "problem"),
    [
        (raising(FileNotFoundError(2, "No such file")), "sbatch cannot be run here (No such file), so there is no"),
        (raising(subprocess.TimeoutExpired("sbatch", 3)), "sbatch gave no answer within 3 s."),
        (
            lambda *a, **k: subprocess.CompletedProcess(
                a, 1, "", "sbatch: error: \x1b]0;x\x07No.\nsbatch: error: Why.\n"
            ),
            "sbatch refused: No; Why.",
        ),
        (lambda *a, **k: subprocess.CompletedProcess(a, 3, "", ""), "sbatch refused: status 3."),
    ],
)
def test_refusals_in_two_sentences(monkeypatch: pytest.MonkeyPatch, run: Callable[..., Any], problem: str) -> None:
    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(LabError) as caught:
        call(["sbatch", "x"], timeout=3)
    assert caught.value.problem.startswith(problem)
    assert caught.value.remedy.endswith(".")


def test_a_users_defaults_change_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQUEUE_PARTITION", "mine")
    monkeypatch.setenv("SLURM_CONF", "/elsewhere")
    printed = call(["env"], timeout=60)
    assert "SQUEUE_PARTITION" not in printed
    assert "SLURM_CONF=/elsewhere" in printed


def test_doctor_names_version_and_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"sbatch": "slurm 24.05.1\n", "sinfo": "cpu*|(null)\ngpu|gpu:a100:4\ngpu|gpu:a100:4\n"}
    monkeypatch.setattr(slurm, "call", lambda words, timeout: answers[words[0]])
    check = slurm.check()
    assert (check.status, check.found) == ("ok", "slurm 24.05.1; partitions: cpu*, gpu [gpu:a100:4]")


def test_doctor_warns_of_a_silent_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "call", raising(LabError("sinfo gave no answer within 10 s.", "Look.")))
    check = slurm.check()
    assert (check.name, check.status, check.found) == ("slurm", "warn", "sinfo gave no answer within 10 s")
