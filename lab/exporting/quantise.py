"""K-quants by llama.cpp, in a process of its own: `python -m lab.exporting.quantise SOURCE TARGET TYPE`.

Called by `gguf`, which starts it. Where a matrix's rows are no multiple of 256 llama.cpp falls back to other types,
which `ggufwrite.contents` counts.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lab.errors import LabError
from lab.exporting.llamacpp import MISSING, child_lines, installed
from lab.launching.child import Emit, serve

FILE_TYPES = {
    "q2_k": 10,
    "q3_k_s": 11,
    "q3_k_m": 12,
    "q3_k_l": 13,
    "q4_k_s": 14,
    "q4_k_m": 15,
    "q5_k_s": 16,
    "q5_k_m": 17,
    "q6_k": 18,
}
"""llama.cpp's numbers for the types of whole files (`llama_ftype`)."""

LONGEST = 4 * 3600.0


def quantise(source: Path, target: Path, kind: str, threads: int) -> None:
    """Write `target` of type `kind` from the f16, bf16 or f32 file `source`.

    Raises:
        LabError: llama.cpp is missing, refused or died.
    """
    for _ in child_lines(__name__, [str(source), str(target), kind, str(threads)], timeout=LONGEST):
        pass


def work(source: str, target: str, kind: str, threads: int) -> None:
    """Quantise in this process. Raises LabError."""
    import llama_cpp

    llama_cpp.llama_backend_init()
    options = llama_cpp.llama_model_quantize_default_params()
    options.ftype = FILE_TYPES[kind]
    options.nthread = threads
    if llama_cpp.llama_model_quantize(os.fsencode(source), os.fsencode(target), options) != 0:
        raise LabError(f"llama.cpp could not make a {kind} file.", "Choose another type.")


def main() -> int:
    source, target, kind, threads = sys.argv[1:]

    def run(emit: Emit) -> None:
        if not installed():
            raise MISSING
        work(source, target, kind, int(threads))

    return serve(run)


if __name__ == "__main__":
    sys.exit(main())
