"""What the throughput benchmark trains: true shapes with random weights, rows of real lengths, the two sizes of a step.

Throughput does not ask what the weights or the tokens mean, only how many there are.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from lab.data.masks import Encoded
from lab.errors import UsageError
from lab.profile.load import resolve
from lab.profile.schema import Profile
from lab.text import did_you_mean

LONGEST = 512
"""Rows are cut to this many tokens, as the studies cut theirs."""
RANK, ALPHA = 16, 32
WORDS = 40_000
"""Token ids are drawn below this, or below the vocabulary's size."""

LLAMA = {"model_type": "llama", "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
SHAPES: dict[str, dict[str, Any]] = {
    "llama-3.2-1b": {
        **LLAMA,
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "vocab_size": 128256,
        "tie_word_embeddings": True,
        "max_position_embeddings": 131072,
    },
    "llama-3-8b": {
        **LLAMA,
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 128256,
        "tie_word_embeddings": False,
        "max_position_embeddings": 8192,
    },
    "gemma-3-1b": {
        "model_type": "gemma3_text",
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": 2,
        "hidden_size": 1152,
        "intermediate_size": 6912,
        "num_hidden_layers": 26,
        "num_attention_heads": 4,
        "num_key_value_heads": 1,
        "head_dim": 256,
        "query_pre_attn_scalar": 256,
        "sliding_window": 512,
        "vocab_size": 262144,
        "tie_word_embeddings": True,
        "max_position_embeddings": 32768,
    },
    "smollm2-135m": {
        **LLAMA,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "head_dim": 64,
        "vocab_size": 49152,
        "tie_word_embeddings": True,
        "max_position_embeddings": 8192,
    },
    "tiny": {
        **LLAMA,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "vocab_size": 512,
        "tie_word_embeddings": True,
        "max_position_embeddings": 1024,
    },
}


@dataclass(frozen=True)
class Workload:
    """The size of an optimiser step, and how many are run before and while the clock runs.

    Attributes:
        fixed: tokens of every row; 0 takes Alpaca's lengths.
    """

    train: dict[str, int]
    warm: int
    timed: int
    fixed: int = 0


WORKLOADS = {
    "w16": Workload({"examples_per_step": 16}, 40, 40),
    "w16k": Workload({"tokens_per_step": 16384}, 8, 20),
    "w16x512": Workload({"examples_per_step": 16}, 8, 20, 512),
}


def pick(kind: str, name: str, known: dict[str, Any]) -> Any:
    """Return what `name` stands for. Raises UsageError for an unknown one."""
    if name not in known:
        raise UsageError(f"There is no {kind} '{name}'.{did_you_mean(name, known)}", f"Use one of {', '.join(known)}.")
    return known[name]


def row_lengths(workload: Workload, longest: int = LONGEST) -> list[int]:
    """Return the tokens of each row: real ones, in an order drawn once and for all."""
    if workload.fixed:
        return [workload.fixed] * 1000
    counts = json.loads((files("lab.bench") / "alpaca_lengths.json").read_text())["rows_by_length"]
    lengths = [min(int(length), longest) for length, count in counts.items() for _ in range(count)]
    random.Random(0).shuffle(lengths)
    return lengths


def random_rows(lengths: list[int], vocabulary: int) -> list[Encoded]:
    """Return rows of random tokens, all of them supervised."""
    draw = random.Random(1)
    rows = []
    for index, length in enumerate(lengths):
        ids = draw.choices(range(4, min(WORDS, vocabulary)), k=length)
        rows.append(Encoded(str(index), ids, list(ids)))
    return rows


def bench_profile(folder: Path, method: str, workload: Workload, sets: list[str]) -> Profile:
    """Return the profile of a benchmark run on the model in `folder`."""
    steps = workload.warm + workload.timed
    tree: dict[str, Any] = {
        "model": {"name": str(folder)},
        "data": {"source": [{"name": "bundled:helpdesk"}]},  # never read: rows are random
        "method": {"kind": method, "rank": RANK, "alpha": ALPHA},
        "train": {**workload.train, "max_steps": steps, "save_every": 0, "eval_every": 0, "seed": 0},
    }
    return resolve("throughput", tree, {}, sets).profile


def save_random(name: str, folder: Path, device: str) -> Path:
    """Write a random model of shape `name`, in bf16 on a GPU and fp32 elsewhere, to `folder` and return it."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    values = dict(pick("shape", name, SHAPES))
    config = AutoConfig.for_model(values.pop("model_type"), **values)
    torch.manual_seed(0)
    with torch.device(device):
        dtype = torch.bfloat16 if device == "cuda" else torch.float32
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    model.save_pretrained(folder)
    _save_tokenizer(folder)
    return folder


def _save_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {"<pad>": 0, "<eos>": 1, "<bos>": 2, "<unk>": 3}
    backend = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=backend, **special).save_pretrained(folder)
