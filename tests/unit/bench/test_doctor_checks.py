"""The checks of the worker side that need no heavy library: versions, hub, token, bundled model."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType, SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import constants

from lab.bench import doctor
from lab.bench.doctor import CHECKS, guarded, library_check, outside_range, run_checks
from lab.telemetry.check import Check

SECRET = "hf_abcdefghijklmnop"


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, online: None) -> Iterator[list[int]]:
    """A hub that answers HEAD with the status in the list that this gives."""
    status = [200]

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(status[0])
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Keep the test's output clean."""

    huggingface_hub.close_session()
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://me:{SECRET}@127.0.0.1:{server.server_port}")
        yield status
        server.shutdown()
        thread.join()
    huggingface_hub.close_session()


@pytest.mark.parametrize(("answer", "status"), [(200, "ok"), (301, "ok"), (404, "ok"), (500, "warn"), (503, "warn")])
def test_a_hub_that_answers_is_there_unless_it_is_broken(hub: list[int], answer: int, status: str) -> None:
    hub[0] = answer
    check = doctor.hub()
    assert check.status == status
    assert "127.0.0.1" in check.found
    assert SECRET not in str(check)


def test_a_hub_out_of_reach_is_a_warning(monkeypatch: pytest.MonkeyPatch, online: None) -> None:
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
        check = doctor.hub()
    huggingface_hub.close_session()
    assert check.status == "warn"
    assert "cannot be reached" in check.found


@pytest.mark.parametrize("endpoint", ["no address", "http://[::1", ""])
def test_an_endpoint_that_is_no_address_does_not_stop_the_doctor(
    monkeypatch: pytest.MonkeyPatch, online: None, endpoint: str
) -> None:
    def unreachable() -> None:
        raise OSError("no network in this test")

    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    if not endpoint:
        monkeypatch.setattr(huggingface_hub, "get_session", unreachable)
    assert guarded("hub", doctor.hub).status in ("warn", "fail")


def test_an_offline_hub_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert doctor.hub() == Check("hub", "ok", "not asked: HF_HUB_OFFLINE is set")


def test_a_token_is_told_of_and_never_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    assert doctor.token().found.startswith("none")
    (tmp_path / "token").write_text(SECRET)
    saved = doctor.token()
    monkeypatch.setenv("HF_TOKEN", SECRET)
    named = doctor.token()
    assert ("saved" in saved.found, "HF_TOKEN" in named.found) == (True, True)
    assert SECRET not in str(saved) + str(named)


def test_the_bundled_model_is_ready_or_told_how_to_get(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "bundled_ready", lambda name: None)
    missing = doctor.bundled()
    assert missing.status == "warn"
    assert "lab fetch" in missing.remedy
    assert "92.87 MB" in missing.remedy
    monkeypatch.setattr(doctor, "bundled_ready", lambda name: tmp_path)
    assert doctor.bundled().status == "ok"


@pytest.mark.parametrize(
    ("name", "found", "expected"),
    [
        ("torch", "2.13.0+cpu", ""),
        ("torch", "2.9.1", "<2.14,>=2.10"),
        ("torch", "2.14.0", "<2.14,>=2.10"),
        ("ruff", "0.0.1", ""),  # a tool of developers: nothing is asked of users
        ("unheard-of", "1", ""),
    ],
)
def test_versions_are_held_against_what_the_lab_declares(
    monkeypatch: pytest.MonkeyPatch, name: str, found: str, expected: str
) -> None:
    declared = ["torch<2.14,>=2.10", "ruff>=0.14; extra == 'dev'"]
    monkeypatch.setattr(doctor, "requires", lambda distribution: declared)
    assert outside_range(name, found) == expected


def test_without_metadata_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(distribution: str) -> None:
        raise doctor.PackageNotFoundError(distribution)

    monkeypatch.setattr(doctor, "requires", missing)
    assert outside_range("torch", "0.1") == ""


def test_a_library_is_imported_with_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = ModuleType("fake_library")
    monkeypatch.setitem(sys.modules, "fake_library", fake)
    monkeypatch.setattr(doctor, "version", lambda name: "1.2")
    monkeypatch.setattr(doctor, "requires", lambda name: ["fake_library>=1"])
    assert library_check("fake_library")() == Check("fake_library", "ok", "1.2")
    broken = guarded("fake_library", library_check("fake_library", "Part"))
    assert broken.status == "fail"
    assert "Part" in broken.found
    monkeypatch.setattr(doctor, "requires", lambda name: ["fake_library>=2"])
    old = library_check("fake_library")()
    assert (old.status, old.remedy) == ("fail", "Install fake_library>=2.")


def fake_torch(cuda: str | None, *, available: bool) -> SimpleNamespace:
    return SimpleNamespace(
        __version__="2.13.0+cu128" if cuda else "2.13.0+cpu",
        version=SimpleNamespace(cuda=cuda),
        cuda=SimpleNamespace(is_available=lambda: available),
    )


@pytest.mark.parametrize(
    ("cuda", "gpus", "status", "found"),
    [
        (None, 0, "ok", "2.13.0 (CPU build)"),
        ("12.8", 0, "ok", "2.13.0 (CUDA 12.8 build)"),
        ("12.8", 1, "ok", "2.13.0 (CUDA 12.8 build)"),
        (None, 1, "fail", "2.13.0 (CPU build)"),
    ],
)
def test_a_cpu_build_beside_a_gpu_fails(
    monkeypatch: pytest.MonkeyPatch, cuda: str | None, gpus: int, status: str, found: str
) -> None:
    monkeypatch.setitem(sys.modules, "torch", fake_torch(cuda, available=bool(gpus and cuda)))
    monkeypatch.setattr(doctor, "_gpus", lambda: gpus)
    assert (doctor.torch().status, doctor.torch().found) == (status, found)


def test_a_driver_too_old_for_torch_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", fake_torch("12.8", available=False))
    monkeypatch.setattr(doctor, "_gpus", lambda: 1)
    assert doctor.device().status == "fail"
    assert "driver" in doctor.device().remedy


def test_a_check_that_raises_is_its_finding_cleaned() -> None:
    def check() -> Check:
        raise RuntimeError("CUDA error\x1b[2J\nsecond line")

    assert guarded("x", check).found == "RuntimeError: CUDA error"


def test_checks_are_announced_and_can_go_on_behind_one() -> None:
    checks = {name: lambda name=name: Check(name, "ok", "fine") for name in ("a", "b", "c")}
    records: list[dict[str, object]] = []
    run_checks(records.append, checks, after="a")
    assert [record.get("begin", record.get("name")) for record in records] == ["b", "b", "c", "c"]


def test_every_check_reports_under_its_registered_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "version", lambda name: "1")
    for name in ("peft", "trl", "transformers", "datasets"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    for name in ("token", "bundled model", "datasets"):
        assert CHECKS[name]().name == name
