"""What a run ran on, for `environment.json`: packages, device, host, command line without secrets."""

from __future__ import annotations

import platform
import re
import socket
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from lab.modeling.cpu import cpu_name
from lab.modeling.hardware import Hardware
from lab.modeling.source import ModelSource
from lab.training.recipe import Recipe

PACKAGES = (
    "lora-lab",
    "torch",
    "transformers",
    "peft",
    "trl",
    "accelerate",
    "bitsandbytes",
    "datasets",
    "tokenizers",
    "safetensors",
    "sacrebleu",
    "rouge-score",
    "numpy",
)
_NAMES = "token|secret|passw(?:or)?d|api[_-]?key|key"
_SECRET = re.compile(
    r"hf_[A-Za-z0-9]{8,}|sk-[A-Za-z0-9_-]{8,}|gh[pousr]_[A-Za-z0-9]{8,}|github_pat_\w{8,}"
    rf"|(?P<key>(?:{_NAMES})=)\S+"
    r"|(?P<user>\b[a-z][a-z0-9+.-]*://[^\s/?#:@]*:)[^\s/?#]+(?=@)",
    re.IGNORECASE,
)
_OPTION = re.compile(rf"--?(?:[\w.]+[-_.])*(?:{_NAMES})", re.IGNORECASE)


def describe(name: str, hardware: Hardware, recipe: Recipe, source: ModelSource, argv: Sequence[str]) -> dict[str, Any]:
    """Return the content of `environment.json`.

    Args:
        name: the model's name in the profile.
        argv: the command line that started the run.
    """
    import psutil
    import torch

    return {
        "schema": 1,
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := installed(name))},
        "cuda": torch.version.cuda,
        "driver": driver_version() if hardware.kind == "cuda" else None,
        "gpu": {"name": hardware.name, "total_bytes": hardware.memory_bytes} if hardware.kind == "cuda" else None,
        "host": {
            "name": socket.gethostname(),
            "system": platform.platform(),
            "cpu": cpu_name(),
            "cores": psutil.cpu_count(logical=False),
            "memory_bytes": psutil.virtual_memory().total,
        },
        "threads": hardware.threads,
        "argv": redact(argv),
        "interpreter": sys.implementation.name,
        "model": {
            "name": name,
            "label": source.label,
            "kind": source.kind,
            "commit": source.commit,
            "dtype": recipe.dtype.value,
            "quantization": recipe.quantization.value,
        },
    }


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def driver_version() -> str | None:
    import pynvml

    try:
        pynvml.nvmlInit()
        return str(pynvml.nvmlSystemGetDriverVersion())
    except pynvml.NVMLError:
        return None


def redact(argv: Sequence[str]) -> list[str]:
    """Return a command line without its secrets: `--token x`, `key=x`, `https://me:x@host`, tokens of known form."""
    words = [_SECRET.sub(lambda match: f"{match['key'] or match['user'] or ''}[redacted]", word) for word in argv]
    named = [bool(_OPTION.fullmatch(before)) for before in ["", *argv][: len(argv)]]
    return ["[redacted]" if hidden else word for word, hidden in zip(words, named, strict=True)]
