"""`lab profiles`: list, show with origins, check, write a new one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from lab.cli.options import Json, Sets
from lab.cli.output import columns, note, print_json

app = typer.Typer(help="Profiles: list, show, validate, new.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="PROFILE", help="Name on the search path, or a .toml file.")]


@app.command("list")
def list_(
    every: Annotated[bool, typer.Option("--all", "-a", help="Those under base/ too, which others extend.")] = False,
    json: Json = False,
) -> None:
    """List the profiles on the search path."""
    from lab.errors import LabError
    from lab.profile.load import list_profiles, load_profile
    from lab.text import plural

    rows = []
    for name, path in list_profiles(parents=every):
        try:
            profile = load_profile(name).profile
            rows.append({"name": name, "method": profile.method.kind, "description": profile.description})
        except LabError as error:  # a broken file must not hide the others
            rows.append({"name": name, "method": "broken", "description": error.problem})
        rows[-1]["file"] = str(path)
    if json:
        print_json({"profiles": rows})
        return
    typer.echo(columns(("name", "method", "description"), [(r["name"], r["method"], r["description"]) for r in rows]))
    if hidden := len(list_profiles(parents=True)) - len(rows):
        note(f"{plural(hidden, 'more profile')} to run, change with --set or extend: `lab profiles list --all`.")


@app.command()
def show(profile: Name, sets: Sets = None, json: Json = False) -> None:
    """Print every value of a profile with its origin."""
    from lab.jsonio import dumps
    from lab.profile.load import load_profile
    from lab.profile.origin import leaves

    resolved = load_profile(profile, sets or [])
    values = dict(leaves(resolved.tree))
    if json:
        origins = {key: origin.as_json() for key, origin in resolved.origins.items()}
        print_json({"name": resolved.name, "hash": resolved.hash, "values": values, "origins": origins})
        return
    rows = [(key, dumps(value), str(resolved.origins[key])) for key, value in values.items()]
    typer.echo(columns(("key", "value", "origin"), rows))


@app.command()
def validate(profiles: Annotated[list[str], typer.Argument(metavar="PROFILE...")], json: Json = False) -> None:
    """Check profiles: keys, types, bounds, parents, data files and model names. Stops at the first that fails."""
    from lab.cli.launch import check_before_start
    from lab.profile.load import load_profile

    for name in profiles:
        check_before_start(load_profile(name))
        if not json:
            typer.echo(f"{name} is valid")
    if json:
        print_json({"valid": profiles})


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the new profile; it becomes profiles/NAME.toml.")],
    parent: Annotated[str, typer.Option("--from", help="Profile to start from.")] = "demo-lora",
    sets: Sets = None,
    json: Json = False,
) -> None:
    """Write a profile that extends another, with the values given by --set."""
    import re

    import tomlkit

    from lab import atomic
    from lab.errors import UsageError
    from lab.profile.load import find_profile, load_profile

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise UsageError(f"{name!r} is no name for a profile.", "Use letters, digits, '.', '_' and '-'.")
    if name == parent:
        raise UsageError(f"{name} would extend itself.", "Choose another name.")
    path = Path("profiles") / f"{name}.toml"
    if path.exists():
        raise UsageError(f"{path} is there already.", "Choose another name, or edit that file.")
    resolved = load_profile(parent, sets or [])
    if parent.endswith(".toml"):  # a path counts from the file that names it
        parent = os.path.relpath(find_profile(parent), path.parent)
    document = tomlkit.document()
    document.update({"extends": parent, "description": "", **_own_values(resolved.tree, sets or [])})
    path.parent.mkdir(exist_ok=True)
    atomic.write_text(path, tomlkit.dumps(document))
    if json:
        print_json({"name": name, "file": str(path)})
    else:
        note(f"Wrote {path}; look at it with `lab profiles show {name}`.")


def _own_values(tree: dict[str, Any], sets: Sequence[str]) -> dict[str, Any]:
    """Return what `sets` changed as a tree; an array that one of them reaches into is given whole, as files need it."""
    from lab.profile.load import parse_assignment

    own: dict[str, Any] = {}
    for key, _ in map(parse_assignment, sets):
        source, target = tree, own
        for part in key.split(".")[:-1]:
            if not isinstance(source[part], dict):
                break
            source, target = source[part], target.setdefault(part, {})
        else:
            part = key.rpartition(".")[2]
        target[part] = source[part]
    return own
