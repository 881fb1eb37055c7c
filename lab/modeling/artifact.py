"""What a run trained, as files, and how it becomes a model again: the one contract of a run's `adapter/`.

Saved by `training.fit`; loaded by resumes, later stages, evaluation jobs, chat and export. The folder holds

    lab.json   {"schema", "run", "step", "base", "kind", "earlier"}
    kind "adapter": adapter_config.json, adapter_model.safetensors
               PEFT's own format, fp32; PiSSA is stored as the plain LoRA that it amounts to.
    kind "weights" (top-layer, full): trained.safetensors, or trained-00001-of-00002.safetensors ... and their index
               only the weights that trained, by their names in the base, in the precision that the model computes in.

`earlier` is null, or {"run", "mode", "hash"}: the run whose artifact is loaded first, and whether it stays beside this
one ("stack") or is folded into the weights ("merge"). A run that trained an adapter on ("continue") replaces it, so it
names what that one was built on. Only ids are stored; see `lab.runs.lineage`.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lab import atomic
from lab.errors import NotFoundError, RunStateError
from lab.runs.lineage import earlier_run
from lab.runs.paths import RunPaths
from lab.runs.reader import read_json

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ABOUT = "lab.json"
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
TRAINED = "trained"

Kind = Literal["adapter", "weights"]


@dataclass(frozen=True)
class Earlier:
    """What an artifact builds on: `mode` is "stack" or "merge", `hash` that artifact's own at that time."""

    run: str
    mode: str
    hash: str


@dataclass(frozen=True)
class Artifact:
    """What lies in an artifact's folder.

    Attributes:
        files: the weights, in order.
        base: the name under which others find the base.
    """

    folder: Path
    kind: Kind
    files: tuple[Path, ...]
    run: str
    step: int
    base: str
    earlier: Earlier | None

    @property
    def bytes(self) -> int:
        return sum(path.stat().st_size for path in self.files)

    def before(self) -> Artifact | None:
        """Return the artifact that this one builds on.

        Raises:
            NotFoundError: its run, or what that run trained, is gone.
            RunStateError: it has been trained on since, so that the two no longer fit.
        """
        if self.earlier is None:
            return None
        found = require_artifact(earlier_run(RunPaths(self.folder.parent), self.earlier.run).adapter)
        if found.hash != self.earlier.hash:
            raise RunStateError(
                f"{self.earlier.run} has been trained on since {self.run} was built on it.",
                f"Train {self.run} again: what it learnt fits the earlier weights alone.",
            )
        return found

    @property
    def hash(self) -> str:
        """The sha256 (12 digits) of the weights, and of what they build on."""
        digest = hashlib.sha256()
        for path in self.files:
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        if self.earlier is not None:
            digest.update(f"{self.earlier.mode} {self.earlier.hash}".encode())
        return digest.hexdigest()[:12]


def describe_artifact(folder: Path) -> Artifact | None:
    """Return what lies in `folder`; None where no finished artifact is."""
    about: dict[str, Any] = read_json(folder / ABOUT) or {}
    if (folder / ADAPTER_CONFIG).is_file() and (folder / ADAPTER_WEIGHTS).is_file():
        kind: Kind = "adapter"
        files: tuple[Path, ...] = (folder / ADAPTER_WEIGHTS,)
    elif files := tuple(sorted(folder.glob(f"{TRAINED}*.safetensors"))):
        kind = "weights"
    else:
        return None
    earlier = about.get("earlier")
    return Artifact(
        folder,
        kind,
        files,
        str(about.get("run") or folder.absolute().parent.name),
        int(about.get("step") or 0),
        str(about.get("base") or ""),
        Earlier(**{key: str(earlier[key]) for key in ("run", "mode", "hash")}) if earlier else None,
    )


def require_artifact(folder: Path) -> Artifact:
    """Return what lies in `folder`. Raises NotFoundError where no finished artifact is."""
    found = describe_artifact(folder)
    if found is None:
        raise NotFoundError(
            f"{folder.absolute().parent.name} has no trained weights in {folder.name}/.",
            "Finish or resume the run that makes them.",
        )
    return found


def load_artifact(model: PreTrainedModel, folder: Path, *, trainable: bool = False) -> Any:
    """Return `model` (a base as loaded) with all that the artifact in `folder` stands for: first what it builds on.

    Args:
        trainable: its own weights can be trained on; those that it builds on stay frozen.

    Returns:
        A `PeftModel`, or the model itself where weights of the base were trained.

    Raises:
        NotFoundError: there is no artifact, or something that it builds on is gone.
        RunStateError: what it builds on has changed since.
        ProfileError: it does not fit this model.
    """
    return _load(model, require_artifact(folder), trainable=trainable, depth=0)


def load_beneath(model: PreTrainedModel, folder: Path) -> Any:
    """Return `model` with the artifact in `folder`, frozen, for another adapter to stand on. Raises as above."""
    return _load(model, require_artifact(folder), trainable=False, depth=1)


def _load(model: Any, artifact: Artifact, *, trainable: bool, depth: int) -> Any:
    from lab.modeling.adapters import ADAPTER, attach_adapter
    from lab.modeling.merge import merge_adapters
    from lab.modeling.weights import load_weights

    before = artifact.before()
    if before is not None:
        model = _load(model, before, trainable=False, depth=depth + 1)
        if artifact.earlier is not None and artifact.earlier.mode == "merge":
            model = merge_adapters(model)
    if artifact.kind == "weights":
        return load_weights(model, artifact.files, trainable=trainable)
    name = f"earlier{depth}" if depth else ADAPTER
    return attach_adapter(model, artifact.folder, name=name, trainable=trainable)


def save_artifact(
    model: Any,
    folder: Path,
    *,
    run: str,
    step: int,
    base: str,
    earlier: Earlier | None = None,
    beginning: Path | None = None,
) -> None:
    """Write what trained in `model` to the new `folder`; `lab.json` comes last.

    Args:
        base: the name under which others find the base; no path of this host.
        beginning: where PiSSA's first matrices are kept, if the adapter began so.
    """
    from peft import PeftModel

    from lab.modeling import pissa
    from lab.modeling.adapters import ADAPTER
    from lab.modeling.weights import compute_dtype, save_trained

    kind: Kind = "adapter" if isinstance(model, PeftModel) else "weights"
    if kind == "weights":
        save_trained(model, folder, compute_dtype(model))
    elif beginning is not None:
        pissa.save_plain(model, folder, beginning)
    else:
        model.save_pretrained(folder, selected_adapters=[ADAPTER], save_embedding_layers=False)
    if kind == "adapter":
        config = read_json(folder / ADAPTER_CONFIG) or {}
        atomic.write_json(folder / ADAPTER_CONFIG, {**config, "base_model_name_or_path": base})
        (folder / "README.md").unlink(missing_ok=True)  # PEFT's card names this host's paths; the lab makes its own
    record = {"schema": 1, "run": run, "step": step, "base": base, "kind": kind}
    atomic.write_json(folder / ABOUT, {**record, "earlier": asdict(earlier) if earlier else None})
