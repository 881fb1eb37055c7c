"""What a run cost: time, tokens, memory, energy, size. The worker calls this at the end, the table for other runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lab.jsonio import as_float
from lab.runs.history import History
from lab.telemetry.energy import Energy, Window, energy_over

MEASURED_SHARE = 0.9
"""Energy is given only where samples cover this much of the time: a part of it would pass for the whole."""

GENERATION_KEYS = {"generated_tokens_per_second": "tokens_per_second", "first_token_seconds": "first_token_seconds"}
COST_KEYS = frozenset(
    {
        *("train_seconds", "train_tokens", "tokens_per_second", "replayed_seconds"),
        *("peak_memory_bytes", "memory_kind", "reserved_bytes", "nvml_bytes"),
        *("energy_wh", "energy_total_wh", "energy_shared", "energy_method"),
        *("joules_per_token", "mean_watts", "peak_watts"),
        *("trainable_parameters", "trainable_percent", "artifact_bytes"),
        *GENERATION_KEYS,
    }
)


def cost_of(
    history: History,
    telemetry: Iterable[dict[str, Any]],
    facts: Mapping[str, Any],
    generation: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return every key of `COST_KEYS`; what was not measured, or does not apply, is None.

    Time and tokens are those of the optimiser steps that made the weights: validation, saves and loading are not in
    them, nor steps that a later attempt did again. Energy is that of all attempts.

    Args:
        telemetry: lines of `telemetry.jsonl`, in order.
        facts: as in `state.json`.
        generation: the "cost" of the newest evaluation's `metrics.json`.
    """
    samples = list(telemetry)
    training = history.phase_windows("training")
    return {
        **_speed(history),
        "peak_memory_bytes": history.peak_memory_bytes,
        "memory_kind": facts.get("memory_kind"),
        "reserved_bytes": facts.get("reserved_bytes"),
        "nvml_bytes": _own_gpu_bytes(samples, training),
        **_energy(history, samples, training),
        **_size(facts),
        **dict.fromkeys(GENERATION_KEYS),
        **generation_cost(generation),
    }


def generation_cost(generation: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the keys that an evaluation measured, from the "cost" of its `metrics.json`; none without one."""
    return {} if generation is None else {key: as_float(generation.get(name)) for key, name in GENERATION_KEYS.items()}


def life_windows(history: History) -> list[Window]:
    """Return (start, end) in Unix seconds of the worker's life, once per attempt, without the wait in the queue."""
    windows: dict[int, Window] = {}
    for phase in history.phases:
        if phase.name != "queued":
            start, _ = windows.get(phase.attempt, (phase.start, 0.0))
            windows[phase.attempt] = (start, phase.end if phase.end is not None else history.last_t or phase.start)
    return list(windows.values())


def _speed(history: History) -> dict[str, Any]:
    seconds, tokens = sum(history.step_seconds), sum(history.step_tokens)
    stepped = seconds > 0
    return {
        "train_seconds": seconds if stepped else None,
        "train_tokens": tokens if stepped else None,
        "tokens_per_second": tokens / seconds if stepped else None,
        "replayed_seconds": history.seconds - seconds if stepped and history.resumes else None,
    }


def _energy(history: History, samples: list[dict[str, Any]], training: list[Window]) -> dict[str, Any]:
    trained, life = _measured(samples, training), _measured(samples, life_windows(history))
    known = trained or life  # a baseline has no training phase, but its GPU and its meter are known
    return {
        "energy_wh": trained.wh if trained else None,
        "energy_total_wh": life.wh if life else None,
        "energy_shared": known.shared if known else None,
        "energy_method": known.method if known else None,
        "joules_per_token": trained.joules / tokens if trained and (tokens := sum(history.step_tokens)) else None,
        "mean_watts": trained.mean_watts if trained else None,
        "peak_watts": trained.peak_watts if trained else None,
    }


def _measured(samples: list[dict[str, Any]], windows: list[Window]) -> Energy | None:
    found = energy_over(samples, windows)
    asked = sum(end - start for start, end in windows)
    return found if found is not None and found.seconds >= MEASURED_SHARE * asked else None


def _own_gpu_bytes(samples: list[dict[str, Any]], windows: list[Window]) -> int | None:
    """Return the most memory that the run's own processes held on their GPUs together within `windows`."""
    peaks = [
        sum(sizes)
        for sample in samples
        if any(start <= (as_float(sample.get("t")) or 0.0) <= end for start, end in windows)
        and (sizes := [gpu["process_bytes"] for gpu in sample.get("gpus") or [] if gpu.get("process_bytes")])
    ]
    return max(peaks, default=None)


def _size(facts: Mapping[str, Any]) -> dict[str, Any]:
    trainable, every = facts.get("trainable_parameters"), facts.get("parameters")
    return {
        "trainable_parameters": trainable,
        "trainable_percent": 100 * trainable / every if trainable is not None and every else None,
        "artifact_bytes": facts.get("artifact_bytes"),
    }
