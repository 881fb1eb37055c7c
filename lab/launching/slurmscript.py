"""What Slurm is told: the words for sbatch and the batch script. Pure text, made for `slurm.submit` and `lab plan`.

Plain sbatch and a plain script rather than a library such as submitit: users of a cluster can read `job.sh`, send it
again by hand, and mend it. Settings go on sbatch's command line, where they win over SBATCH_* variables.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lab.home import lab_home
from lab.profile.schema import Profile
from lab.runs.paths import RunPaths

WARNING_SECONDS = 120
"""How long before its time limit a job is told; a step and a checkpoint must fit into it."""
PATHS = ("PYTHONPATH", "LAB_BUNDLED_WHEEL", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE")
"""Variables that name places and reach the worker by absolute paths, besides LAB_HOME. Nothing else is written: tokens
are in the environment that sbatch passes on (--export=ALL)."""


def limit_seconds(time: str) -> int | None:
    """Return a time limit as Slurm writes it ("90", "1:30:00", "2-12", "2-12:30") in seconds; None for an empty one."""
    if not time:
        return None
    days, dash, clock = time.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    if dash:
        hours, minutes, seconds = [*parts, 0, 0][:3]
        return ((int(days) * 24 + hours) * 60 + minutes) * 60 + seconds
    hours, minutes, seconds = {1: [0, *parts, 0], 2: [0, *parts], 3: parts}[len(parts)]
    return (hours * 60 + minutes) * 60 + seconds


def warning_seconds(time: str) -> int:
    """Return how long before the time limit the worker is told: two minutes, or a quarter of a limit below eight."""
    limit = limit_seconds(time)
    return WARNING_SECONDS if limit is None else max(1, min(WARNING_SECONDS, limit // 4))


def sbatch_words(run: RunPaths, profile: Profile, folder: Path, after: Sequence[str] = ()) -> list[str]:
    """Return the command that submits the run's script.

    Args:
        folder: the job's working folder.
        after: jobs that must have left the queue before this one begins.
    """
    asked = profile.launch.slurm
    gpus = min(profile.launch.gpus, profile.ranks)
    gres = (f"gpu:{gpus}" if gpus else "") if asked.gres == "auto" else asked.gres
    wanted = {
        "partition": asked.partition,
        "account": asked.account,
        "qos": asked.qos,
        "time": asked.time,
        "mem": asked.memory,
        "cpus-per-task": asked.cpus,
        "gres": gres,
        # afterany: whether the earlier run ended well is for the worker to judge, which says so in the run folder;
        # a dependency that can never be met would wait in the queue for good
        "dependency": "afterany:" + ":".join(after) if after else "",
    }
    return [
        *("sbatch", "--parsable", f"--job-name={run.id}", "--nodes=1", "--ntasks=1"),
        *(f"--{name}={value}" for name, value in wanted.items() if value),
        *(f"--chdir={folder}", f"--output={_pattern(run.log)}", "--open-mode=append", "--export=ALL"),
        f"--signal=B:TERM@{warning_seconds(asked.time)}",  # B: to the batch process, which the worker becomes
        *asked.options,
        str(run.script),
    ]


def _pattern(path: Path) -> str:
    """Return a path as sbatch reads it in --output, where % begins a placeholder."""
    return str(path).replace("%", "%%")


def script(
    words: Sequence[str], profile: Profile, worker: Sequence[str], environment: Mapping[str, str] | None = None
) -> str:
    """Return the batch script.

    Args:
        words: of sbatch; a comment in the script, so that it can be sent again by hand.
        worker: the command line that the batch process becomes.
        environment: of the submission; by default this process's own.
    """
    lines = [
        "#!/bin/bash",
        "# Written by the lab, and submitted as",
        f"#   {shlex.join(words)}",
        "# No secrets are in here: tokens come with the environment that sbatch passes on (--export=ALL).",
        "set -e",
        *_exports(os.environ if environment is None else environment),
        *_own_locks(profile),
        *profile.launch.slurm.setup,
        "# exec: the worker becomes the batch process, to which Slurm sends its signals",
        f"exec {shlex.join(worker)}",
    ]
    return "\n".join(lines) + "\n"


def _exports(environment: Mapping[str, str]) -> Iterator[str]:
    places = {"LAB_HOME": str(lab_home())}
    places |= {name: _absolute(value) for name in PATHS if (value := environment.get(name))}
    for name, value in places.items():
        yield f"export {name}={shlex.quote(value)}"
    yield "export PYTHONUNBUFFERED=1"


def _absolute(paths: str) -> str:
    return os.pathsep.join(str(Path(part).expanduser().absolute()) for part in paths.split(os.pathsep) if part)


def _own_locks(profile: Profile) -> Iterator[str]:
    """Yield the line that keeps a run on CPUs from waiting for another on its node: Slurm has shared those out.

    GPUs keep the host's locks: where Slurm gives each job its own they never meet, and where it does not they must.
    """
    if not profile.launch.gpus:
        yield 'export LAB_DEVICE_LOCKS="${TMPDIR:-/tmp}/lora-lab-job-$SLURM_JOB_ID"'
