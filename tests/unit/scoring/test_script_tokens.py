from __future__ import annotations

import random
import string

import pytest
from rouge_score.tokenize import tokenize as rouge_score_tokenize

from lab.scoring.tokens import bleu_tokenizer, rouge_tokens, row_tokenizer, script_tokens, squad_tokens

TEXTS = [
    "",
    " ",
    "...",
    "The quick, brown fox!",
    "don't re-enter snake_case CamelCase 3.14 1,000",
    "café naïve Straße İstanbul ﬁn",
    "line one\nline two\r\n\ttabbed\u00a0nbsp\u2028sep",
    "北京 mixed with latin 42",
    "①②③ ½ ² K (kelvin)",
]


@pytest.mark.parametrize("text", TEXTS)
def test_rouge_tokens_are_those_of_rouge_score(text: str) -> None:
    assert rouge_tokens(text) == rouge_score_tokenize(text, None)


def test_rouge_tokens_are_those_of_rouge_score_on_random_characters() -> None:
    generator = random.Random(0)
    alphabet = string.printable + "äßéİΣ中あ\u0301\u200d—’"
    for _ in range(300):
        text = "".join(generator.choices(alphabet, k=40))
        assert rouge_tokens(text) == rouge_score_tokenize(text, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Eiffel Tower!", ["eiffel", "tower"]),
        ("A. an, the", ["a", "an", "the"]),  # nothing else is there
        ("+?", []),
        ("  two \n words ", ["two", "words"]),
        ("don't", ["dont"]),
        ("an apple-pie, another", ["applepie", "another"]),
        ("theatre", ["theatre"]),
        ("the-end", ["theend"]),  # punctuation goes first, so the article is no word of its own any more
        ("“quoted”", ["“quoted”"]),  # SQuAD drops ASCII punctuation only
        ("1,000.50", ["100050"]),
    ],
)
def test_squad_tokens(text: str, expected: list[str]) -> None:
    assert squad_tokens(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("北京，中国。", ["北", "京", "中", "国"]),
        ("我有3个iPhone手机", ["我", "有", "3", "个", "iphone", "手", "机"]),
        ("ひらがな", ["ひ", "ら", "が", "な"]),
        ("か\u3099", ["が"]),
        ("ｶﾅ ＡＢＣ", ["カ", "ナ", "abc"]),
        ("Привет, МИР!", ["привет", "мир"]),
        ("α-helix Ωmega", ["α", "helix", "ωmega"]),
        ("안녕하세요 세계", ["안녕하세요", "세계"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("שָׁלוֹם", ["שָׁלוֹם"]),
        ("ที่นี่", ["ที่", "นี่"]),
        ("می\u200cخواهم", ["میخواهم"]),
        ("\u0301 stray mark", ["stray", "mark"]),
        ("snake_case", ["snake", "case"]),
        ("？！…", []),
        ("", []),
    ],
)
def test_script_tokens(text: str, expected: list[str]) -> None:
    assert script_tokens(text) == expected


@pytest.mark.parametrize(
    ("references", "own"),
    [
        (["plain ASCII"], False),
        (["Ça coûte très cher, Łódź, Đặng"], False),
        (["the β subunit binds 5 μm"], False),
        (["ﬀ ＡＢＣ"], False),
        (["……"], False),
        ([""], False),
        (["北京"], True),
        (["Москва"], True),
        (["GPU 显卡"], False),
        (["GPU 显卡显卡"], True),
        (["yes", "是的是的"], True),
    ],
)
def test_the_references_decide_which_tokens_a_row_gets(references: list[str], own: bool) -> None:
    assert row_tokenizer(references, squad_tokens) is (script_tokens if own else squad_tokens)


@pytest.mark.parametrize(
    ("references", "expected"),
    [
        (["An English sentence."], "13a"),
        (["Русский язык", "한국어 문장입니다"], "13a"),
        ([], "13a"),
        (["Mostly English with 北京 in it"], "13a"),
        (["这是一个中文句子。", "GPU 很快"], "zh"),
        (["これは日本語の文です"], "char"),
        (["ภาษาไทยไม่มีช่องว่าง"], "char"),
    ],
)
def test_bleu_gets_one_tokenizer_for_all_references(references: list[str], expected: str) -> None:
    assert bleu_tokenizer(references) == expected
