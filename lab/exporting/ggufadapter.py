"""A LoRA adapter alone as GGUF, to load beside any file of its base: `llama-cli -m base.gguf --lora adapter.gguf`.

Called by `gguf`. llama.cpp multiplies by alpha / rank, so what another scaling would give is put into B.
"""

from __future__ import annotations

from pathlib import Path

from lab.errors import UsageError
from lab.exporting.chain import Chain
from lab.exporting.deltas import Adapter
from lab.exporting.ggufmodel import Mapping, interleave
from lab.modeling.load import load_config


def check_adapter(chain: Chain) -> Adapter:
    """Return the run's one plain adapter. Raises UsageError where it has another shape."""
    if len(chain.stages) != 1 or chain.stages[0].kind != "adapter":
        raise UsageError(
            f"--type adapter needs a run that trained one adapter; this one has {_shape(chain)}.",
            "Export whole files instead, for example --type f16.",
        )
    adapter = Adapter(chain.stages[0].folder)
    if not adapter.plain:
        raise UsageError(
            "--type adapter cannot hold a DoRA adapter: llama.cpp knows plain LoRA alone.",
            "Export whole files instead, for example --type f16.",
        )
    return adapter


def write_adapter(chain: Chain, path: Path, name: str) -> None:
    """Write the adapter to `path`, in fp32. Raises UsageError where the architecture is not known."""
    from gguf import GGUFWriter, Keys

    adapter = check_adapter(chain)
    mapping = Mapping(load_config(chain.source, trust_remote_code=chain.trust_remote_code))
    writer = GGUFWriter(path, mapping.architecture.name)
    writer.add_type("adapter")
    writer.add_name(name)
    writer.add_string(Keys.Adapter.TYPE, "lora")
    modules = sorted(adapter.modules)
    alpha = adapter.scale(modules[0]) * adapter.matrices(modules[0])[0].shape[0]
    writer.add_float32(Keys.Adapter.LORA_ALPHA, alpha)
    for module in modules:
        first, second = adapter.matrices(module)
        hub = f"{module}.weight"
        heads = mapping.heads(hub)
        second = (interleave(second, heads) if heads else second) * (adapter.scale(module) * first.shape[0] / alpha)
        writer.add_tensor(f"{mapping.name(hub)}.lora_a", first.contiguous().numpy())
        writer.add_tensor(f"{mapping.name(hub)}.lora_b", second.contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _shape(chain: Chain) -> str:
    if not chain.stages:
        return "none"
    return f"{len(chain.stages)} stages" if len(chain.stages) > 1 else "trained weights of the base itself"
