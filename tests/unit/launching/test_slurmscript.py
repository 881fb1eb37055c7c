"""What sbatch is told, and the script that it gets."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from lab.launching.slurmscript import limit_seconds, sbatch_words, script, warning_seconds
from lab.profile.load import resolve
from lab.profile.schema import Profile
from lab.runs.paths import RunPaths

RUN = RunPaths(Path("/home/me/.lab/runs/20261122-0110-smollm2-qlora-7f3a"))
ALWAYS = [
    "sbatch",
    "--parsable",
    "--job-name=20261122-0110-smollm2-qlora-7f3a",
    "--nodes=1",
    "--ntasks=1",
    "--chdir=/work",
    "--output=/home/me/.lab/runs/20261122-0110-smollm2-qlora-7f3a/worker.log",
    "--open-mode=append",
    "--export=ALL",
    "/home/me/.lab/runs/20261122-0110-smollm2-qlora-7f3a/job.sh",
]


def profile(*sets: str) -> Profile:
    tree: dict[str, Any] = {"data": {"source": [{"name": "bundled:helpdesk"}]}}
    return resolve("x", tree, {}, ["launch.kind=slurm", *sets]).profile


def asked(*sets: str, after: tuple[str, ...] = ()) -> list[str]:
    """Return the words beside those that every run has."""
    words = sbatch_words(RUN, profile(*sets), Path("/work"), after)
    assert [word for word in words if word in ALWAYS] == ALWAYS
    return [word for word in words if word not in ALWAYS]


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        ([], ["--gres=gpu:1", "--signal=B:TERM@120"]),
        (["launch.gpus=0"], ["--signal=B:TERM@120"]),
        (["launch.slurm.gres=gpu:a100:1"], ["--gres=gpu:a100:1", "--signal=B:TERM@120"]),
        (
            ['launch.slurm.gres=""', 'launch.slurm.options=["--gpus=1"]'],
            ["--signal=B:TERM@120", "--gpus=1"],
        ),
        (
            [
                *("launch.slurm.partition=gpu", "launch.slurm.account=lab-7", "launch.slurm.qos=long"),
                *("launch.slurm.time=04:00:00", "launch.slurm.memory=32G", "launch.slurm.cpus=8"),
                'launch.slurm.options=["--constraint=h100", "--signal=B:TERM@300"]',
            ],
            [
                *("--partition=gpu", "--account=lab-7", "--qos=long", "--time=04:00:00", "--mem=32G"),
                *("--cpus-per-task=8", "--gres=gpu:1", "--signal=B:TERM@120"),
                *("--constraint=h100", "--signal=B:TERM@300"),
            ],
        ),
        (["launch.gpus=0", "launch.slurm.time=4"], ["--time=4", "--signal=B:TERM@60"]),
    ],
)
def test_words_for_sbatch(sets: list[str], words: list[str]) -> None:
    assert asked(*sets) == words


def test_jobs_that_come_before() -> None:
    assert asked("launch.gpus=0", after=("17", "18"))[0] == "--dependency=afterany:17:18"


def test_a_percent_sign_in_a_path_is_no_placeholder() -> None:
    words = sbatch_words(RunPaths(Path("/50%/run")), profile(), Path("/work"))
    assert "--output=/50%%/run/worker.log" in words
    assert words[-1] == "/50%/run/job.sh"


@pytest.mark.parametrize(
    ("time", "seconds", "warning"),
    [
        ("", None, 120),
        ("90", 5400, 120),
        ("2:30", 150, 37),
        ("04:00", 240, 60),
        ("04:00:00", 14400, 120),
        ("2-12", 216000, 120),
        ("2-12:30", 217800, 120),
        ("1-00:00:01", 86401, 120),
        ("0:01", 1, 1),
    ],
)
def test_time_limits(time: str, seconds: int | None, warning: int) -> None:
    assert (limit_seconds(time), warning_seconds(time)) == (seconds, warning)


@pytest.mark.parametrize("time", ["4h", "1-", "1:2:3:4", "-4", "04:00:00\n", "UNLIMITED"])
def test_times_that_slurm_would_not_take_are_refused(time: str) -> None:
    with pytest.raises(Exception, match=r"launch.slurm.time"):
        resolve("x", {"data": {"source": [{"name": "a"}]}, "launch": {"slurm": {"time": time}}}, {})


def test_the_script_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_HOME", "/home/me/it's here")
    monkeypatch.chdir("/")
    environment = {"HF_TOKEN": "hf_secret", "HF_HOME": "cache/hf", "PYTHONPATH": "/a:b", "XDG_CACHE_HOME": ""}
    text = script(
        ["sbatch", "--mem=1G", "a b"],
        profile("launch.gpus=0", 'launch.slurm.setup=["module load cuda"]'),
        ["/usr/bin/python3", "-P", "-m", "lab.training.worker", "/home/me/it's here/runs/x"],
        environment,
    )
    assert text.splitlines() == [
        "#!/bin/bash",
        "# Written by the lab, and submitted as",
        "#   sbatch --mem=1G 'a b'",
        "# No secrets are in here: tokens come with the environment that sbatch passes on (--export=ALL).",
        "set -e",
        "export LAB_HOME='/home/me/it'\"'\"'s here'",
        "export PYTHONPATH=/a:/b",
        "export HF_HOME=/cache/hf",
        "export PYTHONUNBUFFERED=1",
        'export LAB_DEVICE_LOCKS="${TMPDIR:-/tmp}/lora-lab-job-$SLURM_JOB_ID"',
        "module load cuda",
        "# exec: the worker becomes the batch process, to which Slurm sends its signals",
        "exec /usr/bin/python3 -P -m lab.training.worker '/home/me/it'\"'\"'s here/runs/x'",
    ]


def test_a_run_on_a_gpu_keeps_the_locks_of_its_host() -> None:
    assert "LAB_DEVICE_LOCKS" not in script(["sbatch"], profile(), ["true"], {})


def test_bash_runs_it(tmp_path: Path) -> None:
    text = script(["sbatch"], profile('launch.slurm.setup=["false"]'), ["echo", "began"], {"PATH": "/usr/bin:/bin"})
    failed = subprocess.run(["bash", "-c", text], capture_output=True, text=True)
    assert (failed.returncode, failed.stdout) == (1, ""), "the worker does not begin where a line before it fails"
    text = script(["sbatch"], profile(), ["echo", "it's", "$HOME"], {})
    assert subprocess.run(["bash", "-c", text], capture_output=True, text=True).stdout == "it's $HOME\n"
