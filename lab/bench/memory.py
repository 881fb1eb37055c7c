"""Peak memory of a training step, estimated and measured: `python -m lab.bench.memory --method qlora --rows 16`.

True shapes, random weights, random rows: nothing is downloaded, and a case takes seconds on a GPU. The trial is the
one that every run makes before its first step. `--all` goes through both shapes, LoRA and QLoRA, 16 x 512 and 8 x 2048
tokens, every token supervised, and fails where an estimate is further off than 15 %.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lab.data.masks import IGNORED, Encoded
from lab.data.prepare import Prepared
from lab.modeling.cpu import limit_cpu
from lab.profile.load import resolve
from lab.profile.schema import Profile
from lab.text import byte_size

TOLERANCE = 0.15
SHAPES: dict[str, dict[str, Any]] = {
    "llama-3.2-1b": {
        "model_type": "llama",
        "vocab_size": 128256,
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "max_position_embeddings": 131072,
        "tie_word_embeddings": True,
    },
    "gemma-3-1b": {
        "model_type": "gemma3_text",
        "vocab_size": 262144,
        "hidden_size": 1152,
        "intermediate_size": 6912,
        "num_hidden_layers": 26,
        "num_attention_heads": 4,
        "num_key_value_heads": 1,
        "head_dim": 256,
        "sliding_window": 512,
        "max_position_embeddings": 32768,
        "tie_word_embeddings": True,
    },
    "tiny": {
        "model_type": "llama",
        "vocab_size": 512,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
    },
}


@dataclass(frozen=True)
class Case:
    shape: str
    method: str
    rows: int
    length: int
    supervised: float = 1.0
    sets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """Peak bytes in the device's own measure; `choices` are those of the recipe that memory depends on."""

    case: Case
    device: str
    estimated: int | None
    measured: int | None
    choices: dict[str, Any]

    @property
    def off(self) -> float | None:
        """How far the estimate is from what was measured, as a share of it."""
        return self.estimated / self.measured - 1 if self.estimated and self.measured else None

    @property
    def line(self) -> str:
        case, off = self.case, self.off
        share = "-" if off is None else f"{off:+.1%}"
        sizes = f"estimated {byte_size(self.estimated):>9}  measured {byte_size(self.measured):>9}  {share:>7}"
        return f"{case.shape:<13} {case.method:<6} {case.rows:>2} x {case.length:<5} {sizes}"


CASES = [
    Case(shape, method, rows, length)
    for shape in ("llama-3.2-1b", "gemma-3-1b")
    for method in ("lora", "qlora")
    for rows, length in ((16, 512), (8, 2048))
]


def find(case: Case) -> Finding:
    """Build the model of `case` on the first GPU, else on the CPU, and try one step."""
    import torch

    from lab.modeling.fast.choose import FAST
    from lab.modeling.hardware import detect
    from lab.training.memory import let_go
    from lab.training.probe import expected_bytes, measure
    from lab.training.recipe import decide
    from lab.training.settings import trainer_settings
    from lab.training.trainer import LabTrainer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    profile, prepared = profile_of(case), rows_of(case)
    hardware, config = detect(device, profile.train.threads), config_of(case.shape)
    lengths = [len(row.input_ids) for row in prepared.train]
    recipe = decide(profile, hardware, lengths, sharable=False, config=config)
    model = build_model(config, profile, recipe, device)
    with tempfile.TemporaryDirectory(prefix="lab-memory-") as folder:
        settings = trainer_settings(profile, recipe, folder, prepared.train, validates=True)
        trainer = LabTrainer(model, settings, recipe, tokenizer(), prepared.train, prepared.validation, [])
    estimated = expected_bytes(trainer, profile, recipe, prepared)
    let_go(device)
    measured = measure(trainer, device)
    named = ("dtype", "attention", "batching", "micro_tokens", "checkpointing", "kernels", *FAST)
    choices = {name: getattr(recipe, name).value for name in named}
    del trainer, model
    let_go(device)
    return Finding(case, hardware.label, estimated, measured, choices)


