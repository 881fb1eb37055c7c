"""`lab export`: what is refused before anything starts, the card, and uploads to a hub on loopback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab import atomic
from lab.errors import LabError
from lab.exporting import llamacpp, staging
from lab.runs.paths import RunPaths
from tests.fixtures.folders import make_run
from tests.fixtures.hub_uploads import UploadHub
from tests.unit.cli.conftest import Lab

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")  # the hub's library asks httpx

TOKEN = "hf_" + "verysecrettokenindeed"


def trained(home: Path, name: str = "lora", **options: Any) -> RunPaths:
    """Make a finished run with an adapter's files."""
    run = make_run(home, name, **options)
    run.adapter.mkdir()
    (run.adapter / "adapter_model.safetensors").write_bytes(b"weights" * 100)
    atomic.write_json(run.adapter / "adapter_config.json", {"r": 4, "base_model_name_or_path": "someone/base"})
    atomic.write_json(run.adapter / "lab.json", {"run": run.id})
    return run


def no_job(home: Path, out: Path) -> None:
    assert not list(home.glob("runs/*/jobs/*"))
    assert not out.exists()
    assert not list(out.parent.glob(f".{out.name}*"))


@pytest.mark.parametrize("state", ["failed", "lost", "stopped"])
@pytest.mark.parametrize("verb", ["merge", "gguf"])
def test_a_run_without_whole_weights_is_refused(
    verb: str, state: str, lab: Lab, four: dict[str, RunPaths], home: Path, tmp_path: Path
) -> None:
    said = lab("export", verb, four[state].id, "-o", str(tmp_path / "out"), *(["-t", "f16"] if verb == "gguf" else []))
    said.refused(1, state if state != "stopped" else "no adapter", "lab runs resume")
    no_job(home, tmp_path / "out")


def test_a_run_that_is_worked_on_is_refused(lab: Lab, live: RunPaths, home: Path, tmp_path: Path) -> None:
    lab("export", "merge", live.id, "-o", str(tmp_path / "out")).refused(1, "training", "lab runs watch")
    lab("export", "hub", live.id, "--repo", "me/it").refused(1, "training", "lab runs watch")
    no_job(home, tmp_path / "out")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["gguf", "--type", "f16,q4_km"], 2, ("q4_km", "q4_k_m")),
        (["gguf", "--type", " , "], 2, ("no type", "q8_0")),
        (["gguf", "--type", "f16", "--base", "quantised"], 2, ("--base", "dequantised")),
        (["merge", "--dtype", "fp8"], 2, ("--dtype", "bf16")),
        (["merge", "--base", "half"], 2, ("--base", "full")),
    ],
)
def test_what_is_not_known_is_refused(
    words: list[str], code: int, said: tuple[str, ...], lab: Lab, home: Path, tmp_path: Path
) -> None:
    run = trained(home)
    verb, *rest = words
    lab("export", verb, run.id, "-o", str(tmp_path / "out"), *rest).refused(code, *said)
    no_job(home, tmp_path / "out")


def test_a_folder_with_something_in_it_is_refused(lab: Lab, home: Path, tmp_path: Path) -> None:
    run = trained(home)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    lab("export", "merge", run.id, "-o", str(tmp_path / "out")).refused(2, "exists already", "-o")
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


