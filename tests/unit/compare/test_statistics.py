"""Per-row statistics in the cache: the same numbers, found by content, harmless when damaged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lab.compare import statistics
from lab.compare.statistics import samples_for
from lab.scoring import metrics
from lab.scoring.answers import Answer
from lab.scoring.metrics import samples_of
from lab.series.bootstrap import Sample, Sparse, value

NAMES = ["bleu", "chrf", "rougeL", "token_f1", "macro_f1", "perplexity"]


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Answer]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    texts = ["a cat sat there", "dogs ran", "", "no\ud800ne"]
    return [
        Answer(str(n), (f"a cat sat on mat {n % 7}",), texts[n % 4], "stop", nll=float(n), nll_tokens=3)
        for n in range(320)
    ]


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "lora-lab" / "scores").glob("*.npz"))


def equal(first: Sample, second: Sample) -> bool:
    one, other = first.statistics, second.statistics
    if isinstance(one, Sparse) and isinstance(other, Sparse):
        same = np.array_equal(one.columns, other.columns) and np.array_equal(one.values, other.values)
        return same and one.width == other.width and one.columns.dtype == other.columns.dtype
    return isinstance(one, np.ndarray) and isinstance(other, np.ndarray) and np.array_equal(one, other)


def test_the_second_time_no_text_is_read(
    answers: list[Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = samples_of(answers, NAMES)
    first = samples_for(answers, NAMES)
    monkeypatch.setattr(metrics, "samples_of", None)
    again = samples_for(answers, NAMES)
    assert list(again) == list(first) == NAMES
    for name in NAMES:
        assert equal(fresh[name], first[name]), name
        assert equal(fresh[name], again[name]), name
        assert value(again[name]) == value(fresh[name])
    assert len(files(tmp_path)) == 1


def test_further_metrics_join_the_file(answers: list[Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples_for(answers, ["bleu"])
    samples_for(answers, ["rougeL", "bleu"])
    monkeypatch.setattr(metrics, "samples_of", None)
    assert set(samples_for(answers, ["bleu", "rougeL"])) == {"bleu", "rougeL"}
    assert len(files(tmp_path)) == 1


def test_other_content_is_another_file(answers: list[Answer], tmp_path: Path) -> None:
    samples_for(answers, ["token_f1"])
    others = [replace(answers[0], text="a cat sat on mat 0"), *answers[1:]]
    assert value(samples_for(others, ["token_f1"])["token_f1"]) > value(samples_for(answers, ["token_f1"])["token_f1"])
    assert len(files(tmp_path)) == 2


def test_a_new_signature_is_computed_anew(answers: list[Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    samples_for(answers, ["bleu"])
    changed = replace(
        metrics.METRICS["bleu"], signature=lambda _: "another|version", statistics=lambda _: np.ones((320, 10))
    )
    monkeypatch.setitem(metrics.METRICS, "bleu", changed)
    assert np.array_equal(samples_for(answers, ["bleu"])["bleu"].statistics, np.ones((320, 10)))  # type: ignore[arg-type]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 no archive", b"not even that"])
def test_a_damaged_file_is_written_anew(answers: list[Answer], tmp_path: Path, damage: bytes) -> None:
    samples_for(answers, ["bleu"])
    (file,) = files(tmp_path)
    file.write_bytes(damage)
    assert equal(samples_for(answers, ["bleu"])["bleu"], samples_of(answers, ["bleu"])["bleu"])
    assert file.stat().st_size > 100


def test_a_cache_that_cannot_be_written_costs_time_only(
    answers: list[Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert equal(samples_for(answers, ["bleu"])["bleu"], samples_of(answers, ["bleu"])["bleu"])


def test_few_answers_are_not_worth_a_file(answers: list[Answer], tmp_path: Path) -> None:
    samples_for(answers[:50], NAMES)
    assert files(tmp_path) == []


def test_old_files_go(answers: list[Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "FILES", 2)
    for number in range(4):
        samples_for([replace(answers[0], text=str(number)), *answers[1:]], ["token_f1"])
    assert len(files(tmp_path)) == 2
