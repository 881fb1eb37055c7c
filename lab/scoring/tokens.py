"""How texts become tokens: Latin text exactly as rouge-score and SQuAD cut it, other scripts by rules of our own.

rouge-score keeps [a-z0-9] alone and SQuAD splits at spaces, so that a Chinese, Thai or Greek answer would score 0 or
all-or-nothing however good it is. Which rule a row gets depends on its references only, so every run of a table gets
the same one. Called by the other scorers.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache

Tokenizer = Callable[[str], list[str]]

# Letters that are not Latin: everything alphabetic outside the Latin, phonetic, compatibility and mathematical blocks.
_OTHER_LETTER = re.compile(
    r"[^\W\d_\u0000-\u036f\u1d00-\u1eff\u2070-\u218f\u2c60-\u2c7f\ua720-\ua7ff\uab30-\uab6f"
    r"\ufb00-\ufb06\uff21-\uff5a\U0001d400-\U0001d7ff]"
)
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")
_HAN = "\u2e80-\u2fdf\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# Written without spaces beside Han: Thai and Lao, Burmese, Khmer, kana, bopomofo.
_OTHER_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u312f\u31a0-\u31bf\u31f0-\u31ff\uff66-\uff9f"
_UNSPACED_LETTER = re.compile(rf"(?=[^\W\d_])[{_HAN}{_OTHER_UNSPACED}]")
_HAN_LETTER = re.compile(rf"(?=[^\W\d_])[{_HAN}]")

_ROUGE_TOKEN = re.compile(r"[a-z0-9]+")
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def rouge_tokens(text: str) -> list[str]:
    """Cut as rouge-score's default tokenizer does without stemming: runs of [a-z0-9] in lower case, no more."""
    return _ROUGE_TOKEN.findall(text.lower())


def squad_tokens(text: str) -> list[str]:
    """Cut as SQuAD's evaluation does: lower case, no ASCII punctuation, no articles, split at white space.

    Articles stay where there is nothing else: "A" is an answer to multiple choice.
    """
    words = text.lower().translate(_NO_PUNCTUATION)
    return _ARTICLES.sub(" ", words).split() or words.split()


def script_tokens(text: str) -> list[str]:
    """Cut text of any script: one token per character where words are not spaced, else per run of letters and digits.

    NFKC and lower case first; marks stay with their letter; punctuation and symbols only separate.
    """
    tokens: list[str] = []
    before = "gap"
    for character in unicodedata.normalize("NFKC", text).lower():
        kind = _kind(character)
        if kind == "invisible" or (kind == "mark" and before == "gap"):
            continue
        if kind == "mark" or (kind == "word" and before == "word"):
            tokens[-1] += character
            continue
        if kind != "gap":
            tokens.append(character)
        before = kind
    return tokens


def row_tokenizer(references: Sequence[str], latin: Tokenizer) -> Tokenizer:
    """Return `latin`, or `script_tokens` where most letters and digits of the references are of other scripts."""
    text = "".join(references)
    if text.isascii():
        return latin
    others = len(_OTHER_LETTER.findall(text))
    return script_tokens if 2 * others > len(_LETTER_OR_DIGIT.findall(text)) else latin


def bleu_tokenizer(references: Sequence[str]) -> str:
    """Return the name of sacrebleu's tokenizer for a whole set of references: it must be one for a corpus.

    "13a", or where most letters and digits belong to scripts without spaces: "zh" for Chinese, "char" for the others
    (sacrebleu's "zh" leaves runs of kana whole, its "ja-mecab" and "flores200" need downloads).
    """
    text = "".join(references)
    unspaced = 0 if text.isascii() else len(_UNSPACED_LETTER.findall(text))
    if 2 * unspaced <= len(_LETTER_OR_DIGIT.findall(text)):
        return "13a"
    return "zh" if len(_HAN_LETTER.findall(text)) >= 0.9 * unspaced else "char"


@lru_cache(maxsize=1 << 16)
def _kind(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cf":
        return "invisible"
    if category.startswith("M"):
        return "mark"
    if _UNSPACED_LETTER.match(character):
        return "unspaced"
    return "word" if character.isalnum() else "gap"
