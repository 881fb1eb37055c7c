"""`lab profiles`: list, show with origins, check, write a new one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.cli.options import Json, Sets
from lab.cli.output import columns, note, print_json

app = typer.Typer(help="Profiles: list, show, validate, new.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="PROFILE", help="Name on the search path, or a .toml file.")]


@app.command("list")
def list_(json: Json = False) -> None:
    """List the profiles on the search path."""
    from lab.errors import LabError
    from lab.profile.load import list_profiles, load_profile

    rows = []
    for name, path in list_profiles():
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
) -> None:
    """Write a profile that extends another, with the values given by --set."""
    import re

    import tomlkit

    from lab.errors import UsageError
    from lab.profile.load import load_profile, parse_assignment

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise UsageError(f"{name!r} is no name for a profile.", "Use letters, digits, '.', '_' and '-'.")
    path = Path("profiles") / f"{name}.toml"
    if path.exists():
        raise UsageError(f"{path} is there already.", "Choose another name, or edit that file.")
    load_profile(parent, sets or [])
    document = tomlkit.document()
    document["extends"] = parent
    document["description"] = ""
    for key, value in (parse_assignment(text) for text in sets or []):
        *tables, last = key.split(".")
        table = document
        for part in tables:
            table = table.setdefault(part, tomlkit.table())
        table[last] = value
    path.parent.mkdir(exist_ok=True)
    path.write_text(tomlkit.dumps(document), encoding="utf-8")
    note(f"Wrote {path}; look at it with `lab profiles show {name}`.")
