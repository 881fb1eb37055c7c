"""Tiny byte-level tokenizers, made here in milliseconds, that behave as the real ones do where it matters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lab.data.rows import Message, Row

CORPUS = [
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.",
    "### Instruction:\n### Response:\n\n\n\nsystem\nuser\nassistant\nYou are a helpful AI assistant named SmolLM",
    "What is the capital of France? Paris. And of Italy? Rome, the eternal city. Good bye, good night!",
] * 3

SMOLLM2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

LLAMA3_WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"

MakeTokenizer = Callable[..., Any]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is prepared here apart from what a user prepared, and tests apart from each other."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def make_tokenizer() -> MakeTokenizer:
    """A factory: special tokens, which of them is EOS and BOS, the chat template, whether texts begin with BOS, whether
    words are cut as Llama 3 does (line breaks stay together) or as GPT-2 does."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    def make(
        *special: str,
        eos: str | None,
        bos: str | None = None,
        template: str | None = None,
        adds_bos: bool = False,
        llama3: bool = False,
    ):
        core = Tokenizer(models.BPE())
        core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        if llama3:
            split = pre_tokenizers.Split(Regex(LLAMA3_WORDS), "isolated")
            byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
            core.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
        core.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=500,
            special_tokens=list(special),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        core.train_from_iterator(CORPUS, trainer)
        if adds_bos:
            core.post_processor = processors.TemplateProcessing(
                single=f"{bos} $A", special_tokens=[(bos, core.token_to_id(bos))]
            )
        return PreTrainedTokenizerFast(
            tokenizer_object=core,
            eos_token=eos,
            bos_token=bos,
            additional_special_tokens=[token for token in special if token not in (eos, bos)],
            chat_template=template,
        )

    return make


@pytest.fixture(scope="session")
def chatml(make_tokenizer: MakeTokenizer) -> Any:
    """SmolLM2's special tokens and its chat template, which adds a system message of its own."""
    return make_tokenizer(
        "<|endoftext|>", "<|im_start|>", "<|im_end|>", eos="<|im_end|>", bos="<|im_start|>", template=SMOLLM2
    )


@pytest.fixture(scope="session")
def base(make_tokenizer: MakeTokenizer) -> Any:
    """A base model's tokenizer: no chat template."""
    return make_tokenizer("</s>", eos="</s>")


@pytest.fixture
def row() -> Callable[..., Row]:
    """A factory of rows from ("user", "text") pairs or bare texts by user and assistant in turn."""

    def make(*turns: str | tuple[str, str], id: str = "r-1", group: str = "", source: str = "r") -> Row:  # noqa: A002
        named = [
            turn if isinstance(turn, tuple) else (("user", "assistant")[i % 2], turn) for i, turn in enumerate(turns)
        ]
        return Row(id, tuple(Message(role, content) for role, content in named), group, source)

    return make
