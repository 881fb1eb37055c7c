"""What a run would do, before anything of weight is loaded: data, recipe, steps, memory. `lab plan` prints it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lab.data.masks import Encoded
from lab.data.prepare import Prepared, prepare
from lab.data.report import GateError
from lab.errors import LabError
from lab.modeling.load import load_config, load_tokenizer
from lab.modeling.prefix import can_share
from lab.modeling.source import check_model_name, resolve_model
from lab.profile.load import Resolved
from lab.profile.schema import Profile
from lab.series.known import known_config
from lab.training.device import hardware_for
from lab.training.precheck import check
from lab.training.recipe import decide, epoch_steps_in, epochs_in, steps_in
from lab.training.sizes import sizes_of, trains

MOST_ROWS = 512
"""Rows that stand for those that were not read: more than any micro-batch holds."""


@dataclass(frozen=True)
class Opened:
    """What is here of a model without its weights.

    Attributes:
        tokenizer: None where only the sizes of the model are known, by its name; `absent` then says why.
    """

    about: dict[str, Any]
    config: Any
    tokenizer: Any
    absent: LabError | None


def plan(resolved: Resolved, progress: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Return the plan of a run as plain data; what cannot be told is None, with the reason beside it.

    Of the model only configuration and tokenizer are read; a bundled one is fetched and converted first. Of a hub model
    that cannot be reached the sizes may be known by its name. Then data cannot be read, for want of its tokenizer:
    "data" is None and "unread" says why; recipe and memory are for rows of `data.max_length`.

    Args:
        progress: gets a line when something that takes time begins.

    Raises:
        LabError: what the worker would fail with before it loads weights, but for data that is not fit to train on:
            that is told under "refused".
    """
    profile = resolved.profile
    opened = _open(profile, progress)
    about = {
        "profile": resolved.name,
        "hash": resolved.hash,
        "method": profile.method.kind,
        "model": opened.about,
        "unread": _told(opened.absent),
        "refused": None,
    }
    prepared: Prepared | None = None
    try:
        check(profile)
        if opened.tokenizer is not None:
            progress("reading data")
            prepared = prepare(profile, opened.tokenizer)
    except GateError as error:
        return {**about, "data": error.report, "refused": _told(error)}
    found = _unread(profile, opened.config) if prepared is None else _read(profile, opened.config, prepared)
    return about | found


def _open(profile: Profile, progress: Callable[[str], None]) -> Opened:
    name, trust = profile.model.name, profile.model.trust_remote_code
    check_model_name(name)
    try:
        source = resolve_model(name, profile.model.revision, progress)
        about = {"label": source.label, "kind": source.kind, "commit": source.commit}
        config = load_config(source, trust_remote_code=trust)
        return Opened(about, config, load_tokenizer(source, trust_remote_code=trust), None)
    except LabError as error:
        known = known_config(name)
        if known is None:
            raise
        from transformers import AutoConfig

        values = dict(known)
        config = AutoConfig.for_model(values.pop("model_type"), **values)
        return Opened({"label": name, "kind": "known by name", "commit": None}, config, None, error)


def _read(profile: Profile, config: Any, prepared: Prepared) -> dict[str, Any]:
    """Return the plan for the profile's own rows."""
    hardware, lengths = hardware_for(profile), [len(row.input_ids) for row in prepared.train]
    recipe = decide(profile, hardware, lengths, sharable=can_share(config), config=config)
    return {
        "data": prepared.report,
        "recipe": recipe.as_json()["choices"],
        "steps": steps_of(profile, prepared),
        **sizes_of(profile, hardware, recipe, prepared.train, prepared.validation, config.to_dict()),
    }


def _unread(profile: Profile, config: Any) -> dict[str, Any]:
    """Return the plan for rows that are as long as they may be, every token supervised."""
    hardware, longest, train = hardware_for(profile), profile.data.max_length, profile.train
    count = max(train.examples_per_step, train.tokens_per_step // longest)
    rows = [Encoded(str(place), [0] * longest, [0] * longest) for place in range(min(count, MOST_ROWS))]
    recipe = decide(profile, hardware, [longest] * len(rows), sharable=can_share(config), config=config)
    watched = rows if any(source.validation for source in profile.data.source) else []
    return {
        "data": None,
        "recipe": recipe.as_json()["choices"],
        "steps": expected_steps(profile),
        **sizes_of(profile, hardware, recipe, rows, watched, config.to_dict()),
    }


def _told(error: LabError | None) -> dict[str, str] | None:
    return None if error is None else {"problem": error.problem, "remedy": error.remedy}


def steps_of(profile: Profile, prepared: Prepared) -> dict[str, Any] | None:
    """Return how training is cut into steps; None for a baseline."""
    if not trains(profile):
        return None
    found = _steps(profile, [len(row.input_ids) for row in prepared.train], bool(prepared.validation))
    return {**found, "tokens": round(prepared.report["splits"]["train"]["tokens"] * found["epochs"])}


def expected_steps(profile: Profile) -> dict[str, Any] | None:
    """Return how training is cut into steps if no row is dropped; None where that hangs on the rows themselves."""
    counts = [source.train for source in profile.data.source]
    if not trains(profile) or not counts or 0 in counts or profile.train.tokens_per_step:
        return None
    watched = any(source.validation for source in profile.data.source)
    return {**_steps(profile, [profile.data.max_length] * sum(counts), watched), "tokens": None}


def _steps(profile: Profile, lengths: list[int], watched: bool) -> dict[str, Any]:
    total, train = steps_in(profile, lengths), profile.train
    return {
        "total": total,
        "per_epoch": epoch_steps_in(profile, lengths),
        "epochs": epochs_in(profile, lengths),
        "warmup": round(train.warmup_ratio * total),
        "validations": total // train.eval_every if train.eval_every and watched else 0,
    }
