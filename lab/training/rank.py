"""A member of a run's team: `python -m lab.training.rank FOLDER MEETING RANK SIZE LEADER`, started by `training.team`.

It trains as the leader does, on its own share of each step's rows, and writes nothing into the run folder. Its errors
go to worker.log, and in a line to the leader.
"""

from __future__ import annotations

import signal

# First of all: a SIGTERM for the whole group, as Slurm sends it, is for the leader to answer. It saves with all members
# alive, and ends them.
signal.signal(signal.SIGTERM, signal.SIG_IGN)

# ruff: noqa: E402
import ctypes
import os
import sys
import time
import traceback
from pathlib import Path

from lab import atomic
from lab.errors import LabError
from lab.modeling.cpu import limit_cpu
from lab.profile.load import load_profile
from lab.runs.paths import RunPaths, complete_checkpoints
from lab.runs.reader import read_json
from lab.text import sanitize
from lab.training.team import load_material

POLL_SECONDS = 0.05
PR_SET_PDEATHSIG = 1


def main() -> int:
    folder, meeting, *numbers = sys.argv[1:]
    rank, size, leader = map(int, numbers)
    die_with(leader)
    if not os.environ.get("CUDA_VISIBLE_DEVICES"):
        limit_cpu()
    try:
        train(RunPaths(Path(folder)), Path(meeting), rank, size)
    except BaseException as error:  # noqa: BLE001  the leader has to hear of any
        traceback.print_exc()
        from lab.training.memory import ran_out

        told = error.problem if isinstance(error, LabError) else f"{type(error).__name__}: {error}"
        record = {"text": sanitize(told, newlines=False, limit=300), "memory": ran_out(error)}
        atomic.write_json(Path(meeting) / f"failed-{rank}.json", record)
        return 1
    return 0


def die_with(leader: int) -> None:
    """Have the kernel kill this process when its parent ends, however that ends. Source: prctl(2)."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != leader:  # it ended before
        sys.exit(1)


def train(run: RunPaths, meeting: Path, rank: int, size: int) -> None:
    """Train to the end that the leader decides on."""
    import torch

    from lab.modeling.load import load_tokenizer
    from lab.training.fit import base_reference
    from lab.training.ranks import Ranks
    from lab.training.recipe import Recipe
    from lab.training.session import load_model, quiet_libraries
    from lab.training.settings import trainer_settings
    from lab.training.stages import begin
    from lab.training.trainer import LabTrainer

    quiet_libraries()
    profile = load_profile(str(run.profile)).profile
    material = load_material(meeting)
    recipe = Recipe.from_json(read_json(run.recipe) or {})
    torch.set_num_threads(recipe.threads.value)
    tokenizer = load_tokenizer(material.source, trust_remote_code=profile.model.trust_remote_code)
    model = load_model(profile, material.source, recipe)
    begun = begin(model, profile, run, base_reference(profile), [row.input_ids for row in material.train])
    while (found := read_json(meeting / "recipe.json")) is None:
        time.sleep(POLL_SECONDS)
    recipe = Recipe.from_json(found)
    rows = material.train, material.validation
    settings = trainer_settings(profile, recipe, str(run.checkpoints), rows[0], validates=bool(rows[1]))
    trainer = LabTrainer(begun.model, settings, recipe, tokenizer, *rows, list(begun.hooks), rank)
    checkpoint = next(reversed(complete_checkpoints(run)), None)
    trainer.join(Ranks(meeting, rank, size, str(recipe.device.value)))
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    trainer.part()


if __name__ == "__main__":
    sys.exit(main())
