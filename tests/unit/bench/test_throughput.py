"""The throughput benchmark: what it asks for and prints, and that the fast trainer learns what the plain one does."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.bench.throughput import asked_rows, measure, peak_flops, switched_off
from lab.bench.throughput_report import HEADER, launch_line, line_of
from lab.bench.trial import trial
from lab.bench.workload import WORKLOADS, Workload, bench_profile, row_lengths, save_random
from lab.errors import UsageError

FAST = {
    "attention": "varlen",
    "batching": "packed",
    "micro_batch": 0,
    "micro_tokens": 700,
    "fused_lora": "on",
    "fused_head": "on",
    "cuda_graph": "on",
}


def test_lengths_are_alpacas() -> None:
    lengths = row_lengths(WORKLOADS["w16"])
    assert len(lengths) == 6000
    assert max(lengths) == 512
    assert sum(lengths) / len(lengths) == pytest.approx(87.22, abs=0.01)
    assert set(row_lengths(WORKLOADS["w16x512"])) == {512}


def test_rows_of_a_command_line() -> None:
    rows = asked_rows("tiny", "qlora", "w16", against=True, ablate=True)
    names = [row.name.removeprefix("tiny qlora w16").strip() for row in rows]
    assert names[:2] == ["", "plain"]
    assert "without lora" in names
    assert names[-1] == "up to short"
    without = {name: row.without for name, row in zip(names, rows, strict=True)}
    assert set(without["without lora"]) == {"lora", "graphs", "blocks"}
    assert set(without["without varlen"]) == {"varlen", "graphs", "head", "blocks", "short"}
    assert without["up to nothing"] == ("varlen", "liger", "lora", "blocks", "head", "short", "graphs")
    assert without["up to head"] == ("short", "graphs")


def test_full_training_has_no_rows_of_adapters() -> None:
    rows = asked_rows("tiny", "full", "w16", ablate=True)
    names = [row.name.removeprefix("tiny full w16").strip() for row in rows]
    assert names[1:6] == [f"without {name}" for name in ("graphs", "short", "head", "liger", "varlen")]
    assert [name for name in names if "lora" in name or "blocks" in name] == []


def test_leaving_out_a_piece_leaves_out_what_needs_it() -> None:
    (row,) = asked_rows("tiny", "lora", "w16", "head")
    assert switched_off(row.without) == {"fused_head": "off", "cuda_graph": "off", "short_attention": "off"}


def test_rows_are_called_what_they_are() -> None:
    rows = asked_rows("tiny", "qlora", "w16", "liger", lean=True, against=True, ablate=True)
    names = {row.name: row for row in rows}
    assert not names["tiny qlora w16 plain"].lean
    assert names["tiny qlora w16 lean without liger"].without == ("liger",)
    assert names["tiny qlora w16 lean without graphs"].without == ("graphs",)


@pytest.mark.parametrize(
    ("device", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H200", 989e12),
        ("NVIDIA H200 NVL", 835e12),
        ("NVIDIA H100 PCIe", None),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA L40", None),
        ("NVIDIA A10G", None),
        ("NVIDIA GeForce RTX 4090", 165e12),
        ("cpu", None),
    ],
)
def test_peaks_are_of_the_very_gpu(device: str, peak: float | None) -> None:
    assert peak_flops(device) == peak


@pytest.mark.parametrize(
    "wrong",
    [
        ("tyni", "lora", "w16", ""),
        ("tiny", "baseline", "w16", ""),
        ("tiny", "lora", "w17", ""),
        ("tiny", "lora", "w16", "graph"),
    ],
)
def test_unknown_words_are_refused(wrong: tuple[str, str, str, str]) -> None:
    with pytest.raises(UsageError):
        asked_rows(*wrong)


def test_a_row_that_fails_does_not_hide_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    records: list[dict[str, object]] = []

    def broken(asked: object, folder: Path, device: str) -> None:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr("lab.bench.throughput.run_row", broken)
    measure(asked_rows("tiny", "lora", "w16", against=True), records.append, "cpu")
    assert [record["name"] for record in records] == ["tiny lora w16", "tiny lora w16 plain"]
    cells = line_of(records[0])
    assert len(cells) == len(HEADER)
    assert cells[-1] == "failed: RuntimeError: no such kernel"


def test_nothing_measured_is_no_number() -> None:
    record = {
        "name": "r", "tokens_per_second": 1234.5, "tokens_per_step": 100.0, "seconds_per_step": 0.5, "mfu": None,
        "peak_bytes": None, "reserved_bytes": None, "watts": None, "joules_per_1000_tokens": None, "busy": None,
        "launch_seconds": None, "recipe": {"batching": "packed", "attention": "varlen", "fused_lora": "on"},
    }  # fmt: skip
    assert line_of(record)[1] == "1,234"
    assert line_of(record)[4:10] == ("-",) * 6
    assert line_of(record)[-1] == "packed, varlen, fused_lora"
    assert launch_line([record]).startswith("No GPU")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_random("tiny", tmp_path_factory.mktemp("tiny") / "model", "cpu")


@pytest.mark.filterwarnings("ignore::FutureWarning")  # PEFT and TRL call what transformers has renamed
@pytest.mark.parametrize("method", ["lora", "qlora", "full"])
def test_fast_training_learns_what_plain_training_learns(tiny: Path, method: str) -> None:
    """The whole trainer on the fast path, graphs by their stand-in, against padded rows and PEFT."""
    size = Workload({"examples_per_step": 8}, 2, 4)
    sets = ["launch.gpus=0", "model.dtype=fp32", "train.learning_rate=0.01", "train.threads=1"]
    profile = bench_profile(tiny, method, size, sets)
    lengths = row_lengths(size)[:40]
    plain = trial(profile, lengths, size, "cpu", {})
    fast = trial(profile, lengths, size, "cpu", FAST | ({"fused_lora": "off"} if method == "full" else {}))
    assert plain.recipe["fused_lora"] == "off"
    assert fast.recipe["cuda_graph"] == "on"
    assert fast.tokens == plain.tokens
    assert fast.loss == pytest.approx(plain.loss, abs=2e-5)
    assert abs(plain.loss - 6.24) > 0.005  # six steps have moved it: the losses agree because the gradients do
