"""GGUF files out of a run: written, quantised, loaded by llama.cpp, scored. Called through `job.EXPORTS`."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

from lab.exporting import llamacpp
from lab.exporting.files import write_facts
from lab.exporting.ggufadapter import check_adapter, write_adapter
from lab.exporting.ggufanswers import check_file, score_file
from lab.exporting.ggufwrite import DIRECT, contents, write_gguf
from lab.exporting.loading import compute_dtype, load_reference
from lab.exporting.modelfile import modelfile
from lab.exporting.parity import speak
from lab.exporting.quantise import FILE_TYPES, quantise
from lab.exporting.staging import check_room, staged
from lab.exporting.weights import MergedWeights
from lab.exporting.work import Work

BITS = {"f32": 32.0, "f16": 16.0, "bf16": 16.0, "q8_0": 8.5, "q4_0": 4.5, "q2_k": 3.4, "q3_k_s": 3.6, "q3_k_m": 4.0}
BITS |= {"q3_k_l": 4.3, "q4_k_s": 4.7, "q4_k_m": 5.0, "q5_k_s": 5.6, "q5_k_m": 5.8, "q6_k": 6.6}
"""About how many bits a weight takes, to tell beforehand whether the files fit."""

LEAST = {"f32": 0.95, "f16": 0.9, "bf16": 0.9}
"""Share of greedy answers that a file must give as the run does; of quantised ones it is only reported."""

SOURCE = "f16"
"""What K-quants are made from."""


def gguf(work: Work) -> dict[str, Any]:
    """Write the files asked for, let llama.cpp load them, score them; return what `exported.json` is to say.

    Raises:
        LabError: a file cannot be made, or does not say what the run says; nothing is left.
    """
    kinds = [kind for kind in work.request.types if kind != "adapter"]
    if any(kind in FILE_TYPES for kind in kinds) and not llamacpp.installed():
        raise llamacpp.MISSING
    if "adapter" in work.request.types:
        check_adapter(work.chain)
    weights = MergedWeights(work.chain, work.folder, work.base)
    parameters = sum(math.prod(shape) for shape in weights.shapes.values())
    check_room(work.request.target, int(sum(parameters * BITS[kind] / 8 for kind in _made(kinds))))
    with staged(work.request.target) as folder:
        names = _write(work, weights, kinds, folder)
        parity = _check(work, parameters, {kind: folder / names[kind] for kind in kinds})
        if "adapter" in work.request.types:
            write_adapter(work.chain, folder / f"{_stem(work)}-adapter.gguf", f"LoRA Lab run {work.owner.id}")
        if kinds:
            _write_modelfile(work, folder, names[_preferred(kinds)])
        held = {names[kind]: contents(folder / names[kind]) for kind in kinds}
        record = write_facts(work, folder, {"kind": "gguf", "types": kinds, "tensors": held, "parity": parity})
    if work.request.score and work.prepared.test and llamacpp.installed():
        for kind in kinds:
            score_file(work, work.request.target / names[kind], kind)
    return {**record, "target": str(work.request.target)}


def _made(kinds: list[str]) -> list[str]:
    """Return the types that are written on the way, the source of K-quants first."""
    source = [SOURCE] if any(kind in FILE_TYPES for kind in kinds) else []
    return list(dict.fromkeys([*source, *kinds]))


def _write(work: Work, weights: MergedWeights, kinds: list[str], folder: Path) -> dict[str, str]:
    names = {kind: f"{_stem(work)}-{kind}.gguf" for kind in _made(kinds)}
    for kind, name in names.items():
        work.say(f"writing {kind}")
        if kind in DIRECT:
            write_gguf(work, weights, kind, folder / name, partial(_tell, work, kind))
        else:
            quantise(folder / names[SOURCE], folder / name, kind, work.hardware.threads)
    if SOURCE in names and SOURCE not in kinds:
        (folder / names[SOURCE]).unlink()
    return names


def _tell(work: Work, kind: str, line: str) -> None:
    work.say(f"{kind}: {line}")


def _check(work: Work, parameters: int, files: dict[str, Path]) -> dict[str, Any] | None:
    """Return how many greedy answers of each file are the run's own; None where llama.cpp is missing."""
    if not files or not llamacpp.installed():
        return None
    rows = work.parity_rows()
    work.say(f"parity: {len(rows)} rows through base and adapter")
    dtype = compute_dtype(work, parameters)
    said = speak(lambda: load_reference(work, dtype), work.tokenizer, rows, work.stop_ids, work.profile.evaluate)
    figures = {}
    for kind, path in files.items():
        work.say(f"parity: {len(rows)} rows through {kind}")
        figures[kind] = check_file(work, path, rows, said.answers, LEAST.get(kind, 0.0))
    return figures


def _write_modelfile(work: Work, folder: Path, name: str) -> None:
    stops = [str(work.tokenizer.convert_ids_to_tokens(token)) for token in sorted(work.stop_ids)]
    text = modelfile(name, work.prepared.template, work.profile.evaluate, stops)
    (folder / "Modelfile").write_text(text, encoding="utf-8")


def _preferred(kinds: list[str]) -> str:
    """Return the type that people run: the smallest of the common ones."""
    return next((kind for kind in ("q4_k_m", "q8_0", "f16") if kind in kinds), kinds[0])


def _stem(work: Work) -> str:
    """Return what file names begin with: the base's name and the run's four last letters."""
    name = "".join(c if c.isalnum() or c in "-._" else "-" for c in work.chain.source.label).strip("-.")
    while "--" in name:
        name = name.replace("--", "-")
    return f"{name or 'model'}-{work.owner.id.rpartition('-')[2]}"