def profile_of(case: Case) -> Profile:
    tree = {
        "model": {"name": case.shape},
        "method": {"kind": case.method, "rank": 16},
        "data": {"source": [{"name": "random", "validation": 1}]},
        "train": {"examples_per_step": case.rows, "max_steps": 1, "eval_every": 1},
    }
    return resolve("memory", tree, {}, case.sets).profile


def rows_of(case: Case) -> Prepared:
    """Return random rows; the last `case.supervised` of each is supervised, its first token never."""
    draw, size = random.Random(0), SHAPES[case.shape]["vocab_size"]
    rows = []
    for number in range(case.rows):
        ids = [draw.randrange(3, size) for _ in range(case.length)]
        silent = max(1, round(case.length * (1 - case.supervised)))
        rows.append(Encoded(str(number), ids, [IGNORED] * silent + ids[silent:]))
    template: Any = None
    return Prepared(rows, rows, [], {}, template, [])


def config_of(shape: str) -> Any:
    from transformers import AutoConfig

    values = dict(SHAPES[shape])
    return AutoConfig.for_model(values.pop("model_type"), **values)


def build_model(config: Any, profile: Profile, recipe: Any, device: str) -> Any:
    """Return a model with random weights and a fresh adapter, its linears packed where the recipe says so."""
    import torch
    from transformers import AutoModelForCausalLM

    from lab.modeling.load import torch_dtype
    from lab.modeling.methods import METHODS

    dtype = torch_dtype(recipe.dtype.value)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=recipe.load_attention)
    model.requires_grad_(False)
    if recipe.quantization.value == "nf4":
        pack(model, dtype, double=profile.model.double_quant)
    return METHODS[profile.method.kind](model.eval(), profile.method, profile.train.seed)


def pack(model: Any, dtype: Any, *, double: bool) -> None:
    """Quantise the linears of all layers to NF4 in place, as loading with bitsandbytes does; the head stays."""
    from bitsandbytes.nn import Linear4bit, Params4bit
    from torch import nn

    for name, module in list(model.get_decoder().named_modules()):
        if not isinstance(module, nn.Linear):
            continue
        options = {"compute_dtype": dtype, "compress_statistics": double, "quant_type": "nf4", "device": "meta"}
        packed = Linear4bit(module.in_features, module.out_features, module.bias is not None, **options)
        weight = Params4bit(module.weight.data, False, quant_type="nf4", compress_statistics=double, module=packed)
        packed.weight, packed.bias = weight.to(module.weight.device), module.bias
        packed.support_avx512bf16_for_cpu = False
        parent, _, leaf = name.rpartition(".")
        setattr(model.get_decoder().get_submodule(parent), leaf, packed)
    model.is_loaded_in_4bit = True


def tokenizer() -> Any:
    """Return the least that TRL takes for one: it only asks for the special tokens."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = {"<pad>": 0, "<bos>": 1, "<eos>": 2}
    backend = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", unk_token="<pad>"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="lab.bench.memory", description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="llama-3.2-1b")
    parser.add_argument("--method", choices=("lora", "qlora"), default="lora")
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--supervised", type=float, default=1.0, help="share of each row")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="sets")
    parser.add_argument("--all", action="store_true", help="both shapes and methods, 16 x 512 and 8 x 2048")
    options = parser.parse_args(arguments)
    limit_cpu()
    sets = tuple(options.sets)
    one = Case(options.shape, options.method, options.rows, options.length, options.supervised, sets)
    cases = [Case(**{**asdict(case), "sets": sets}) for case in CASES] if options.all else [one]
    worst = 0.0
    for case in cases:
        finding = find(case)
        worst = max(worst, abs(finding.off or 0.0))
        print(finding.line, f"on {finding.device}  {finding.choices}", flush=True)  # noqa: T201  this is its output
    return 1 if options.all and worst > TOLERANCE else 0


if __name__ == "__main__":
    sys.exit(main())
