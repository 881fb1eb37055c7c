"""Our scores against sacrebleu, rouge-score and SQuAD's definition on real rows, where they lie beside the checkout."""

from __future__ import annotations

import json
import re
import string
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer

from lab.scoring.answers import Answer
from lab.scoring.score import score

DATA = Path(__file__).parents[3].parent / "shared" / "data"
ROUGE = ["rouge1", "rouge2", "rougeL", "rougeLsum"]


def _rows(name: str) -> list[dict[str, Any]]:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"the public rows of {name} are not beside this checkout")
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _squad() -> list[list[str]]:
    return [row["answers"]["text"] for row in _rows("squad_dev.jsonl")]


def _alpaca() -> list[list[str]]:
    return [[row["output"]] for row in _rows("alpaca_test.jsonl")[:120]]


def _first_half(references: list[list[str]]) -> list[str]:
    return [texts[0][: (len(texts[0]) + 1) // 2] for texts in references]


def _neighbours(references: list[list[str]]) -> list[str]:
    return [texts[0] for texts in references[1:] + references[:1]]


def _half_empty(references: list[list[str]]) -> list[str]:
    return ["" if number % 2 else f"The answer is {texts[-1]}." for number, texts in enumerate(references)]


def _values(references: list[list[str]], texts: list[str], names: list[str]) -> dict[str, float]:
    pairs = zip(references, texts, strict=True)
    answers = [Answer(str(n), tuple(wanted), text, "stop") for n, (wanted, text) in enumerate(pairs)]
    found = score(answers, names, resamples=0)["metrics"]
    return {name: found[name]["value"] for name in names}


SETS = pytest.mark.parametrize("load", [_squad, _alpaca])
ANSWERS = pytest.mark.parametrize("answer", [_first_half, _neighbours, _half_empty])


@SETS
@ANSWERS
def test_bleu_equals_sacrebleu(load: Any, answer: Any) -> None:
    references = load()
    texts, width = answer(references), max(map(len, references))
    streams = [[wanted[n] if n < len(wanted) else None for wanted in references] for n in range(width)]
    theirs = sacrebleu.corpus_bleu(texts, streams).score / 100
    assert _values(references, texts, ["bleu"])["bleu"] == pytest.approx(theirs, abs=1e-9)


@SETS
@ANSWERS
def test_rouge_equals_rouge_score(load: Any, answer: Any) -> None:
    references = load()
    texts, scorer = answer(references), RougeScorer(ROUGE)
    theirs = [scorer.score_multi(wanted, text) for wanted, text in zip(references, texts, strict=True)]
    ours = _values(references, texts, ROUGE)
    for name in ROUGE:
        assert ours[name] == pytest.approx(sum(row[name].fmeasure for row in theirs) / len(theirs), abs=1e-9)


def _normalised(text: str) -> str:
    bare = "".join(character for character in text.lower() if character not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


def _f1(wanted: str, given: str) -> float:
    first, second = _normalised(wanted).split(), _normalised(given).split()
    shared = sum((Counter(first) & Counter(second)).values())
    precision, recall = (shared / len(second), shared / len(first)) if shared else (0.0, 0.0)
    return 2 * precision * recall / (precision + recall) if shared else 0.0


@ANSWERS
def test_squad_scores_equal_the_definition(answer: Any) -> None:
    references = _squad()
    texts = answer(references)
    pairs = list(zip(references, texts, strict=True))
    exact = sum(bool(text) and any(_normalised(text) == _normalised(want) for want in wanted) for wanted, text in pairs)
    overlap = sum(max(_f1(want, text) for want in wanted) for wanted, text in pairs)
    ours = _values(references, texts, ["exact_match", "token_f1"])
    assert ours["exact_match"] == pytest.approx(exact / len(pairs), abs=1e-9)
    assert ours["token_f1"] == pytest.approx(overlap / len(pairs), abs=1e-9)


def test_macro_f1_and_accuracy_of_one_answer_for_all_are_known() -> None:
    labels = ["positive" if row["label"] else "negative" for row in _rows("sst2_dev.jsonl")]
    found = _values([[name] for name in labels], ["Positive."] * len(labels), ["accuracy", "macro_f1"])
    share = labels.count("positive") / len(labels)
    assert found["accuracy"] == pytest.approx(share)
    assert found["macro_f1"] == pytest.approx(share / (1 + share))  # half of F1 = 2 p / (1 + p), the other class has 0
