"""The estimate of a study's time: the sum, what cannot be known, and the words for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.bench.work import Speeds, Work
from lab.cli.estimate import about, estimate_seconds, estimate_study
from lab.launching import child
from lab.profile.load import Resolved, load_profile, resolve

NOTHING = Work(0, 0, 0, 0)
TUNED = Work(train=1000, steps=10, forward=400, answers=90)
FAST = Speeds(8.0, 2.0, 100.0, 0.5, 200.0, 30.0)
UNTRAINED = Speeds(8.0, 2.0, None, 0.0, 200.0, 30.0)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], 0.0),
        ([(NOTHING, FAST)], 10.0),
        ([(TUNED, FAST)], 10 + 10 + 5 + 2 + 3),
        ([(TUNED, FAST), (TUNED, FAST)], 60.0),
        ([(Work(0, 0, 400, 90), UNTRAINED)], 15.0),
        ([(TUNED, UNTRAINED)], None),
        ([(TUNED, FAST), (TUNED, UNTRAINED)], None),
        ([(NOTHING, Speeds(8.0, 2.0, None, 0.0, None, None))], 10.0),
        ([(TUNED, Speeds(0.0, 0.0, 100.0, 0.0, 200.0, None))], None),
    ],
)
def test_time_is_work_by_speed(rows: list[tuple[Work, Speeds]], expected: float | None) -> None:
    assert estimate_seconds(rows) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "about 1 second"),
        (7.4, "about 7 seconds"),
        (44.0, "about 40 seconds"),
        (89.0, "about 90 seconds"),
        (90.0, "about 2 minutes"),
        (430.0, "about 7 minutes"),
        (5399.0, "about 90 minutes"),
        (5400.0, "about 2 hours"),
        (36000.0, "about 10 hours"),
    ],
)
def test_a_time_is_told_as_one_would_say_it(seconds: float, words: str) -> None:
    assert about(seconds) == words


def profile(*sets: str) -> Resolved:
    return resolve("some", {"data": {"source": [{"name": "bundled:helpdesk"}]}}, {}, sets)


def test_equal_profiles_are_timed_once_and_each_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    timed: list[list[Resolved]] = []

    def fake(module: str, arguments: Sequence[str], *, timeout: float) -> Iterator[dict[str, Any]]:
        files = arguments[: arguments.index("--seconds")]
        assert arguments[-1] == "3.0"
        timed.append([load_profile(name) for name in files])
        for number, _ in enumerate(files, 1):
            work = {"train": 100.0 * number, "steps": 0, "forward": 0, "answers": 0}
            speeds = {"start_seconds": 1.0, "load_seconds": 0.0, "train_tokens_per_second": 10.0, "step_seconds": 0.0}
            unmeasured = {"forward_tokens_per_second": None, "generated_tokens_per_second": None}
            yield {"work": work, "speeds": {**speeds, **unmeasured}}

    monkeypatch.setattr(child, "json_lines", fake)
    rows = [profile(), profile("method.rank=4"), profile()]
    assert estimate_study(rows, seconds=3.0) == pytest.approx(11 + 21 + 11)
    assert [one.hash for one in timed[0]] == [rows[0].hash, rows[1].hash]


def test_no_file_is_left_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(child, "json_lines", lambda *_, **__: iter([]))
    with pytest.raises(ValueError, match="shorter"):  # a child that answers less than it was asked
        estimate_study([profile()])
    assert list(tmp_path.iterdir()) == []
