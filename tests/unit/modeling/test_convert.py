"""The converter, on a tiny GGUF, held against transformers' own reading of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig, GgufConfig

from lab.modeling.convert import convert_gguf
from tests.fixtures import tiny_gguf


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tiny")
    source = tiny_gguf.write_gguf(folder / "tiny.gguf")
    convert_gguf(source, folder / "model")
    return source, folder / "model"


@pytest.mark.parametrize("tied", [True, False])
def test_the_weights_are_transformers_own_bit_for_bit(tmp_path: Path, tied: bool) -> None:
    source = tiny_gguf.write_gguf(tmp_path / "tiny.gguf", tied=tied)
    convert_gguf(source, tmp_path / "model")
    theirs = AutoModelForCausalLM.from_pretrained(
        tmp_path, gguf_file=source.name, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
    )
    ours = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert ours.dtype == torch.bfloat16
    expected = theirs.state_dict()
    assert ours.state_dict().keys() == expected.keys()
    for name, weight in ours.state_dict().items():
        assert torch.equal(weight, expected[name]), name
    head, embedding = ours.lm_head.weight, ours.model.embed_tokens.weight
    assert (head.data_ptr() == embedding.data_ptr()) is tied
    assert ("lm_head.weight" in load_file(tmp_path / "model" / "model.safetensors")) is not tied


def test_the_configuration_says_what_the_file_says(converted: tuple[Path, Path]) -> None:
    config = AutoConfig.from_pretrained(converted[1])
    assert config.rms_norm_eps == 1e-5  # and not 9.999999747378752e-06, which float32 makes of it
    assert config.rope_parameters == {"rope_type": "default", "rope_theta": 100000.0}
    assert (config.max_position_embeddings, config.hidden_size, config.num_key_value_heads) == (256, 64, 2)
    assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (1, 2, 2)
    assert config.tie_word_embeddings is True
    assert config.dtype == torch.bfloat16
    assert json.loads((converted[1] / "config.json").read_text())["architectures"] == ["LlamaForCausalLM"]
    generation = GenerationConfig.from_pretrained(converted[1])
    assert (generation.bos_token_id, generation.eos_token_id, generation.pad_token_id) == (1, 2, 2)


def test_the_tokenizer_splits_digits_off_before_it_splits_words(converted: tuple[Path, Path]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(converted[1])
    assert tokenizer.tokenize("the  12") == ["t", "he", "ĠĠ", "1", "2"]  # not "Ġ", "Ġ", "1", "2"
    assert tokenizer.tokenize("in<|im_end|>the") == ["in", "<|im_end|>", "t", "he"]
    assert tokenizer.decode(tokenizer("naïve  12\n½ 日本")["input_ids"]) == "naïve  12\n½ 日本"
    assert set(tokenizer("in")) == {"input_ids", "attention_mask"}


def test_the_tokenizer_keeps_template_and_special_tokens(converted: tuple[Path, Path]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(converted[1])
    assert tokenizer.chat_template == tiny_gguf.CHAT_TEMPLATE
    special = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id)
    assert special == (1, 2, 2, 0)
    assert tokenizer.model_max_length == 256
    ids = tokenizer("in<file_sep><|im_end|>")["input_ids"]
    assert tokenizer.decode(ids) == "in<file_sep><|im_end|>"
    assert tokenizer.decode(ids, skip_special_tokens=True) == "in"


def test_what_the_converter_does_not_know_is_refused(tmp_path: Path) -> None:
    source = tiny_gguf.write_gguf(tmp_path / "tiny.gguf", pre="tekken")
    with pytest.raises(KeyError, match="tekken"):
        convert_gguf(source, tmp_path / "model")
