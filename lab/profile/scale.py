"""`--scale small`: a study's rows on the bundled model and data, in minutes on two CPU cores. Called by the commands.

What the study is about stays: rows, axes, stages, seeds, methods, ranks, targets, quantisation, learning rates and
metrics. What only costs time goes: the model, the data, all but a few steps, a few test rows and short answers. The
small study has a name of its own (`NAME-small`), so that its runs are never taken for those of the whole one. Its
figures say that everything works together, nothing about the question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lab import jsonio
from lab.errors import UsageError
from lab.profile.load import Resolved, resolve
from lab.profile.schema import Profile
from lab.profile.small import SUFFIX
from lab.profile.study import Study, load_study
from lab.profile.tasks import KNOWN_TASKS
from lab.text import did_you_mean, sanitize

SCALES = ("full", "small")
MODEL = "bundled:smollm2-135m-instruct"
SOURCE = '{name = "bundled:helpdesk", train = 48, validation = 16, test = 32}'
STEPS, EXAMPLES, ROWS, TOKENS, LENGTH = 6, 4, 16, 40, 512


def load_scaled(name: str, sets: Sequence[str] = (), scale: str = "full") -> Study:
    """Return a study at a scale; `--set` values win over it.

    Raises:
        UsageError: there is no such scale.
        LabError: what `load_study` raises.
    """
    if scale not in SCALES:
        shown = sanitize(scale, newlines=False, limit=40)
        raise UsageError(f"There is no scale '{shown}'.{did_you_mean(scale, SCALES)}", f"Use {' or '.join(SCALES)}.")
    study = load_study(name, tuple(sets))
    return study if scale == "full" else small(study, sets)


def small(study: Study, sets: Sequence[str] = ()) -> Study:
    """Return `study` with every row made small; `sets` are the user's and win."""
    rows = tuple(replace(row, resolved=_small(row.resolved, sets)) for row in study.rows)
    return replace(study, name=study.name + SUFFIX, rows=rows)


def _small(resolved: Resolved, sets: Sequence[str]) -> Resolved:
    changes = [f"{key}={value}" for key, value in overlay(resolved.profile).items()]
    return resolve(resolved.name, resolved.tree, resolved.origins, [*changes, *sets])


def overlay(profile: Profile) -> dict[str, str]:
    """Return what is changed, each value as TOML. The one place that says what small means."""
    train, evaluate = profile.train, profile.evaluate
    return {
        "model.name": jsonio.dumps(MODEL),
        "model.revision": '"main"',
        "model.trust_remote_code": "false",
        "data.source": f"[{SOURCE}]",
        "data.system_prompt": '""',  # the rows bring their own
        "data.group_by": '""',  # they are grouped already
        "data.template": '"auto"',
        "data.max_length": str(min(profile.data.max_length, LENGTH)),
        "train.max_steps": str(min(train.max_steps or STEPS, STEPS)),
        "train.examples_per_step": str(min(train.examples_per_step, EXAMPLES)),
        "train.micro_batch": "0",
        "train.optimizer": '"auto"',  # paged and 8-bit ones need a GPU
        "train.save_every": "0",
        "train.eval_every": str(STEPS // 2),
        "train.report_to": "[]",
        "evaluate.rows": str(min(evaluate.rows or ROWS, ROWS)),
        "evaluate.max_new_tokens": str(min(evaluate.max_new_tokens, TOKENS)),
        "evaluate.batch_size": "0",
        "evaluate.task": f"[{', '.join(_lists(profile))}]",  # the others are sets of the hub
        "launch.kind": '"local"',
        "launch.gpus": str(min(profile.launch.gpus, 1)),
    }


def _lists(profile: Profile) -> list[str]:
    """Return the tasks that are lists of prompts which the lab brings along, as TOML."""
    own = (task.name for task in profile.evaluate.task if task.source is None and not task.prompts)
    return [f"{{name = {jsonio.dumps(name)}}}" for name in own if KNOWN_TASKS[name].prompts]
