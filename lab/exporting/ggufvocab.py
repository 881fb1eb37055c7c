"""A fast tokenizer as GGUF holds it: tokens, types, merges or scores, special tokens, template. Called by `ggufwrite`.

GGUF names the pre-tokenizer of a byte-level BPE and says no more about it; it is told by the expression that splits
texts. Whether llama.cpp then cuts texts as the tokenizer does is checked on the run's own rows when the file is scored.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PreTrainedTokenizerBase

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
SPACE = "\u2581"
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
PRE_TOKENIZERS = {
    (("Split", _WORDS.replace("{digits}", "{1,3}")), ("ByteLevel", False)): "llama-bpe",
    (("Split", _WORDS.replace("{digits}", "")), ("ByteLevel", False)): "qwen2",
    (("Digits", True), ("ByteLevel", True)): "smollm",
    (("ByteLevel", True),): "gpt-2",
}
"""llama.cpp's names by what splits the texts, in order."""


@dataclass(frozen=True)
class Vocabulary:
    """What `write` adds to a file.

    Attributes:
        model: "gpt2" for byte-level BPE, "llama" for SentencePiece's.
        scores: of SentencePiece's tokens: what was merged first has the highest.
        space_prefix: a space is put before texts.
    """

    model: str
    pre: str
    tokens: list[str]
    types: list[int]
    merges: list[str]
    scores: list[float]
    space_prefix: bool


def read_vocabulary(tokenizer: PreTrainedTokenizerBase, size: int) -> Vocabulary:
    """Return the tokenizer's vocabulary, filled up to `size` rows of the embedding.

    Raises:
        UsageError: a kind of tokenizer that llama.cpp has no name for.
    """
    if not tokenizer.is_fast:
        _refuse("without a tokenizer.json")
    record = json.loads(tokenizer.backend_tokenizer.to_str())
    if record["model"]["type"] != "BPE":
        _refuse(f"of type {record['model']['type']}")
    tokens, types = _tokens(record, size)
    if record["model"].get("byte_fallback"):
        spaced = [t.replace(SPACE, " ") if kind == USER_DEFINED else t for t, kind in zip(tokens, types, strict=True)]
        return Vocabulary("llama", "default", spaced, types, [], _scores(record, tokens), _prefixed(record))
    merges = [" ".join(merge) if isinstance(merge, list) else merge for merge in record["model"]["merges"]]
    if not merges:
        _refuse("without merges")
    return Vocabulary("gpt2", _pre_tokenizer(record), tokens, types, merges, [], False)


def write_vocabulary(
    writer: Any, vocabulary: Vocabulary, tokenizer: PreTrainedTokenizerBase, template: str, stops: frozenset[int]
) -> None:
    """Add the vocabulary's keys to a `GGUFWriter`.

    Args:
        stops: tokens that end an answer; one beside the end of text becomes the end of turn.
    """
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    if vocabulary.model == "gpt2":
        writer.add_token_merges(vocabulary.merges)
    else:
        writer.add_token_scores(vocabulary.scores)
        writer.add_add_space_prefix(vocabulary.space_prefix)
    for name in ("bos", "eos", "unk", "pad"):
        token = getattr(tokenizer, f"{name}_token_id")
        if token is not None:
            getattr(writer, f"add_{name}_token_id")(token)
    turns = sorted(stops - {tokenizer.eos_token_id})
    if turns:
        writer.add_eot_token_id(turns[0])
    begins = tokenizer.bos_token_id is not None and tokenizer("a").input_ids[:1] == [tokenizer.bos_token_id]
    writer.add_add_bos_token(begins)
    writer.add_add_eos_token(False)
    writer.add_chat_template(template)


def _tokens(record: dict[str, Any], size: int) -> tuple[list[str], list[int]]:
    texts = {index: text for text, index in record["model"]["vocab"].items()}
    added = {token["id"]: token for token in record["added_tokens"]}
    texts |= {index: token["content"] for index, token in added.items()}
    if texts and max(texts) >= size:
        _refuse(f"with {max(texts) + 1} tokens for an embedding of {size} rows")
    unknown = record["model"].get("unk_token")
    tokens = [texts.get(index, f"[PAD{index}]") for index in range(size)]
    return tokens, [_type(index, texts, added, unknown) for index in range(size)]


def _type(index: int, texts: dict[int, str], added: dict[int, dict[str, Any]], unknown: str | None) -> int:
    if index not in texts:
        return UNUSED
    if texts[index] == unknown:
        return UNKNOWN
    if index in added:
        return CONTROL if added[index]["special"] else USER_DEFINED
    return BYTE if _BYTE.fullmatch(texts[index]) else NORMAL


def _scores(record: dict[str, Any], tokens: list[str]) -> list[float]:
    """Return SentencePiece's scores: minus the place of the first merge that makes a token; single pieces last."""
    merges = [merge if isinstance(merge, list) else merge.split(" ") for merge in record["model"]["merges"]]
    places: dict[str, int] = {}
    for place, merge in enumerate(merges):
        places.setdefault("".join(merge), place)
    return [-float(places.get(token, len(merges))) for token in tokens]


def _prefixed(record: dict[str, Any]) -> bool:
    """Tell whether the tokenizer puts a space before a text."""
    parts = [*_parts(record.get("normalizer"), "normalizers"), *_parts(record.get("pre_tokenizer"), "pretokenizers")]
    return any(
        (part["type"] == "Prepend" and part.get("prepend") == SPACE)
        or (part["type"] == "Metaspace" and part.get("prepend_scheme", "always") != "never")
        for part in parts
    )


def _pre_tokenizer(record: dict[str, Any]) -> str:
    shape = tuple(_told_by(part) for part in _parts(record.get("pre_tokenizer"), "pretokenizers"))
    if shape not in PRE_TOKENIZERS:
        _refuse(f"that splits texts by {', '.join(kind for kind, _ in shape) or 'nothing'} in a way it has no name for")
    return PRE_TOKENIZERS[shape]


def _told_by(part: dict[str, Any]) -> tuple[str, Any]:
    """Return what tells one part of a pre-tokenizer from others."""
    if part["type"] == "Split":
        pattern = part["pattern"]
        return ("Split", pattern.get("Regex", pattern.get("String")))
    if part["type"] == "ByteLevel":
        return ("ByteLevel", bool(part.get("use_regex", True)))
    return (part["type"], part.get("individual_digits"))


def _parts(record: dict[str, Any] | None, key: str) -> Iterator[dict[str, Any]]:
    if record is None:
        return
    yield from record[key] if record["type"] == "Sequence" else [record]


def _refuse(what: str) -> None:
    raise UsageError(
        f"The lab cannot write a GGUF file for a tokenizer {what}.",
        "Use `lab export merge` and llama.cpp's own converter.",
    )
