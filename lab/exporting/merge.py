"""One safetensors model out of a base and what was trained over it. Called through `job.EXPORTS`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from lab.exporting.files import save_tokenizer, write_configuration, write_facts
from lab.exporting.loading import compute_dtype, load_merged, load_reference
from lab.exporting.parity import Parity, compare, speak
from lab.exporting.score import score_model
from lab.exporting.staging import check_room, staged
from lab.exporting.tensorfile import CODES, SIZES, write_model
from lab.exporting.weights import MergedWeights
from lab.exporting.work import Work


def merge(work: Work) -> dict[str, Any]:
    """Write the merged model, hold it against the run, score it; return what `exported.json` is to say.

    Raises:
        LabError: it does not agree with the run, or cannot be written; nothing is left of it.
    """
    request = work.request
    weights = MergedWeights(work.chain, work.folder, work.base)
    parameters = sum(math.prod(shape) for shape in weights.shapes.values())
    check_room(request.target, parameters * SIZES[CODES[request.dtype]])
    dtype = compute_dtype(work, parameters)
    with staged(request.target) as folder:
        write_model(folder, weights.shapes, weights.read(work.say), request.dtype, request.shard_bytes)
        write_configuration(work, folder, request.dtype)
        save_tokenizer(work, folder)
        parity = check_parity(work, folder, dtype)
        facts = {"kind": "merge", "dtype": request.dtype, "parity": parity.as_json()}
        record = write_facts(work, folder, facts)
    if request.score:
        score_model(work, request.target, dtype, request.dtype)
    return {**record, "target": str(request.target)}


def check_parity(work: Work, folder: Path, dtype: str) -> Parity:
    """Hold the merged model in `folder` against base and adapters. Raises LabError beyond the limits."""
    rows = work.parity_rows()
    work.say(f"parity: {len(rows)} rows through base and adapter")
    decoding = work.profile.evaluate
    reference = speak(lambda: load_reference(work, dtype), work.tokenizer, rows, work.stop_ids, decoding)
    work.say(f"parity: {len(rows)} rows through the merged model")
    export = speak(lambda: load_merged(work, folder, dtype), work.tokenizer, rows, work.stop_ids, decoding)
    coarser = "fp32" if (dtype, work.request.dtype) == ("fp32", "fp32") else "bf16"
    name = f"{work.chain.source.label}, {base_words(work)}, with its adapters, computed in {dtype}"
    parity = compare(rows, reference, export, precision=coarser, name=name)
    parity.require()
    return parity


def base_words(work: Work) -> str:
    """Return what the changes were added to, for people."""
    if work.base == "dequantised":
        return f"{work.chain.quantization} base, dequantised"
    return "full-precision base"
