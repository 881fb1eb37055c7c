"""Our scores against sacrebleu, rouge-score, SQuAD's definition and macro F1's on real rows.

They are looked for in `$LAB_TEST_DATA`, else in `shared/data` beside the checkout.
"""

from __future__ import annotations

import json
import os
import random
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

DATA = Path(os.environ.get("LAB_TEST_DATA") or Path(__file__).parents[3].parent / "shared" / "data")
ROUGE = ["rouge1", "rouge2", "rougeL", "rougeLsum"]


def _rows(name: str) -> list[dict[str, Any]]:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"the public rows of {name} are neither in $LAB_TEST_DATA nor in shared/data beside this checkout")
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _squad() -> list[list[str]]:
    return [row["answers"]["text"] for row in _rows("squad_dev.jsonl")]


def _alpaca() -> list[list[str]]:
    return [[row["output"]] for row in _rows("alpaca_test.jsonl")]


def _pubmedqa() -> list[list[str]]:
    return [[row["long_answer"]] for row in _rows("pubmedqa.jsonl") if row["split"] == "test"]


def _sst2() -> list[list[str]]:
    return [[row["sentence"]] for row in _rows("sst2_dev.jsonl")]


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


SETS = pytest.mark.parametrize("load", [_squad, _alpaca, _pubmedqa, _sst2])
ANSWERS = pytest.mark.parametrize("answer", [_first_half, _neighbours, _half_empty])


@SETS
@ANSWERS
def test_bleu_and_chrf_equal_sacrebleu(load: Any, answer: Any) -> None:
    references = load()
    texts, width = answer(references), max(map(len, references))
    streams = [[wanted[n] if n < len(wanted) else None for wanted in references] for n in range(width)]
    ours = _values(references, texts, ["bleu", "chrf"])
    assert ours["bleu"] == pytest.approx(sacrebleu.corpus_bleu(texts, streams).score / 100, abs=1e-9)
    assert ours["chrf"] == pytest.approx(sacrebleu.corpus_chrf(texts, streams).score / 100, abs=1e-9)


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


@SETS
@ANSWERS
def test_squad_scores_equal_the_definition(load: Any, answer: Any) -> None:
    references = load()
    texts = answer(references)
    pairs = list(zip(references, texts, strict=True))
    exact = sum(bool(text) and any(_normalised(text) == _normalised(want) for want in wanted) for wanted, text in pairs)
    overlap = sum(max(_f1(want, text) for want in wanted) for wanted, text in pairs)
    ours = _values(references, texts, ["exact_match", "token_f1"])
    assert ours["exact_match"] == pytest.approx(exact / len(pairs), abs=1e-9)
    assert ours["token_f1"] == pytest.approx(overlap / len(pairs), abs=1e-9)


def _sst2_labels() -> list[str]:
    return ["positive" if row["label"] else "negative" for row in _rows("sst2_dev.jsonl")]


def _pubmedqa_labels() -> list[str]:
    return [row["final_decision"] for row in _rows("pubmedqa.jsonl") if row["split"] == "test"]


LABELS = pytest.mark.parametrize("load", [_sst2_labels, _pubmedqa_labels])


def _macro_f1(wanted: list[str], given: list[str]) -> float:
    """Return scikit-learn's f1_score(wanted, given, average="macro"): its labels are all that occur in either."""
    scores = []
    for name in {*wanted, *given}:
        hits = sum(a == b == name for a, b in zip(wanted, given, strict=True))
        precision = hits / given.count(name) if name in given else 0.0
        recall = hits / wanted.count(name) if name in wanted else 0.0
        scores.append(2 * precision * recall / (precision + recall) if hits else 0.0)
    return sum(scores) / len(scores)


@LABELS
@pytest.mark.parametrize("seed", range(3))
def test_accuracy_and_macro_f1_equal_the_definition(load: Any, seed: int) -> None:
    wanted, draw = load(), random.Random(seed)
    names = [*sorted(set(wanted)), "none of these"]
    given = [name if draw.random() < 0.7 else draw.choice(names) for name in wanted]
    found = _values([[name] for name in wanted], given, ["accuracy", "macro_f1"])
    assert found["accuracy"] == pytest.approx(sum(map(str.__eq__, wanted, given)) / len(wanted), abs=1e-9)
    assert found["macro_f1"] == pytest.approx(_macro_f1(wanted, given), abs=1e-9)


@LABELS
def test_one_answer_for_all_has_a_known_macro_f1(load: Any) -> None:
    wanted = load()
    most = max(set(wanted), key=wanted.count)
    found = _values([[name] for name in wanted], [f" **{most.title()}**."] * len(wanted), ["accuracy", "macro_f1"])
    share = wanted.count(most) / len(wanted)
    assert found["accuracy"] == pytest.approx(share)
    assert found["macro_f1"] == pytest.approx(2 * share / (1 + share) / len(set(wanted)))
