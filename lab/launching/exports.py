"""Exports of a run as jobs of its own: what may be asked for, and starting it. Called by `lab export`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from lab.errors import NotFoundError, RunStateError, UsageError
from lab.launching.jobs import begin_job
from lab.launching.stop import usable_weights
from lab.profile.load import load_profile
from lab.runs.paths import RunPaths
from lab.runs.reader import read_json
from lab.runs.state import LIVE
from lab.runs.store import RunInfo
from lab.text import did_you_mean, sanitize

Kind = Literal["merge", "gguf"]
DTYPES = ("bf16", "fp32")
BASES = ("auto", "full", "dequantised")
K_QUANTS = ("q2_k", "q3_k_s", "q3_k_m", "q3_k_l", "q4_k_s", "q4_k_m", "q5_k_s", "q5_k_m", "q6_k")
TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0", *K_QUANTS, "adapter")
SCHEMA = 1


@dataclass(frozen=True)
class ExportRequest:
    """What an export is to make.

    Attributes:
        target: absolute path of the folder that is made.
        types: of GGUF files; "adapter" is the adapter alone.
        base: "full", "dequantised", or "auto": whatever the run was trained over.
        dtype: of merged safetensors.
        shard_bytes: the largest size of one safetensors file.
        score: answer the run's test rows with what was made.
    """

    kind: Kind
    target: Path
    types: tuple[str, ...] = ()
    base: str = "auto"
    dtype: str = "bf16"
    shard_bytes: int = 4_000_000_000
    score: bool = True

    def __post_init__(self) -> None:
        _known("--dtype", self.dtype, DTYPES)
        _known("--base", self.base, BASES)
        for name in self.types:
            _known("--type", name, TYPES)

    def as_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **asdict(self), "target": str(self.target), "types": list(self.types)}


def read_request(job: RunPaths) -> ExportRequest:
    """Return what the job is to export. Raises NotFoundError where its file is damaged."""
    record = read_json(job.request) or {}
    try:
        fields = {key: value for key, value in record.items() if key != "schema"}
        return ExportRequest(**{**fields, "target": Path(fields["target"]), "types": tuple(fields["types"])})
    except (KeyError, TypeError) as error:
        raise NotFoundError(f"{job.id} has no readable export.json.", "Start the export anew.") from error


def parse_types(text: str) -> tuple[str, ...]:
    """Return the GGUF types in "f16, q8_0,Q4_K_M", each once.

    Raises:
        UsageError: none, or one that is not known.
    """
    names = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",") if part.strip()))
    if not names:
        raise UsageError("--type names no type.", f"Choose from {', '.join(TYPES)}.")
    for name in names:
        _known("--type", name, TYPES)
    return names


def check_exportable(info: RunInfo) -> None:
    """Refuse a run without whole weights, by its state.

    Raises:
        RunStateError: it is worked on, failed, lost, or was stopped before it saved an adapter.
    """
    if info.state in LIVE:
        raise RunStateError(f"{info.id} is {info.state}.", f"Wait for it: `lab runs watch {info.id}`.")
    if info.state in ("failed", "lost"):
        verb = "is lost" if info.state == "lost" else "failed"
        raise RunStateError(f"{info.id} {verb}: its weights are not those of a finished run.", _resume(info))
    if info.record.get("method") != "baseline" and usable_weights(info.run) != info.run.adapter:
        raise RunStateError(f"{info.id} has no adapter yet.", _resume(info))


def start_export(info: RunInfo, request: ExportRequest, sets: Sequence[str] = ()) -> RunPaths:
    """Start a worker that makes the export; return the job's folder.

    Raises:
        RunStateError: as `check_exportable`.
        What `lab.launching.jobs.begin_job` raises.
    """
    check_exportable(info)
    return begin_job(info, request.kind, load_profile(str(info.run.profile), list(sets)), request.as_json())


def exported(info: RunInfo) -> list[dict[str, Any]]:
    """Return what was exported from the run, the oldest first."""
    jobs = sorted(info.run.jobs.glob("*"), key=lambda path: path.name)
    return [record for path in jobs if (record := read_json(RunPaths(path).result)) is not None]


def _known(option: str, value: str, options: Sequence[str]) -> None:
    if value not in options:
        shown = sanitize(value, newlines=False, limit=60)
        raise UsageError(
            f"{option} {shown!r} is not known.{did_you_mean(value, options)}", f"Choose from {', '.join(options)}."
        )


def _resume(info: RunInfo) -> str:
    return f"Finish it: `lab runs resume {info.id}`."
