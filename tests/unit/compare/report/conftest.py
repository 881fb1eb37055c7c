"""A finished study of eight runs, gathered once for all tests of the report; nobody changes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.compare.report.gather import Report, gather
from lab.compare.report.page import page
from lab.runs.paths import RunPaths
from lab.runs.store import RunInfo, read_run
from tests.fixtures.study_runs import write_study


def infos_of(runs: list[RunPaths]) -> list[RunInfo]:
    return [info for run in runs if (info := read_run(run)) is not None]


def report_of(home: Path, runs: list[RunPaths]) -> Report:
    return gather(
        infos_of(runs),
        name="ranks <b>",
        question="What does a rank buy?",
        axes=("method.kind", "method.rank"),
        missing=["lora r=32"],
        command="lab study run ranks",
    )


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    home = tmp_path_factory.mktemp("study")
    return report_of(home, write_study(home))


@pytest.fixture(scope="session")
def document(report: Report) -> str:
    return page(report)
