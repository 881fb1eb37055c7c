"""Calling Slurm's own commands: sbatch, scancel, squeue, sacct. No library stands between: what the lab says to Slurm a
user can say again in a shell, and mend."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

from lab.errors import LabError
from lab.text import sanitize

_OWN_DEFAULTS = ("SQUEUE_", "SACCT_", "SCANCEL_")
"""Beginnings of variables by which users change what these commands print or ask."""
_REMEDIES = {
    "sbatch": "Mend launch.slurm or launch.gpus in the profile or with --set; `sinfo` shows what the cluster has.",
    "scancel": "Look at the job with `squeue --me`, and cancel it by hand.",
}


def call(words: Sequence[str], *, timeout: float, environment: Mapping[str, str] | None = None) -> str:
    """Run one of Slurm's commands and return what it prints.

    Args:
        timeout: seconds after which it is killed.
        environment: by default this process's own, without the user's defaults for what is printed.

    Raises:
        LabError: it is not installed, gave no answer in time, or refused; then its own words are in the message.
    """
    name = words[0]
    own = {key: value for key, value in os.environ.items() if not key.startswith(_OWN_DEFAULTS)}
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=own if environment is None else dict(environment),
        )
    except OSError as error:
        raise LabError(
            f"{name} cannot be run here ({error.strerror}), so there is no Slurm to ask.",
            'Do it on a login node of the cluster, or set launch.kind to "local".',
        ) from error
    except subprocess.TimeoutExpired as error:
        raise LabError(
            f"{name} gave no answer within {timeout:.0f} s.", "Look with `sinfo` whether the cluster answers."
        ) from error
    if done.returncode != 0:
        raise LabError(
            f"{name} refused: {_message(name, done.stderr) or f'status {done.returncode}'}.",
            _REMEDIES.get(name, "Look with `sinfo` whether the cluster answers."),
        )
    return done.stdout


def _message(name: str, stderr: str) -> str:
    """Return the lines of an error as one, each without the command's name before it."""
    lines = (line.removeprefix(f"{name}: ").removeprefix("error: ").strip() for line in sanitize(stderr).splitlines())
    return sanitize("; ".join(line.rstrip(".") for line in lines if line), newlines=False, limit=300)
