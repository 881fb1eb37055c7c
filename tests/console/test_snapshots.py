"""Pictures of every page: three sizes in dark, and the other themes at the size of a plain terminal."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab import home as places
from lab.console.app import LabApp
from lab.console.system import GpuView, Process, System
from lab.telemetry.gpu import GpuSample
from tests.console.conftest import make_app
from tests.console.driving import pressing

CARD = GpuSample("GPU-1", "NVIDIA H100 80GB HBM3", 612.0, 700.0, 41 * 10**9, 85 * 10**9, 97, 61, 1e6, 10**9, 0)
IDLE = GpuSample("GPU-2", "NVIDIA H100 80GB HBM3", 71.0, 700.0, 10**9, 85 * 10**9, 0, 33, 1e6, None, 0)
MACHINE = System(
    gpus=(
        GpuView(
            0,
            CARD.name,
            CARD,
            tuple(300.0 + 5 * x for x in range(60)),
            (97.0,) * 60,
            (Process(4711, "ada", "python", "smollm2-135m-qlora-91bc", 41 * 10**9),),
        ),
        GpuView(1, IDLE.name, IDLE, (71.0,) * 60, (0.0,) * 60, ()),
    ),
    cpu_percent=37.0,
    cpu=tuple(float(20 + x % 30) for x in range(60)),
    cores=16,
    load=5.5,
    memory_used=21 * 10**9,
    memory_total=128 * 10**9,
    memory=(0.16,) * 60,
    disk_free=310 * 10**9,
    workers=(Process(4711, "ada", "python", "smollm2-135m-qlora-91bc", 2 * 10**9),),
)
SIZES = {"60x20": (60, 20), "80x24": (80, 24), "120x36": (120, 36)}
PAGES = {
    "profiles": ["1", "down", "down"],
    "runs": ["2"],
    "live": ["3"],
    "live-gpu": ["3", "down", "down"],
    "results": ["4"],
    "samples": ["5", "o"],
    "system": ["6"],
}
PANELS = {
    "help": ["3", "question_mark"],
    "stop": ["2", "x"],
    "filter": ["2", "b", "slash", "l", "o", "s", "s", "less_than_sign", "2"],
    "bars": ["4", "v"],
    "curves": ["4", "v", "v"],
    "columns": ["5", "v", "v", "o", "o"],
}
Compare = Callable[..., bool]


@pytest.fixture(autouse=True)
def _one_machine(app: LabApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The System page shows a machine that always looks the same, and the Profiles page those of the demo alone."""
    packed = places.packed_profiles()
    for path in packed.rglob("demo*.toml"):
        copy = tmp_path / "packed" / path.relative_to(packed)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    monkeypatch.setattr(places, "packed_profiles", lambda: tmp_path / "packed")
    monkeypatch.chdir(tmp_path)
    app._feed.__dict__["_system"] = SimpleNamespace(read=lambda rows: MACHINE)


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", list(SIZES))
@pytest.mark.parametrize("page", list(PAGES))
def test_pages(app: LabApp, snap_compare: Compare, page: str, size: str, theme: str) -> None:
    keys = [*PAGES[page][:1], *(["t"] if theme == "light" else []), *PAGES[page][1:]]
    assert snap_compare(app, terminal_size=SIZES[size], run_before=pressing(*keys))


@pytest.mark.parametrize("panel", list(PANELS))
def test_panels(app: LabApp, snap_compare: Compare, panel: str) -> None:
    size = (160, 30) if panel == "columns" else (80, 24)
    assert snap_compare(app, terminal_size=size, run_before=pressing(*PANELS[panel]))


@pytest.mark.parametrize("theme", ["cvd", "ansi"])
def test_other_themes(app: LabApp, snap_compare: Compare, theme: str) -> None:
    turns = ["t"] * (2 if theme == "cvd" else 3)
    assert snap_compare(app, terminal_size=(80, 24), run_before=pressing("3", *turns))


def test_plain_characters(home: Path, snap_compare: Compare) -> None:
    app = make_app(home, plain=True)
    assert snap_compare(app, terminal_size=(80, 24), run_before=pressing("3", "left", "left", "left"))


def test_without_colour(home: Path, snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(make_app(home), terminal_size=(80, 24), run_before=pressing("3"))


def test_numbers_alone(app: LabApp, snap_compare: Compare) -> None:
    assert snap_compare(app, terminal_size=(44, 14), run_before=pressing("3"))


@pytest.mark.parametrize("page", ["2", "3", "4", "5", "7"])
def test_an_empty_home(tmp_path: Path, snap_compare: Compare, page: str) -> None:
    assert snap_compare(make_app(tmp_path / "empty"), terminal_size=(60, 20), run_before=pressing(page))


def test_reading_values_on_a_log_axis(app: LabApp, snap_compare: Compare) -> None:
    keys = ["3", "y", "z", *["left"] * 6]
    assert snap_compare(app, terminal_size=(120, 36), run_before=pressing(*keys))
