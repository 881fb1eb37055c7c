"""What stands beside the weights: configuration, tokenizer with the run's template, stop tokens, the export's facts.

Called by `merge` and `gguf`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab import atomic
from lab.exporting.work import Work
from lab.modeling.load import load_config, torch_dtype

if TYPE_CHECKING:
    from transformers import GenerationConfig, PreTrainedTokenizerBase

FACTS = "export.json"
SCHEMA = 1


def write_configuration(work: Work, folder: Path, dtype: str) -> None:
    """Write `config.json` and `generation_config.json`, whose end tokens are those that end the run's answers."""
    config = load_config(work.chain.source, trust_remote_code=work.chain.trust_remote_code)
    config.dtype = torch_dtype(dtype)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config.save_pretrained(folder)
    generation = generation_config(work)
    generation.eos_token_id = end_tokens(work, generation)
    generation.save_pretrained(folder)


def generation_config(work: Work) -> GenerationConfig:
    """Return the base model's own settings; where it has none, those that its configuration gives."""
    from transformers import GenerationConfig

    try:
        return GenerationConfig.from_pretrained(work.folder)
    except OSError:
        config = load_config(work.chain.source, trust_remote_code=work.chain.trust_remote_code)
        return GenerationConfig.from_model_config(config)


def end_tokens(work: Work, generation: GenerationConfig) -> list[int]:
    configured = generation.eos_token_id
    several = configured if isinstance(configured, list) else [configured]
    return sorted(work.stop_ids | {token for token in several if token is not None})


def save_tokenizer(work: Work, folder: Path) -> PreTrainedTokenizerBase:
    """Write the tokenizer with the chat template that the run was trained with; return it."""
    tokenizer = work.tokenizer
    tokenizer.chat_template = work.prepared.template.text
    tokenizer.save_pretrained(folder)
    return tokenizer


def write_facts(work: Work, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """Write `export.json` beside the weights: what this is, how it was checked, the size and hash of each file."""
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)}
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name not in ("lock", FACTS)
    }
    record = {
        "schema": SCHEMA,
        "run": work.owner.id,
        "base_model": work.chain.source.label,
        "base": work.base,
        "quantization": work.chain.quantization,
        "stages": [stage.run for stage in work.chain.stages],
        **facts,
        "files": files,
    }
    atomic.write_json(folder / FACTS, record)
    (folder / FACTS).chmod(0o644)
    return record


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
