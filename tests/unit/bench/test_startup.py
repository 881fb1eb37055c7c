"""Start-up figures: interleaved rounds, ratios within a round, targets."""

from __future__ import annotations

import json
import os

import pytest

from lab.bench import startup
from lab.bench.startup import CASES, REFERENCE, Case, measure, run_once, summarise
from lab.errors import LabError

TYPER = Case(REFERENCE, ("-c", "pass"))
LAB = Case("lab", ("-c", "pass"), target=2.5)


def test_figures_are_medians_and_ratios_are_taken_within_a_round() -> None:
    # The machine is three times as slow in the second round; that must not show in the ratio.
    timings = summarise((TYPER, LAB), [(0.1, 0.2), (0.3, 0.6), (0.1, 0.25)])
    assert (timings[0].ratio, timings[0].met) == (1.0, None)
    lab = timings[1]
    assert (lab.median, lab.low, lab.high) == (0.25, 0.2, 0.6)
    assert lab.ratio == pytest.approx(2.0)
    assert lab.met is True


@pytest.mark.parametrize(("seconds", "met"), [(0.25, True), (0.2501, False)])
def test_a_target_is_met_up_to_itself(seconds: float, met: bool) -> None:
    assert summarise((TYPER, LAB), [(0.1, seconds)])[1].met is met


def test_every_round_runs_every_case_and_the_first_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def fake(case: Case, home: str) -> float:
        order.append(case.name)
        return 9.0 if len(order) <= 2 else 1.0

    monkeypatch.setattr(startup, "run_once", fake)
    said: list[str] = []
    timings = measure((TYPER, LAB), repeats=2, progress=said.append)
    assert order == [REFERENCE, "lab"] * 3
    assert [one.high for one in timings] == [1.0, 1.0]
    assert len(said) == 3


def test_a_case_runs_in_an_empty_home_and_its_failure_is_told(tmp_path: object) -> None:
    assert run_once(Case("pass", ("-c", "import os; assert os.environ['LAB_HOME'] == '/x'")), "/x") > 0
    with pytest.raises(LabError, match=r"`broken` ended with status 3 \(no such thing\)"):
        run_once(Case("broken", ("-c", "import sys; print('no such thing', file=sys.stderr); sys.exit(3)")), os.sep)


def test_the_help_has_its_target_and_figures_are_plain_json() -> None:
    targets = {case.name: case.target for case in CASES}
    assert targets["lab --help"] == 2.5
    assert json.loads(json.dumps(summarise((TYPER,), [(1.0,)])[0].as_json()))["name"] == REFERENCE
