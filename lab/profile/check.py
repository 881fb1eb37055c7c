"""Checking a profile's tree: unknown keys, types, bounds, names, and what cannot stand together."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from lab.errors import ProfileError
from lab.profile.hints import innermost, key_hint, list_example
from lab.profile.methodcheck import check_method
from lab.profile.origin import Origin
from lab.profile.schema import Profile
from lab.profile.tasks import check_tasks
from lab.profile.unbuilt import refuse_unbuilt
from lab.text import did_you_mean, sanitize


def validate(tree: dict[str, Any], origins: dict[str, Origin]) -> Profile:
    """Return the profile that `tree` describes.

    Args:
        origins: where values were set; the message names file and line.

    Raises:
        ProfileError: the first thing that is wrong, and what mends it.
    """
    try:
        profile = Profile.model_validate(tree)
    except ValidationError as error:
        raise _explain(error.errors()[0], origins) from None
    refuse_unbuilt(profile)
    _check_together(profile)
    return profile


def _check_together(profile: Profile) -> None:
    if not profile.data.source:
        raise ProfileError("The profile names no data.", 'Add [[data.source]] with name = "..." or use --data.')
    check_method(profile)
    _check_validation(profile)
    check_tasks(profile.evaluate.task)


def _check_validation(profile: Profile) -> None:
    """Refuse keys that need validation losses where there will be none."""
    train = profile.train
    key = "train.early_stopping_patience" if train.early_stopping_patience else "train.keep"
    wanted = train.early_stopping_patience or train.keep == "best"
    if profile.method.kind == "baseline" or not wanted:
        return
    if not train.eval_every:
        raise ProfileError(f"{key} needs validation losses, and train.eval_every is 0.", "Set train.eval_every.")
    if not any(source.validation for source in profile.data.source):
        raise ProfileError(f"{key} needs validation losses, and no source has validation rows.", "Set its validation.")


def _explain(error: ErrorDetails, origins: dict[str, Origin]) -> ProfileError:
    path = ".".join(str(part) for part in error["loc"] if part not in ("str", "list[str]"))
    if error["type"] == "extra_forbidden":
        return _unknown(path, error.get("input"), origins)
    place, path = _place(path, origins), _shown(path)
    if error["type"] == "missing":
        return ProfileError(f"{path} is missing.", "Set it in the profile or with --set.")
    given = error.get("input")
    value = sanitize(repr(given), newlines=False, limit=80)
    problem = f"{path} = {value} {_complaint(error)}{place}."
    if written := _as_list(error, path):
        return ProfileError(problem, f"Write it as a list: {written} in the profile, or --set {path}='{written}'.")
    if isinstance(given, str) and error["type"].startswith("model_"):
        return ProfileError(
            problem + key_hint(path, given), f"Set a key of it, {path}.KEY, in the profile or with --set."
        )
    hint = did_you_mean(str(given), _choices(path))
    return ProfileError(problem + hint, f"Mend it in the profile, or with --set {path}=...")


def _unknown(path: str, value: Any, origins: dict[str, Origin]) -> ProfileError:
    options = _fields_at(path.rpartition(".")[0])
    whole, inner = innermost(path, value)
    hint = key_hint(whole, inner) if whole != path else ""
    if hint:
        path = whole
    else:
        hint = key_hint(path, value, options)
    remedy = f"Remove it or rename it; known keys there: {', '.join(options)}."
    return ProfileError(f"{_shown(path)} is not a key{_place(path, origins)}.{hint}", remedy)


def _as_list(error: ErrorDetails, path: str) -> str:
    """Return the text that a list key was given as a list; "" where no list is asked for."""
    given = error.get("input")
    parent, _, name = path.rpartition(".")
    model = _model_at(parent)
    if model is None or name not in model.model_fields or not isinstance(given, str):
        return ""
    one_word = error["type"] != "list_type" and not any(mark in given for mark in ",_[")  # maybe a misspelt keyword
    return "" if one_word else list_example(model.model_fields[name].annotation, given)


def _shown(path: str) -> str:
    return sanitize(path, newlines=False, limit=80)


def _place(path: str, origins: dict[str, Origin]) -> str:
    return next((f" ({o})" for key in _self_and_parents(path) if (o := origins.get(key)) and o.file), "")


def _self_and_parents(path: str) -> list[str]:
    parts = path.split(".")
    return [".".join(parts[:n]) for n in range(len(parts), 0, -1)]


def _complaint(error: ErrorDetails) -> str:
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "string_pattern_mismatch":
        message = "should match " + str(error.get("ctx", {}).get("pattern"))
    if error["type"] in ("model_type", "model_attributes_type"):
        message = "should be a table of keys"
    return (message[0].lower() + message[1:]).replace("input should", "should")


def _model_at(path: str) -> type[BaseModel] | None:
    model: Any = Profile
    for part in path.split(".") if path else []:
        if part.isdecimal():
            continue
        field = model.model_fields.get(part) if isinstance(model, type) and issubclass(model, BaseModel) else None
        if field is None:
            return None
        annotation = field.annotation
        model = next((a for a in get_args(annotation) if isinstance(a, type)), annotation)
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None


def _fields_at(path: str) -> list[str]:
    model = _model_at(path)
    return [] if model is None else list(model.model_fields)


def _choices(path: str) -> list[str]:
    """Return the words that the key at `path`, or an item of its list, accepts, where it accepts only some."""
    parts = path.split(".")
    while parts[-1].isdecimal():
        parts.pop()
    model = _model_at(".".join(parts[:-1]))
    if model is None or parts[-1] not in model.model_fields:
        return []
    return _words(model.model_fields[parts[-1]].annotation)


def _words(annotation: Any) -> list[str]:
    """Return the words of the literals in a type: those of `list[Literal["a"]]` are "a"."""
    found = ([argument] if isinstance(argument, str) else _words(argument) for argument in get_args(annotation))
    return [word for words in found for word in words]