def test_no_space_is_refused(lab: Lab, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained(home)
    usage = staging.shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(staging.shutil, "disk_usage", lambda path: usage)
    lab("export", "merge", run.id, "-o", str(tmp_path / "out")).refused(1, "are free", "-o")
    no_job(home, tmp_path / "out")


def test_without_llama_cpp_k_quants_are_refused(
    lab: Lab, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(home)
    monkeypatch.setattr(llamacpp, "installed", lambda: False)
    lab("export", "gguf", run.id, "-o", str(tmp_path / "out")).refused(3, "llama-cpp-python", "lora-lab[gguf]")
    no_job(home, tmp_path / "out")


@pytest.mark.parametrize("repo", ["it", "me/", "/it", "me/it/too", "me/i t", "me/a--b", "me/\x1b[31mred", "me/it.git"])
def test_a_repository_name_that_is_none_is_refused(repo: str, lab: Lab, home: Path) -> None:
    lab("export", "hub", trained(home).id, "--repo", repo).refused(2, "--repo", "USER/NAME")


def test_what_was_not_exported_cannot_be_published(lab: Lab, home: Path) -> None:
    run = trained(home)
    lab("export", "hub", run.id, "--repo", "me/it", "--what", "merged").refused(3, "exported as merged", "lab export")
    lab("export", "hub", run.id, "--repo", "me/it", "--what", "merge").refused(2, "merged")


def test_the_card_tells_data_settings_results_and_how_to_load(lab: Lab, home: Path, tmp_path: Path) -> None:
    run = trained(home)
    said = lab("export", "card", run.id)
    assert said.code == 0
    for words in (
        "base_model:",
        "norm:squad",
        "95 %",
        "bundled:helpdesk",
        "| rank | 16 |",
        "PeftModel",
        "not measured",
    ):
        assert words in said.out, words
    assert str(home) not in said.out
    assert lab("export", "card", run.id, "-o", str(tmp_path / "card.md")).out == ""
    assert (tmp_path / "card.md").read_text() == said.out


def test_the_card_of_a_quantised_base_says_so(lab: Lab, home: Path) -> None:
    model = {"name": "bundled:smollm2-135m-instruct"}
    about = {**model, "kind": "bundled", "commit": "bcc81830d10ce7d9", "quantization": "int8"}
    run = trained(home, "qlora", profile={"model": model}, environment={"model": about}, spec={"quantization": "int8"})
    said = lab("export", "card", run.id)
    for words in (
        "In training the base was in int8 (LLM.int8).",
        "SHA-256 `bcc81830d10c`",
        "| weights of the base | bundled, Q4_1, dequantised |",
        "| base in training | int8 (LLM.int8) |",
        "| base in evaluation | int8 (LLM.int8) |",
        "quantization = BitsAndBytesConfig(load_in_8bit=True)",
    ):
        assert words in said.out, words


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("completed", ("no adapter", "lab runs resume")),
        ("stopped", ("no adapter", "lab runs resume")),
        ("failed", ("failed", "lab runs resume")),
        ("lost", ("is lost", "lab runs resume")),
        ("unscored", ("no results", "lab eval 2027", "unscored")),
        ("untested", ("no results", "evaluate.task=")),
        ("live", ("training", "lab runs watch")),
    ],
)
def test_a_run_without_results_has_no_card(
    name: str,
    words: tuple[str, ...],
    lab: Lab,
    four: dict[str, RunPaths],
    live: RunPaths,
    home: Path,
    tmp_path: Path,
) -> None:
    trained(home, "unscored", metrics=None)
    trained(home, "untested", metrics=None, data={"splits": {"test": {"rows": 0}}})
    lab("export", "card", name).refused(1, *words)
    lab("export", "card", name, "-o", str(tmp_path / "card.md")).refused(1, *words)
    assert not (tmp_path / "card.md").exists()


def test_an_evaluation_that_scored_nothing_is_no_result(lab: Lab, home: Path) -> None:
    run = trained(home, metrics={"schema": 1, "metrics": {}})
    lab("export", "card", run.id).refused(1, "no results", "lab eval")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # the server here speaks LFS
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with UploadHub({TOKEN: "me"}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def test_a_dry_run_asks_the_hub_nothing(lab: Lab, home: Path, hub: UploadHub) -> None:
    said = lab("export", "hub", trained(home).id, "--repo", "me/it")
    assert (said.code, hub.requests) == (0, [])
    assert "adapter_model.safetensors" in said.out
    assert "Nothing was uploaded" in said.err


def test_an_upload_is_one_commit_and_keeps_no_token(
    lab: Lab, home: Path, hub: UploadHub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    run = trained(home)
    said = lab("export", "hub", run.id, "--repo", "me/it", "--private", "--yes")
    assert said.code == 0, said
    assert set(hub.files["me/it"]) == {"README.md", "adapter_config.json", "adapter_model.safetensors"}
    assert hub.files["me/it"]["adapter_model.safetensors"] == b"weights" * 100
    assert run.id.encode() in hub.files["me/it"]["README.md"]
    assert hub.private == {"me/it": True}
    assert len([path for path in hub.requests if "/commit/" in path]) == 1
    assert TOKEN not in said.out + said.err + caplog.text
    kept = [path for path in home.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert kept == []


def test_an_upload_that_breaks_off_publishes_nothing(lab: Lab, home: Path, hub: UploadHub) -> None:
    hub.cut = "/commit/"
    lab("export", "hub", trained(home).id, "--repo", "me/it", "--yes").refused(1, "500")
    assert hub.files == {"me/it": {}}


def test_a_token_that_may_not_write_there_is_told(lab: Lab, home: Path, hub: UploadHub) -> None:
    lab("export", "hub", trained(home).id, "--repo", "other/it", "--yes").refused(1, "403", "HF_TOKEN")


def test_a_hub_out_of_reach_is_told(lab: Lab, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    lab("export", "hub", trained(home).id, "--repo", "me/it", "--yes").refused(1, "cannot be reached", "HF_ENDPOINT")


def test_sigill_names_the_build_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*arguments: object, **options: object):  # type: ignore[no-untyped-def]
        raise LabError("lab.exporting.llamacpp was killed by SIGILL: it gave no reason.", "See `lab doctor`.")
        yield

    monkeypatch.setattr(llamacpp, "json_lines", dies)
    with pytest.raises(LabError, match="GGML_NATIVE=OFF"):
        list(llamacpp.child_lines("x", [], timeout=1))
