"""Steps, parameters and memory of a plan, from rows and a configuration alone."""

from __future__ import annotations

from typing import Any

import pytest

from lab.data.masks import IGNORED, Encoded
from lab.data.prepare import Prepared
from lab.errors import UsageError
from lab.modeling.hardware import Hardware
from lab.profile.load import resolve
from lab.profile.schema import Profile
from lab.series.families import shape_from_config
from lab.series.memory import CUDA_OVERHEAD
from lab.training import device as devices
from lab.training.device import hardware_for
from lab.training.plan import expected_steps, steps_of
from lab.training.recipe import decide
from lab.training.sizes import kept_layers, sizes_of

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
    return sizes_of(chosen, hardware, recipe, data.train, data.validation, {**LLAMA, **config})


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


LAYER = 2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 128 + 2 * 64
EMBEDDING = 300 * 64
LINEARS = 2 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 128)
OUTPUTS = 2 * (64 + 32 + 32 + 64 + 128 + 128 + 64)
LORA = 2 * 16 * (128 + 96 + 96 + 128 + 3 * 192)


@pytest.mark.parametrize(
    ("sets", "trainable", "weights"),
    [
        (("method.kind=lora",), LORA, 2 * WEIGHTS),
        (("method.kind=lora", "method.variant=rslora"), LORA, 2 * WEIGHTS),
        (("method.kind=lora", "method.variant=pissa"), LORA, 2 * WEIGHTS),
        (("method.kind=lora", "method.variant=dora"), LORA + OUTPUTS, 2 * WEIGHTS),
        (("method.kind=lora", "method.target_modules=attention"), 2 * 16 * 448, 2 * WEIGHTS),
        (("method.kind=qlora",), LORA, 2 * (WEIGHTS - LINEARS) + LINEARS * 9 // 16),
        (("method.kind=lora", "model.quantization=int8"), LORA, 2 * (WEIGHTS - LINEARS) + LINEARS + 4 * OUTPUTS),
        (("method.kind=top-layer",), LAYER, 2 * WEIGHTS),
        (("method.kind=top-layer", "method.layers=2"), 2 * LAYER, 2 * WEIGHTS),
        (("method.kind=top-layer", "method.head=true"), LAYER + EMBEDDING, 2 * WEIGHTS),
        (("method.kind=full",), WEIGHTS, 2 * WEIGHTS),
        (("method.kind=baseline",), 0, 2 * WEIGHTS),
        (("method.kind=baseline", "model.quantization=nf4"), 0, 2 * (WEIGHTS - LINEARS) + LINEARS * 9 // 16),
        (("method.kind=baseline", "model.quantization=int8"), 0, 2 * (WEIGHTS - LINEARS) + LINEARS + 4 * OUTPUTS),
    ],
)
def test_every_method_trains_and_takes_what_it_must(sets: tuple[str, ...], trainable: int, weights: int) -> None:
    found = sizes(profile(*sets), prepared(rows(8, 50)))
    assert found["parameters"]["trainable"] == trainable
    assert found["memory"]["weights"] == weights
    # the weight in fp32 (for one of the base: its cast for the pass besides, less the first one), gradient, two moments
    assert found["memory"]["trainable"] == 16 * trainable
    assert (steps_of(profile(*sets), prepared(rows(8, 50))) is None) is (trainable == 0)


@pytest.mark.parametrize(
    ("sets", "layers"),
    [
        (("method.kind=full",), 2),
        (("method.kind=lora",), 2),
        (("method.kind=top-layer",), 1),
        (("method.kind=top-layer", "method.layers=2"), 2),
        (("method.kind=top-layer", "method.head=true"), 2),  # its head is the embedding, beneath them all
    ],
)
def test_below_what_trains_nothing_is_kept(sets: tuple[str, ...], layers: int) -> None:
    data = prepared(rows(8, 50))
    full, found = (sizes(profile(*one), data)["memory"]["activations"] for one in (("method.kind=full",), sets))
    adapters = 2 * 4 * 50 * 14 * 16 if "method.kind=lora" in sets else 0
    assert found - adapters == full * layers // 2


def test_a_head_of_its_own_lies_above_the_blocks() -> None:
    found = profile("method.kind=top-layer", "method.head=true")
    shapes = [shape_from_config({**LLAMA, "tie_word_embeddings": tied}) for tied in (False, True)]
    assert [kept_layers(found, shape) for shape in shapes] == [1, None]


@pytest.mark.parametrize(
    ("optimizer", "moments", "beside"),
    [
        ("auto", 8.0, 0.0),
        ("adamw_8bit", 2 * 260 / 256, 0.0),
        ("paged_adamw", 0.0, 8.0),
        ("paged_adamw_8bit", 0.0, 2 * 260 / 256),
    ],
)
def test_the_optimiser_decides_what_moments_take(optimizer: str, moments: float, beside: float) -> None:
    found = sizes(profile(f"train.optimizer={optimizer}"), prepared(rows(8, 50)))["memory"]
    assert found["trainable"] == 8 * LORA + round(moments * LORA)
    assert found["overhead"] == CUDA_OVERHEAD + round(beside * LORA)


def test_a_micro_batch_is_no_larger_than_a_step_of_tokens() -> None:
    data = prepared(rows(8, 50))
    one, two = (
        sizes(profile(f"train.tokens_per_step={tokens}"), data)["memory"]["activations"] for tokens in (100, 200)
    )
    assert two == 2 * one
    found = steps_of(profile("train.tokens_per_step=200"), data)
    assert found is not None
    assert (found["total"], found["tokens"]) == (2, 400)


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ((), None),  # 0 takes what there is
        (("data.source.0.train=9",), {"total": 3, "per_epoch": 3, "validations": 0, "tokens": None}),
        (("data.source.0.train=9", "train.eval_every=1"), {"total": 3, "validations": 0}),
        (("data.source.0.train=9", "train.eval_every=1", "data.source.0.validation=2"), {"validations": 3}),
        (("data.source.0.train=9", "train.tokens_per_step=4096"), None),
        (("data.source.0.train=9", "method.kind=baseline"), None),
    ],
)
def test_steps_expected_of_rows_that_nobody_read(sets: tuple[str, ...], expected: dict[str, Any] | None) -> None:
    found = expected_steps(profile(*sets))
    assert found == expected if expected is None or found is None else expected.items() <= found.items()


