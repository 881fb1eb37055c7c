"""What was meant by a key that does not exist, and how a list is written. Called where a profile is refused.

Most such keys are right but for their section (`rank`), or come from another trainer (`lora_alpha`); only the rest are
misspelt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from lab import jsonio
from lab.profile.schema import Profile
from lab.text import did_you_mean

ALIASES = {
    "model.name": "model model_name model_name_or_path base_model model_id pretrained_model_name_or_path",
    "model.dtype": "torch_dtype bf16 fp16 precision",
    "model.quantization": "load_in_4bit load_in_8bit bits quant quantize",
    "model.double_quant": "bnb_4bit_use_double_quant use_double_quant",
    "model.attention": "attn_implementation flash_attn flash_attention",
    "method.kind": "method peft_type finetuning_type adapter_type",
    "method.rank": "r lora_r lora_rank",
    "method.alpha": "lora_alpha",
    "method.dropout": "lora_dropout",
    "method.target_modules": "lora_target lora_target_modules modules targets",
    "method.variant": "use_dora use_rslora init_lora_weights",
    "data.source.0.name": "data dataset datasets dataset_name data_path train_file",
    "data.source.0.validation": "val_set_size val_size eval_rows",
    "data.max_length": "max_seq_length max_seq_len seq_length sequence_len cutoff_len model_max_length",
    "data.template": "chat_template prompt_template",
    "train.epochs": "num_train_epochs num_epochs n_epochs epoch",
    "train.max_steps": "steps num_steps max_train_steps iters",
    "train.examples_per_step": "batch_size batch per_device_train_batch_size train_batch_size global_batch_size "
    "effective_batch_size gradient_accumulation_steps grad_accum",
    "train.tokens_per_step": "packing sample_packing",
    "train.micro_batch": "micro_batch_size per_device_batch_size",
    "train.learning_rate": "lr peak_lr max_lr",
    "train.scheduler": "lr_scheduler lr_scheduler_type schedule",
    "train.warmup_ratio": "warmup warmup_steps",
    "train.weight_decay": "wd",
    "train.max_grad_norm": "grad_clip gradient_clipping clip_grad_norm",
    "train.optimizer": "optim",
    "train.checkpointing": "gradient_checkpointing grad_checkpoint use_gradient_checkpointing",
    "train.save_every": "save_steps",
    "train.eval_every": "eval_steps",
    "train.early_stopping_patience": "patience early_stopping",
    "train.seed": "random_seed manual_seed",
    "data.seed": "data_seed",
    "launch.slurm.time": "walltime time_limit",
    "launch.slurm.memory": "mem",
    "launch.slurm.cpus": "cpus_per_task",
    "evaluate.batch_size": "per_device_eval_batch_size eval_batch_size",
    "evaluate.max_new_tokens": "max_tokens num_predict",
}
"""The lab's key -> what Transformers, PEFT, TRL, Axolotl, LLaMA-Factory or people call it."""
LONGEST_EXAMPLE = 80
"""Characters of a value that is still shown as the list it could be; a message stays two sentences."""


def key_hint(path: str, value: Any, siblings: Sequence[str] = ()) -> str:
    """Return ` Did you mean ...?` for the key at `path` that does not exist, or an empty string.

    Args:
        value: what it was set to; a plain value is never meant for a whole section.
        siblings: the keys that exist beside it, a misspelling of which is named without its section.
    """
    section, _, last = path.lower().replace("-", "_").rpartition(".")
    if found := _same_name(last, section.partition(".")[0]):
        return f" Did you mean {_either(found)}?"
    if not isinstance(value, dict | list):
        siblings = [name for name in siblings if section or name not in Profile.model_fields or name == "description"]
    if hint := did_you_mean(last, siblings):
        return hint
    close = get_close_matches(last, [_last(key) for key in leaf_keys()], n=1, cutoff=0.75)
    return f" Did you mean {_either(_same_name(close[0], ''))}?" if close else ""


def innermost(path: str, value: Any) -> tuple[str, Any]:
    """Follow tables of one key down: a flag `lora.r=8` makes the table `lora`, and means `lora.r`."""
    while isinstance(value, dict) and len(value) == 1:
        ((key, value),) = value.items()
        path = f"{path}.{key}"
    return path, value


def list_example(annotation: Any, value: Any) -> str:
    """Return `value`, one text that was given to a key of type `annotation`, as the list it wants; "" where it wants
    none."""
    item = next((get_args(kind)[0] for kind in (annotation, *get_args(annotation)) if get_origin(kind) is list), None)
    if item is None or not isinstance(value, str) or len(value) > LONGEST_EXAMPLE:
        return ""
    section = isinstance(item, type) and issubclass(item, BaseModel)
    words = re.findall(r"[\w./:-][\w./: -]*" if section else r"[\w./:-]+", value)  # names of files may hold spaces
    quoted = (f"{{name = {jsonio.dumps(word)}}}" if section else jsonio.dumps(word) for word in words)
    return f"[{', '.join(quoted)}]" if words else ""


@cache
def leaf_keys() -> tuple[str, ...]:
    """Return the path of every value that a profile holds, the first item standing for all of a list of tables."""
    return tuple(_leaves(Profile, ""))


def _leaves(model: type[BaseModel], path: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        kinds = [field.annotation, *get_args(field.annotation)]
        section = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        number = ".0" if get_origin(field.annotation) is list else ""
        if section is None:
            yield f"{path}{name}"
        else:
            yield from _leaves(section, f"{path}{name}{number}.")


def _same_name(last: str, section: str) -> list[str]:
    """Return the keys that end in `last` or have it as an alias: of that section if it has some, outer ones first."""
    found = [key for key, names in ALIASES.items() if last in names.split()]
    ending = [key for key in leaf_keys() if _last(key) == last]
    own = [key for key in ending if key.partition(".")[0] == section] or ending
    depth = min((key.count(".") for key in own), default=0)
    return list(dict.fromkeys([*found, *(key for key in own if key.count(".") == depth)]))


def _last(key: str) -> str:
    return key.rpartition(".")[2]


def _either(keys: Sequence[str]) -> str:
    *most, last = (f"'{key}'" for key in keys)
    return f"{', '.join(most)} or {last}" if most else last
