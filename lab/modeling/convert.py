"""GGUF to a plain model folder: bf16 safetensors, configuration, tokenizer, chat template. Called by `bundled`.

The file is read with the `gguf` package and not through transformers' `gguf_file=`, for three reasons. Transformers
builds the tokenizer without SmolLM2's digit splitting (its runs of spaces before a digit come out in other tokens),
it keeps such a model packed and refuses to save it, and what it does changes from one minor version to the next. The
weights are those that transformers would give, bit for bit; a test holds the two against each other.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from gguf import ReaderTensor
    from tokenizers.pre_tokenizers import PreTokenizer
    from transformers import GenerationConfig, LlamaConfig, PreTrainedTokenizerFast

CONVERTER_VERSION = 1
"""Part of the cache folder's name: raise it whenever the same GGUF would come out as other files."""

# transformers' names of the special tokens, and llama.cpp's
_SPECIAL = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
CONTROL_TOKEN = 3  # llama.cpp's token type of special tokens

_OUTSIDE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_IN_BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def convert_gguf(source: Path, folder: Path) -> None:
    """Write the Llama model in the GGUF file `source` to the new `folder`, ready for plain `from_pretrained`.

    Raises:
        KeyError: a tensor, a fact or a pre-tokenizer in the file is of a kind this converter does not know; nothing is
            dropped silently.
    """
    from gguf import GGUFReader

    reader = GGUFReader(source)
    facts = {name: field.contents() for name, field in reader.fields.items()}
    folder.mkdir(mode=0o700)
    config = _config(facts, tied=all(tensor.name != "output.weight" for tensor in reader.tensors))
    _save_weights(reader.tensors, config, folder / "model.safetensors")
    config.save_pretrained(folder)
    _generation_config(facts).save_pretrained(folder)
    _tokenizer(facts).save_pretrained(folder)


def _config(facts: dict[str, Any], *, tied: bool) -> LlamaConfig:
    from transformers import LlamaConfig

    return LlamaConfig(
        architectures=["LlamaForCausalLM"],
        dtype="bfloat16",
        hidden_size=facts["llama.embedding_length"],
        intermediate_size=facts["llama.feed_forward_length"],
        num_hidden_layers=facts["llama.block_count"],
        num_attention_heads=facts["llama.attention.head_count"],
        num_key_value_heads=facts["llama.attention.head_count_kv"],
        head_dim=facts["llama.rope.dimension_count"],
        max_position_embeddings=facts["llama.context_length"],
        rms_norm_eps=_shortest(facts["llama.attention.layer_norm_rms_epsilon"]),
        rope_parameters={"rope_type": "default", "rope_theta": _shortest(facts["llama.rope.freq_base"])},
        vocab_size=facts["llama.vocab_size"],
        tie_word_embeddings=tied,
        **_token_ids(facts),
    )


def _token_ids(facts: dict[str, Any]) -> dict[str, int]:
    return {f"{key}_token_id": facts[f"tokenizer.ggml.{_SPECIAL[key]}_token_id"] for key in ("bos", "eos", "pad")}


def _shortest(value: float) -> float:
    """Undo the detour through float32 that a GGUF's numbers take: 9.999999747378752e-06 was written as 1e-05."""
    import numpy

    return float(str(numpy.float32(value)))


def _generation_config(facts: dict[str, Any]) -> GenerationConfig:
    from transformers import GenerationConfig

    return GenerationConfig(**_token_ids(facts))


def _save_weights(tensors: Iterable[ReaderTensor], config: LlamaConfig, target: Path) -> None:
    """Dequantise in fp32, round to bf16 once and write; a tied head is the embedding and has no tensor of its own."""
    import torch
    from gguf import dequantize

    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    weights: dict[str, torch.Tensor] = {}
    for tensor in tensors:
        weight = torch.tensor(dequantize(tensor.data, tensor.tensor_type))
        part = tensor.name.split(".")[-2]
        if part in heads:
            weight = _unpermute(weight, heads[part])
        weights[_hub_name(tensor.name)] = weight.to(torch.bfloat16)
    _write(weights, target)


def _write(weights: dict[str, torch.Tensor], target: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(weights, target, metadata={"format": "pt"})
    except SafetensorError as error:  # a full disk comes as text: "... No space left on device (os error 28)"
        if number := re.search(r"\(os error (\d+)\)", str(error)):
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(target)) from error
        raise


def _hub_name(name: str) -> str:
    stem, _, kind = name.rpartition(".")
    if stem.startswith("blk."):
        _, layer, part = stem.split(".")
        return f"model.layers.{layer}.{_IN_BLOCK[part]}.{kind}"
    return f"{_OUTSIDE[stem]}.{kind}"


def _unpermute(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Return a q or k projection, shape (heads * head_dim, hidden), in transformers' order of rotary pairs.

    llama.cpp stores each head's rows interleaved (pair 0, pair 1 ...), transformers the first halves of all pairs and
    then the second: llama.cpp's `LlamaModel.permute`, backwards.
    """
    half = weight.shape[0] // heads // 2
    return weight.view(heads, half, 2, -1).transpose(1, 2).reshape(weight.shape)


def _smollm_pre_tokenizer() -> PreTokenizer:
    from tokenizers import pre_tokenizers

    return pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )


# llama.cpp names the pre-tokenizer of a byte-level BPE in `tokenizer.ggml.pre`, and the file says no more about it.
PRE_TOKENIZERS: dict[str, Callable[[], PreTokenizer]] = {"smollm": _smollm_pre_tokenizer}


def _tokenizer(facts: dict[str, Any]) -> PreTrainedTokenizerFast:
    from tokenizers import AddedToken, Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    tokens: list[str] = facts["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in facts["tokenizer.ggml.merges"]]
    backend = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=merges))
    backend.pre_tokenizer = PRE_TOKENIZERS[facts["tokenizer.ggml.pre"]]()
    backend.decoder = decoders.ByteLevel()
    kinds = zip(tokens, facts["tokenizer.ggml.token_type"], strict=True)
    backend.add_special_tokens(
        [AddedToken(token, normalized=False, special=True) for token, kind in kinds if kind == CONTROL_TOKEN]
    )
    special = {f"{key}_token": tokens[facts[f"tokenizer.ggml.{name}_token_id"]] for key, name in _SPECIAL.items()}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        chat_template=facts["tokenizer.chat_template"],
        model_max_length=facts["llama.context_length"],
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
        **special,
    )
