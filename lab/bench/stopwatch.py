"""The speeds of one profile after the other, each kind of work timed once. Called by `lab.bench.speed`."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

import peft

from lab.bench.equal import base_key, pass_key, train_key
from lab.bench.forecast import work_of
from lab.bench.opening import Opened
from lab.bench.timing import Loaded, adapted, time_passes, time_training
from lab.bench.work import Speeds
from lab.evaluation.batching import window_of
from lab.training.sizes import trains

TRAIN_SHARE = 0.5  # of the seconds; the rest is for passes without gradients


class Stopwatch:
    """Remembers what it has timed, and holds one base at a time.

    Args:
        seconds: to time each profile for, more or less.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._base: tuple[str, Any] = ("", None)
        self._loads: dict[str, float] = {}
        self._training: dict[str, tuple[float | None, float]] = {}
        self._passes: dict[str, tuple[float | None, float | None]] = {}

    def record(self, opened: Opened, start_seconds: float, name: str) -> dict[str, Any]:
        """Return the record of one profile; a profile without training should come after those that share its base.

        Args:
            start_seconds: that a worker takes to get so far.
        """
        profile, window = opened.profile, window_of(opened.config)
        training: tuple[float | None, float] = (None, 0.0)
        key, passes = base_key(profile), pass_key(profile)
        if (trains(profile) and train_key(profile) not in self._training) or passes not in self._passes:
            self._time(opened)
        if trains(profile):
            training = self._training[train_key(profile)]
        speeds = Speeds(start_seconds, self._loads[key], *training, *self._passes[passes])
        about = {"profile": name, "method": profile.method.kind, "device": opened.hardware.label}
        work = work_of(profile, opened.prepared, opened.recipe, window)
        return {**about, "work": asdict(work), "speeds": asdict(speeds)}

    def _time(self, opened: Opened) -> None:
        """Time what this profile does and no other did before."""
        profile = opened.profile
        loaded = Loaded(profile, opened.recipe, self._loaded(opened), opened.tokenizer, opened.prepared)
        if trains(profile):
            loaded = adapted(loaded)
            if train_key(profile) not in self._training:
                self._training[train_key(profile)] = time_training(loaded, TRAIN_SHARE * self.seconds)
        if pass_key(profile) not in self._passes:
            self._passes[pass_key(profile)] = time_passes(loaded, (1 - TRAIN_SHARE) * self.seconds)
        if trains(profile):
            self._take_back(loaded)

    def _loaded(self, opened: Opened) -> Any:
        """Return the base, loaded if it is not the one at hand."""
        key = base_key(opened.profile)
        if self._base[0] != key:
            self._base = ("", None)  # let go before the next one comes
            begin = time.perf_counter()
            self._base = (key, opened.fresh_base())
            self._loads.setdefault(key, time.perf_counter() - begin)
        return self._base[1]

    def _take_back(self, loaded: Loaded) -> None:
        """Take adapters out of the base again; a base that trained itself, or recomputes, is loaded anew."""
        if isinstance(loaded.model, peft.PeftModel) and not loaded.recipe.checkpoint_every:
            self._base = (self._base[0], loaded.model.unload())
        else:
            self._base = ("", None)
