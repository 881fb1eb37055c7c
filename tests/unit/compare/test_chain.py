"""The costs of a later stage with those of the stages before it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from lab.compare.chain import SUMS, chain_cost, chain_note
from lab.compare.entry import Entry, load_entry
from lab.compare.notes import notes_on
from lab.runs.store import RunInfo, read_run
from tests.fixtures.folders import make_run


def stage(root: Path, name: str, before: RunInfo | None = None) -> RunInfo:
    profile = {"model": {"adapter": f"run:{before.id}"}} if before else {}
    info = read_run(make_run(root, name, profile=profile))
    assert info is not None
    return info


@pytest.fixture
def chain(tmp_path: Path) -> list[RunInfo]:
    first = stage(tmp_path, "one")
    second = stage(tmp_path, "two", first)
    return [first, second, stage(tmp_path, "three", second)]


def entries(chain: list[RunInfo]) -> list[Entry]:
    return [load_entry(info) for info in chain]


def test_a_chain_sums_up_and_the_stages_own_costs_stay(chain: list[RunInfo]) -> None:
    first, second, third = entries(chain)
    own = first.cost["train_seconds"]
    assert own > 0
    assert not SUMS.keys() & first.cost.keys()
    assert first.notes == ()
    assert [one.cost["train_seconds"] for one in (second, third)] == [own, own]
    assert [one.cost["chain_seconds"] for one in (second, third)] == pytest.approx([2 * own, 3 * own])
    assert "with 2 stages before it, training took" in " ".join(notes_on([third], {third.id: "last"}))


def test_without_a_stage_before_no_sum_is_made_up(chain: list[RunInfo]) -> None:
    shutil.rmtree(chain[0].run.folder)
    for entry in entries(chain[1:]):
        assert not SUMS.keys() & entry.cost.keys()
        assert entry.notes == ("builds on a run that is not here: its costs are those of its own stage alone",)


@pytest.mark.parametrize(
    ("own", "before", "seconds", "energy"),
    [
        ({"train_seconds": 5, "energy_wh": 1.5}, [{"train_seconds": 7.0, "energy_wh": 0.5}], 12.0, 2.0),
        ({"train_seconds": 5, "energy_wh": None}, [{"train_seconds": 7.0, "energy_wh": 0.5}], 12.0, None),
        ({"train_seconds": 5}, [{"train_seconds": None}, {"train_seconds": 1.0}], None, None),
    ],
)
def test_what_one_stage_lacks_the_chain_lacks(
    own: dict[str, Any], before: list[Any], seconds: float | None, energy: float | None
) -> None:
    assert chain_cost(own, before) == {"chain_seconds": seconds, "chain_energy_wh": energy}


@pytest.mark.parametrize(
    ("seconds", "energy", "told"),
    [
        (725.0, 2.0, "; with 1 stage before it, training took 12:05 and 2 Wh"),
        (725.0, None, "; with 1 stage before it, training took 12:05"),
        (None, None, ""),
    ],
)
def test_the_note_tells_what_is_known(seconds: float | None, energy: float | None, told: str) -> None:
    sums = {"chain_seconds": seconds, "chain_energy_wh": energy}
    assert chain_note(sums, 1) == f"builds on earlier training, and its costs are those of its own stage{told}"
