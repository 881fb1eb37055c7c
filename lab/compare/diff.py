"""What two runs differ in: profile, environment, data, each difference with its class. Called by `lab runs diff`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lab.compare.checks import BLOCKING, CHECKS, PACKAGES
from lab.compare.entry import profile_tree
from lab.compare.trees import clean, covers
from lab.profile.origin import leaves
from lab.runs.paths import RunPaths
from lab.runs.reader import read_json
from lab.runs.store import RunInfo

TREATMENT = ("method", "model.quantization", "model.double_quant")
"""What a comparison without axes is about."""

_BLOCKING_KEYS = (
    "data.template",
    "data.system_prompt",
    "data.seed",
    "evaluate.rows",
    "evaluate.seed",
    "evaluate.bertscore_model",
)
_CONFOUNDING_KEYS = ("train.epochs", "train.max_steps", "train.threads", "data", "model", "launch.gpus")
_NEUTRAL_KEYS = ("model.attention", "model.trust_remote_code")
_ENVIRONMENT_KEYS = ("gpu.name", "host.cpu", "threads", "model.name", "model.commit", "model.dtype", "cuda", "driver")
_PASSED_OVER = ("schema", "argv", "example", "gpu.uuid", "splits.train.lengths", "splits.validation.lengths")


@dataclass(frozen=True)
class Line:
    """One difference. `level` is blocking, confounding, treatment, or empty where it changes no figure.

    `first` or `second` is None where that run has no such key. `section` is profile, environment or data.
    """

    section: str
    key: str
    first: Any
    second: Any
    level: str

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self))


def profile_diff(first: dict[str, Any], second: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return (key path, value in the first, value in the second) where two trees differ; None: it has no such key."""
    one, other = ({key: value for key, value in leaves(tree) if key} for tree in (first, second))
    return [(key, one.get(key), other.get(key)) for key in {**one, **other} if one.get(key) != other.get(key)]


def run_diff(first: RunInfo, second: RunInfo, axes: Iterable[str] = ()) -> list[Line]:
    """Return every difference between two runs that says something about them, in the order of their files.

    Args:
        axes: key paths that are varied on purpose, beside method and quantisation.
    """
    axes = tuple(axes)
    one, other = _sections(first.run), _sections(second.run)
    return [
        Line(section, key, a, b, level_of(section, key, axes))
        for section in one
        for key, a, b in profile_diff(one[section], other[section])
        if not any(covers(passed, key) for passed in _PASSED_OVER)
    ]


def level_of(section: str, key: str, axes: Iterable[str] = ()) -> str:
    """Return the class of a difference in `key`: "blocking", "confounding", "treatment" or ""."""
    return {"profile": _profile_level, "environment": _environment_level, "data": _data_level}[section](key, axes)


def _sections(run: RunPaths) -> dict[str, dict[str, Any]]:
    return {
        "profile": profile_tree(run),
        "environment": clean(read_json(run.environment) or {}),
        "data": clean(read_json(run.data) or {}),
    }


def _profile_level(key: str, axes: Iterable[str]) -> str:
    if any(covers(axis, key) for axis in (*axes, *TREATMENT)):
        return "treatment"
    if key in _NEUTRAL_KEYS:
        return ""
    tested = key.startswith("data.source.") and key.endswith(".test")
    if tested or key in _BLOCKING_KEYS or any(key in check.axes for check in BLOCKING if key.startswith("evaluate.")):
        return "blocking"
    compared = any(key == check.key or key in check.axes for check in CHECKS)
    return "confounding" if compared or any(covers(known, key) for known in _CONFOUNDING_KEYS) else ""


def _environment_level(key: str, axes: Iterable[str]) -> str:
    if key == "model.quantization" or (covers("model", key) and any(covers("model", axis) for axis in axes)):
        return "treatment"
    known = key in _ENVIRONMENT_KEYS or key.removeprefix("packages.") in PACKAGES
    return "confounding" if known else ""


def _data_level(key: str, axes: Iterable[str]) -> str:
    if any(covers("data", axis) for axis in axes):
        return "treatment"
    if key in ("splits.test.hash", "template.hash"):
        return "blocking"
    return "confounding" if key in ("splits.train.hash", "splits.train.tokens", "splits.train.rows") else ""