def test_quantised_weights_are_smaller() -> None:
    plain, packed = (
        sizes(profile(f"method.kind={kind}"), prepared(rows(8, 50)))["memory"] for kind in ("lora", "qlora")
    )
    assert packed["weights"] < plain["weights"]


def test_it_is_held_against_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    small = Hardware("cuda", "small", True, 1_000_000, 1)
    small_memory = sizes(profile(), prepared(rows(8, 50)), small)["memory"]
    assert small_memory["fits"] is False
    monkeypatch.setattr("lab.training.sizes.usable_bytes", lambda: 77)
    on_cpu = sizes(profile(), prepared(rows(8, 50)), CPU)["memory"]
    assert (on_cpu["device_bytes"], on_cpu["fits"]) == (77, False)
    assert (small_memory["at_least"], on_cpu["at_least"]) == (False, True)
    assert on_cpu["overhead"] > 10_000_000  # what this very process takes


def test_an_unknown_family_has_no_sizes_but_a_reason() -> None:
    found = sizes(profile(), prepared(rows(8, 50)), model_type="mamba")
    assert (found["parameters"], found["memory"]) == (None, None)
    assert "mamba" in found["unknown_size"]


def test_targets_that_a_known_family_lacks_are_refused() -> None:
    with pytest.raises(UsageError, match="no linear 'zzz'"):
        sizes(profile('method.target_modules=["q_proj", "zzz"]'), prepared(rows(8, 50)))


@pytest.mark.parametrize(("gpus", "installed", "kind"), [(1, 0, "cpu"), (0, 1, "cpu")])
def test_the_cpu_is_taken_where_no_gpu_is_there_or_wanted(
    monkeypatch: pytest.MonkeyPatch, gpus: int, installed: int, kind: str
) -> None:
    monkeypatch.setattr(devices, "usable_gpus", lambda: [object()] * installed)
    monkeypatch.setattr(devices, "limit_cpu", lambda: None)
    monkeypatch.setattr(devices, "detect", lambda kind, threads: Hardware(kind, "", False, 0, threads))
    assert hardware_for(profile(f"launch.gpus={gpus}", "train.threads=3")) == Hardware(kind, "", False, 0, 3)
