"""A GGUF file from a stream of weights, and what a file truly holds. Called by `gguf` and `ggufadapter`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.exporting.ggufmodel import ROPE_FACTORS, Mapping
from lab.exporting.ggufvocab import read_vocabulary, write_vocabulary
from lab.exporting.weights import MergedWeights, Progress
from lab.exporting.work import Work
from lab.modeling.load import load_config

if TYPE_CHECKING:
    from gguf import GGMLQuantizationType

DIRECT = ("f32", "f16", "bf16", "q8_0", "q4_0")
"""Types that are written without llama.cpp."""

FILE_TYPES = {"f32": 0, "f16": 1, "q4_0": 2, "q8_0": 7, "bf16": 32}
"""llama.cpp's numbers for the types of whole files (`llama_ftype`)."""


def write_gguf(work: Work, weights: MergedWeights, kind: str, path: Path, progress: Progress) -> None:
    """Write the merged weights as one file of type `kind`, one tensor in memory at a time.

    Vectors stay in fp32, as everywhere in GGUF; a matrix whose rows the type's blocks do not fit stays in fp16.

    Raises:
        UsageError: a model or tokenizer that cannot be written.
    """
    from gguf import GGUFWriter

    mapping = Mapping(load_config(work.chain.source, trust_remote_code=work.chain.trust_remote_code))
    writer = GGUFWriter(path, mapping.architecture.name)
    try:
        _write(writer, work, weights, mapping, kind, progress)
    finally:
        writer.close()


def _write(writer: Any, work: Work, weights: MergedWeights, mapping: Mapping, kind: str, progress: Progress) -> None:
    _write_head(writer, work, mapping, kind, weights)
    plan = {name: storage(shape, kind) for name, shape in weights.shapes.items()}
    for name, shape in weights.shapes.items():
        _announce(writer, mapping.name(name), shape, plan[name])
    factors = mapping.rope_factors()
    if factors:
        _announce(writer, ROPE_FACTORS, (len(factors),), _storage_type("F32"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for name, tensor in weights.read(progress):
        writer.write_tensor_data(as_array(mapping.arrange(name, tensor), plan[name]))
    if factors:
        import torch

        writer.write_tensor_data(as_array(torch.tensor(factors), _storage_type("F32")))


def storage(shape: tuple[int, ...], kind: str) -> GGMLQuantizationType:
    """Return as what a tensor is stored in a file of type `kind`."""
    from gguf import GGML_QUANT_SIZES

    wanted = _storage_type(kind.upper())
    if len(shape) < 2:
        return _storage_type("F32")
    return wanted if shape[-1] % GGML_QUANT_SIZES[wanted][0] == 0 else _storage_type("F16")


def as_array(tensor: Any, kind: GGMLQuantizationType) -> Any:
    """Return the tensor's bytes in type `kind`, as `GGUFWriter` takes them."""
    import numpy
    from gguf import GGMLQuantizationType, quantize

    values = tensor.float().contiguous().numpy()
    if kind == GGMLQuantizationType.F32:
        return values
    if kind == GGMLQuantizationType.F16:
        return values.astype(numpy.float16)
    return quantize(values, kind)


def contents(path: Path) -> dict[str, int]:
    """Return how many tensors of each type the file holds, the most frequent first."""
    from gguf import GGUFReader

    counts = Counter(tensor.tensor_type.name for tensor in GGUFReader(path).tensors)
    return dict(counts.most_common())


def _write_head(writer: Any, work: Work, mapping: Mapping, kind: str, weights: MergedWeights) -> None:
    writer.add_type("model")
    writer.add_name(f"{work.chain.source.label} {work.owner.id}")
    writer.add_description(f"LoRA Lab run {work.owner.id}")
    writer.add_file_type(FILE_TYPES[kind])
    writer.add_quantization_version(2)
    mapping.write_facts(writer)
    embedding = next(shape for name, shape in weights.shapes.items() if mapping.name(name) == "token_embd.weight")
    vocabulary = read_vocabulary(work.tokenizer, embedding[0])
    write_vocabulary(writer, vocabulary, work.tokenizer, work.prepared.template.text, work.stop_ids)


def _announce(writer: Any, name: str, shape: tuple[int, ...], kind: GGMLQuantizationType) -> None:
    import numpy
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quant_shape_to_byte_shape

    plain = {GGMLQuantizationType.F32: numpy.float32, GGMLQuantizationType.F16: numpy.float16}
    block, size = GGML_QUANT_SIZES[kind]
    count = 1
    for part in shape:
        count *= part
    if kind in plain:
        writer.add_tensor_info(name, shape, numpy.dtype(plain[kind]), count // block * size)
    else:
        stored = quant_shape_to_byte_shape(shape, kind)
        writer.add_tensor_info(name, stored, numpy.dtype(numpy.uint8), count // block * size, raw_dtype=kind)


def _storage_type(name: str) -> GGMLQuantizationType:
    from gguf import GGMLQuantizationType

    return GGMLQuantizationType[name]
