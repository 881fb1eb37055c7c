"""GGUF files against llama.cpp itself: each family is loaded, cuts prompts alike and gives the run's answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab.compare.artifacts import load_entries
from lab.errors import LabError
from lab.exporting import llamacpp
from lab.exporting.ggufwrite import contents
from lab.runs.paths import RunPaths, evaluations
from lab.runs.reader import read_all
from lab.runs.store import find_run
from tests.fixtures.tiny_families import FAMILIES, save_family
from tests.fixtures.untrained import write_rows
from tests.unit.exporting.conftest import Export

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning"),  # PEFT asks transformers
    pytest.mark.skipif(not llamacpp.installed(), reason="the extra gguf is not installed"),
]

Finished = Callable[..., RunPaths]


def family(folder: Path, name: str, **changes: object) -> Path:
    save_family(folder / "model", name, **changes)
    write_rows(folder)
    return folder


@pytest.mark.parametrize("name", FAMILIES)
def test_llama_cpp_answers_as_the_run_does(name: str, finished: Finished, export: Export, tmp_path: Path) -> None:
    run = finished(folder=family(tmp_path / name, name))
    record = export(run, tmp_path / "out", "gguf", types=("f32",), score=False)
    assert record["parity"]["f32"]["agreeing"] >= 19


def test_every_file_stands_in_the_table_with_what_it_holds(finished: Finished, export: Export, tmp_path: Path) -> None:
    """256 columns take true Q4_K; the run's likelihoods are llama.cpp's, and rounding shows in the order it should."""
    wide = {"hidden_size": 256, "intermediate_size": 256}
    run = finished(folder=family(tmp_path / "wide", "smollm2", **wide))
    record = export(run, tmp_path / "out", "gguf", types=("f16", "q8_0", "q4_k_m", "adapter"))
    held = {name.split("-")[-1]: counts for name, counts in record["tensors"].items()}
    assert held["q4_k_m.gguf"] == {"Q4_K": 12, "F32": 5, "Q6_K": 3}
    rows = {entry.spec.get("weights"): entry for entry in load_entries(find_run(run.id))[1:]}
    assert set(rows) == {"gguf f16", "gguf q8_0", "gguf q4_k_m"}
    assert rows["gguf q4_k_m"].notes == ("holds 12 Q4_K, 5 F32, 3 Q6_K",)
    sizes = [rows[f"gguf {kind}"].cost["artifact_bytes"] for kind in ("f16", "q8_0", "q4_k_m")]
    assert sizes == sorted(sizes, reverse=True)
    nll = {kind: likelihoods(run, f"gguf {kind}") for kind in ("f16", "q8_0", "q4_k_m")}
    reference = reference_likelihoods(run)
    off = {kind: sum(abs(a - b) for a, b in zip(values, reference, strict=True)) for kind, values in nll.items()}
    assert off["f16"] < off["q8_0"] < off["q4_k_m"], off
    assert off["f16"] < 0.05 * sum(reference)


def likelihoods(run: RunPaths, weights: str) -> list[float]:
    from lab.runs.reader import read_json

    (found,) = [e for e in evaluations(run) if (read_json(e.spec) or {})["weights"] == weights]
    return [record["nll"] for record in sorted(read_all(found.generations), key=lambda record: str(record["id"]))]


def reference_likelihoods(run: RunPaths) -> list[float]:
    """Return what base and adapter give in PyTorch, in the order of ids."""
    from lab.data.prepare import prepare
    from lab.evaluation.perplexity import reference_nll
    from lab.modeling.artifact import load_artifact
    from lab.modeling.load import load_base, load_tokenizer
    from lab.modeling.source import resolve_model
    from lab.profile.load import load_profile

    profile = load_profile(str(run.profile)).profile
    source = resolve_model(profile.model.name)
    tokenizer = load_tokenizer(source)
    rows = sorted(prepare(profile, tokenizer).test, key=lambda row: row.id)
    model = load_artifact(load_base(source, device="cpu", dtype="fp32"), run.adapter).eval()
    return [nll for nll, _ in reference_nll(model, [row.encoded for row in rows], tokenizer.pad_token_id)]


def test_rows_that_fit_no_k_quant_fall_back_and_it_is_told(finished: Finished, export: Export, tmp_path: Path) -> None:
    run = finished()
    record = export(run, tmp_path / "out", "gguf", types=("q4_k_m",), score=False)
    (counts,) = record["tensors"].values()
    assert "Q4_K" not in counts
    assert counts["Q5_0"] > 0
    assert not [name for name in record["files"] if "f16" in name], "what K-quants are made from goes"


def test_an_adapter_alone_makes_the_base_say_what_the_run_says(
    finished: Finished, export: Export, tmp_path: Path
) -> None:
    run = finished("method.variant=rslora")
    base = export(finished("method.kind=baseline"), tmp_path / "base", "gguf", types=("f32",), score=False)
    tuned = export(run, tmp_path / "tuned", "gguf", types=("f32", "adapter"), score=False)
    (alone,) = (tmp_path / "tuned").glob("*-adapter.gguf")
    (plain,) = (tmp_path / "base" / name for name in base["tensors"])
    (merged,) = (tmp_path / "tuned" / name for name in tuned["tensors"])
    ids = list(range(20, 60))
    want, without = last_logits(merged, ids), last_logits(plain, ids)
    found = last_logits(plain, ids, adapter=alone)
    assert abs(want - found).max() < 0.01 * abs(want - without).max()


def last_logits(path: Path, ids: list[int], adapter: Path | None = None):  # type: ignore[no-untyped-def]
    import ctypes

    import llama_cpp

    engine = llamacpp.Engine(str(path), 64, 1)
    if adapter is not None:
        loaded = llama_cpp.llama_adapter_lora_init(engine._model, str(adapter).encode())
        assert loaded, "llama.cpp refuses the adapter"
        many = (type(loaded) * 1)(loaded)
        assert llama_cpp.llama_set_adapters_lora(engine._context, many, 1, (ctypes.c_float * 1)(1.0)) == 0
    ((_, logits),) = engine.feed(ids)
    return logits


@pytest.mark.parametrize(
    ("sets", "types", "words"),
    [
        (["method.variant=dora"], ("adapter",), "DoRA"),
        (["method.kind=full"], ("adapter",), "trained weights"),
        (["method.kind=baseline"], ("adapter",), "none"),
    ],
)
def test_what_no_adapter_file_can_hold_is_refused(
    sets: list[str], types: tuple[str, ...], words: str, finished: Finished, export: Export, tmp_path: Path
) -> None:
    with pytest.raises(LabError, match=words):
        export(finished(*sets), tmp_path / "place" / "out", "gguf", types=types)
    assert not (tmp_path / "place").exists() or not list((tmp_path / "place").iterdir())


def test_a_damaged_file_is_refused_with_llama_cpps_own_reason(tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF" + b"\0" * 100)
    with pytest.raises(LabError, match="cannot load broken"):
        llamacpp.Engine(str(tmp_path / "broken.gguf"), 64, 1)


def test_types_are_counted_from_the_file(tmp_path: Path) -> None:
    from tests.fixtures.tiny_gguf import write_gguf

    assert contents(write_gguf(tmp_path / "a.gguf")) == {"Q4_1": 14, "F32": 5, "Q8_0": 1}
