"""Steps, parameters and memory of a plan, from rows and a configuration alone."""

from __future__ import annotations

from typing import Any

import pytest

from lab.data.masks import IGNORED, Encoded
from lab.data.prepare import Prepared
from lab.modeling.hardware import Hardware
from lab.profile.load import resolve
from lab.profile.schema import Profile
from lab.series.memory import CUDA_OVERHEAD
from lab.training import device as devices
from lab.training.device import hardware_for
from lab.training.plan import sizes_of, steps_of
from lab.training.recipe import decide

GPU = Hardware("cuda", "NVIDIA H100", True, 80_000_000_000, 8)
CPU = Hardware("cpu", "some CPU", False, 1, 2)
LLAMA = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 300,
    "tie_word_embeddings": True,
}
WEIGHTS = 300 * 64 + 2 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 128 + 2 * 64) + 64


def profile(*sets: str) -> Profile:
    tree = {"data": {"source": [{"name": "bundled:helpdesk"}]}, "train": {"examples_per_step": 4}}
    return resolve("some", tree, {}, sets).profile


def rows(count: int, length: int, prefix: int = 0) -> list[Encoded]:
    """Rows of `length` tokens that share the first `prefix`; the last ten are supervised."""
    found = []
    for number in range(count):
        ids = [1] * prefix + [2 + number] * (length - prefix)
        found.append(Encoded(str(number), ids, [IGNORED] * (length - 10) + ids[-10:]))
    return found


def prepared(train: list[Encoded], validation: int = 0) -> Prepared:
    tokens = sum(len(row.input_ids) for row in train)
    report: dict[str, Any] = {"splits": {"train": {"tokens": tokens}}}
    template: Any = None
    return Prepared(train, rows(validation, 20), [], report, template, [])


def sizes(chosen: Profile, data: Prepared, hardware: Hardware = GPU, sharable: bool = False, **config: Any) -> Any:
    recipe = decide(chosen, hardware, [len(row.input_ids) for row in data.train], sharable=sharable)
    return sizes_of(chosen, hardware, recipe, data, {**LLAMA, **config})


@pytest.mark.parametrize(
    ("sets", "count", "expected"),
    [
        ((), 8, {"total": 2, "per_epoch": 2, "epochs": 1.0, "warmup": 0, "validations": 0, "tokens": 400}),
        (("train.epochs=3.0",), 8, {"total": 6, "per_epoch": 2, "epochs": 3.0, "validations": 0, "tokens": 1200}),
        (("train.max_steps=5", "train.eval_every=2"), 8, {"total": 5, "epochs": 2.5, "validations": 2, "tokens": 1000}),
        (("train.warmup_ratio=0.5",), 9, {"total": 3, "per_epoch": 3, "warmup": 2, "tokens": 450}),
        (("train.eval_every=0",), 8, {"validations": 0}),
    ],
)
def test_steps(sets: tuple[str, ...], count: int, expected: dict[str, Any]) -> None:
    found = steps_of(profile(*sets), prepared(rows(count, 50), validation=4))
    assert found is not None
    assert {key: found[key] for key in expected} == expected


def test_without_validation_rows_nothing_is_validated_and_a_baseline_takes_no_step() -> None:
    found = steps_of(profile("train.eval_every=1"), prepared(rows(8, 50)))
    assert found is not None
    assert found["validations"] == 0
    assert steps_of(profile("method.kind=baseline"), prepared([])) is None


def test_parameters_are_those_of_model_and_adapter() -> None:
    found = sizes(profile("method.rank=4"), prepared(rows(8, 50)))
    trainable = 2 * 4 * (128 + 96 + 96 + 128 + 3 * 192)
    assert found["parameters"] == {"total": WEIGHTS, "trainable": trainable, "share": trainable / WEIGHTS}
    assert found["memory"]["trainable"] == 16 * trainable
    assert found["memory"]["weights"] == 2 * WEIGHTS
    assert found["memory"]["overhead"] == CUDA_OVERHEAD


def test_logits_exist_for_supervised_tokens_alone() -> None:
    data = prepared(rows(8, 50))
    few, many = (sizes(profile(), data, vocab_size=size)["memory"]["temporary"] for size in (30_000, 60_000))
    assert many - few == 12 * 4 * 10 * 30_000


def test_what_rows_share_is_kept_once() -> None:
    data = prepared(rows(8, 100, prefix=60))
    apart, shared = (sizes(profile(), data, sharable=flag)["memory"]["activations"] for flag in (False, True))
    assert shared / apart == pytest.approx((4 * 100 - 3 * 60) / (4 * 100))


def test_a_baseline_is_its_weights() -> None:
    found = sizes(profile("method.kind=baseline"), prepared([]))
    assert found["parameters"]["trainable"] == 0
    assert {name: found["memory"][name] for name in ("trainable", "activations", "temporary")} == {
        "trainable": 0,
        "activations": 0,
        "temporary": 0,
    }


def test_quantised_weights_are_smaller() -> None:
    plain, packed = (
        sizes(profile(f"method.kind={kind}"), prepared(rows(8, 50)))["memory"] for kind in ("lora", "qlora")
    )
    assert packed["weights"] < plain["weights"]


def test_it_is_held_against_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    small = Hardware("cuda", "small", True, 1_000_000, 1)
    small_memory = sizes(profile(), prepared(rows(8, 50)), small)["memory"]
    assert small_memory["fits"] is False
    monkeypatch.setattr("lab.training.plan.usable_bytes", lambda: 77)
    on_cpu = sizes(profile(), prepared(rows(8, 50)), CPU)["memory"]
    assert (on_cpu["device_bytes"], on_cpu["fits"]) == (77, False)
    assert (small_memory["at_least"], on_cpu["at_least"]) == (False, True)
    assert on_cpu["overhead"] > 10_000_000  # what this very process takes


def test_an_unknown_family_has_no_sizes_but_a_reason() -> None:
    found = sizes(profile(), prepared(rows(8, 50)), model_type="mamba")
    assert (found["parameters"], found["memory"]) == (None, None)
    assert "mamba" in found["unknown_size"]


@pytest.mark.parametrize(("gpus", "installed", "kind"), [(1, 0, "cpu"), (0, 1, "cpu")])
def test_the_cpu_is_taken_where_no_gpu_is_there_or_wanted(
    monkeypatch: pytest.MonkeyPatch, gpus: int, installed: int, kind: str
) -> None:
    monkeypatch.setattr(devices, "usable_gpus", lambda: [object()] * installed)
    monkeypatch.setattr(devices, "limit_cpu", lambda: None)
    monkeypatch.setattr(devices, "detect", lambda kind, threads: Hardware(kind, "", False, 0, threads))
    assert hardware_for(profile(f"launch.gpus={gpus}", "train.threads=3")) == Hardware(kind, "", False, 0, 3)
