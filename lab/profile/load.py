"""From names and flags to a checked profile: defaults < parent (`extends`) < file < `--set key=value`."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Any

import tomli

from lab import jsonio
from lab.errors import NotFoundError, ProfileError
from lab.home import profile_roots
from lab.profile.check import validate
from lab.profile.origin import Origin, file_origins, leaves
from lab.profile.schema import Profile
from lab.text import did_you_mean, sanitize


@dataclass(frozen=True)
class Resolved:
    """A checked profile with the origin of every value.

    Attributes:
        name: the profile's name, or one made of data and method where there is no profile.
        tree: all values as plain data, defaults filled in.
    """

    name: str
    profile: Profile
    origins: dict[str, Origin]

    @property
    def tree(self) -> dict[str, Any]:
        return self.profile.model_dump()

    @property
    def hash(self) -> str:
        """Identifies what is run: equal hashes mean the same work, whatever the profile is called and wherever it runs.

        A row of a study that Slurm has run is done for whoever shows the table without `launch.kind = "slurm"`.
        """
        tree = {key: value for key, value in self.tree.items() if key != "description"}
        tree["launch"] = {"kind": "local", "gpus": self.profile.launch.gpus}
        return hashlib.sha256(jsonio.dumps(tree).encode()).hexdigest()[:16]


def find_profile(name: str) -> Path:
    """Return the file of profile `name`: a path if it ends in `.toml`, else looked up on the search path.

    Raises:
        NotFoundError: there is none.
    """
    if name.endswith(".toml"):
        path = Path(name).expanduser()
        if not path.is_file():
            raise NotFoundError(f"There is no profile file {sanitize(name)!r}.", "See `lab profiles list --all`.")
        return path
    for root in profile_roots():
        path = root / f"{name}.toml"
        if path.is_file():
            return path
    problem, study = f"There is no profile {sanitize(name)!r}.", name.removeprefix("studies/")
    if any((root / "studies" / f"{study}.toml").is_file() for root in profile_roots()):
        raise NotFoundError(problem, f"It is a study: `lab study run {study}`.")
    hint = did_you_mean(name, [n for n, _ in list_profiles(parents=True)])
    raise NotFoundError(problem + hint, "See `lab profiles list --all`.")


def list_profiles(*, parents: bool = False) -> list[tuple[str, Path]]:
    """Return (name, file) of every profile on the search path, studies and presets left out, first hit wins.

    Args:
        parents: also those under `base/`, which others extend and which run as well.
    """
    others = ("studies/", "presets/") if parents else ("base/", "studies/", "presets/")
    found: dict[str, Path] = {}
    for root in profile_roots():
        for path in sorted(root.rglob("*.toml")):
            name = path.relative_to(root).with_suffix("").as_posix()
            if not name.startswith(others):
                found.setdefault(name, path)
    return sorted(found.items())


def load_profile(name: str, sets: Sequence[str] = ()) -> Resolved:
    """Read profile `name` with its parents, apply `--set` values, check everything.

    Raises:
        NotFoundError: no such profile or parent.
        ProfileError: no TOML, an unknown key, a wrong or unbuilt value, a profile that extends itself.
    """
    path = find_profile(name)
    tree, origins = _read_chain(path, ())
    return resolve(path.stem if name.endswith(".toml") else name, tree, origins, sets)


def resolve(name: str, tree: dict[str, Any], origins: dict[str, Origin], sets: Sequence[str] = ()) -> Resolved:
    """Apply `--set` values to a tree and check it. Raises what `load_profile` raises."""
    tree, origins = copy.deepcopy(tree), dict(origins)
    for assignment in sets:
        key, value = parse_assignment(assignment)
        _assign(tree, key, value)
        origins = {path: o for path, o in origins.items() if path != key and not path.startswith(key + ".")}
        origins |= {path: Origin("flag") for path, _ in leaves(value, key)}
    profile = validate(tree, origins)
    every = {path: origins.get(path, Origin("default")) for path, _ in leaves(profile.model_dump())}
    return Resolved(name, profile, every)


def parse_assignment(text: str) -> tuple[str, Any]:
    """Split `key=value`; the value is read as TOML, and as a plain string where it is none, or a date or time: no key
    holds one, and 04:00:00 is how Slurm writes four hours.

    Raises:
        ProfileError: there is no `=` or no key.
    """
    key, equals, value = text.partition("=")
    key, value = key.strip(), value.strip()
    if not equals or not key:
        raise ProfileError(f"--set {text!r} is no assignment.", "Write it as key=value, for example train.epochs=2.")
    try:
        read = tomli.loads(f"value = {value}")["value"]
    except tomli.TOMLDecodeError:
        return key, value
    return key, value if isinstance(read, date | time) else read


def _read_chain(path: Path, children: tuple[Path, ...]) -> tuple[dict[str, Any], dict[str, Origin]]:
    """Return the merged tree of a file and its parents, with origins."""
    if path.resolve() in children:
        circle = " -> ".join(p.name for p in (*children, path))
        raise ProfileError(f"Profile {path.name} extends itself ({circle}).", "Remove one `extends`.")
    tree, text = read_toml(path)
    if "study" in tree:
        raise ProfileError(f"{path.name} is a study and no profile.", f"Run it: `lab study run {path}`.")
    parent = tree.pop("extends", "")
    if not isinstance(parent, str):
        raise ProfileError(f"extends in {path.name} is no name.", "Give one profile's name or path as a string.")
    origins = file_origins(tree, text, path, "parent" if children else "file")
    if not parent:
        return tree, origins
    place = (path.parent / parent) if parent.endswith(".toml") else find_profile(parent)
    base, base_origins = _read_chain(find_profile(str(place)), (*children, path.resolve()))
    kept = {key: o for key, o in base_origins.items() if not _replaced(key, tree)}
    return merge(base, tree), kept | origins


def _replaced(key: str, tree: dict[str, Any]) -> bool:
    """Tell whether `tree` sets `key` or the whole array that holds it."""
    node: Any = tree
    for part in key.split("."):
        if not isinstance(node, dict):
            return True
        if part not in node:
            return False
        node = node[part]
    return True


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `over`: tables merge, everything else (arrays too) is replaced."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def read_toml(path: Path) -> tuple[dict[str, Any], str]:
    """Return a TOML file's tree and text. Raises ProfileError where it is not readable as UTF-8 TOML."""
    try:
        text = path.read_text(encoding="utf-8")
        return tomli.loads(text), text
    except UnicodeDecodeError as error:
        raise ProfileError(f"{path} is not UTF-8 text.", "Save it as UTF-8.") from error
    except tomli.TOMLDecodeError as error:
        raise ProfileError(f"{path} is no valid TOML: {sanitize(str(error))}.", "Mend that line.") from error
    except OSError as error:
        raise NotFoundError(f"{path} cannot be read ({error.strerror}).", "Check its name and mode.") from error


def _assign(tree: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    node: Any = tree
    for part in parents:
        node = _child(node, part, key)
    if isinstance(node, list):
        node[_index(node, last, key)] = value
    else:
        node[last] = value


def _child(node: Any, part: str, key: str) -> Any:
    child = node[_index(node, part, key)] if isinstance(node, list) else node.setdefault(part, {})
    if not isinstance(child, dict | list):
        raise ProfileError(f"--set {key} goes through {part!r}, which is a value.", "See `lab profiles show`.")
    return child


def _index(node: list[Any], part: str, key: str) -> int:
    if not part.isdecimal() or int(part) >= len(node):
        raise ProfileError(f"--set {key}: there is no item {part!r} among {len(node)}.", "Items are numbered from 0.")
    return int(part)
