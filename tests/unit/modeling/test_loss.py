"""The loss over supervised tokens alone: equal to the plain one, shared beginning or not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from lab.modeling import loss
from lab.modeling.loss import IGNORED, causal_model, supervised_nll, supervised_prefix

PREFIX = 18
LENGTHS = (31, 26, 22)


@pytest.fixture(scope="module")
def model() -> Iterator[Any]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=97,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        initializer_range=0.2,  # far from uniform, so that wrong positions show
    )
    yield LlamaForCausalLM(config).float().train()
    torch.set_num_threads(threads)


@pytest.fixture
def batch() -> tuple[dict[str, Tensor], Tensor]:
    """Three rows, padded right, that share PREFIX tokens; of what follows about half is supervised, in two turns."""
    draw = torch.Generator().manual_seed(1)
    ids = torch.randint(3, 97, (len(LENGTHS), max(LENGTHS)), generator=draw)
    ids[:, :PREFIX] = ids[0, :PREFIX]
    mask = torch.tensor([[1] * n + [0] * (max(LENGTHS) - n) for n in LENGTHS])
    labels = ids.masked_fill(mask == 0, IGNORED)
    labels[:, : PREFIX + 1] = IGNORED
    labels[0, 22:26] = IGNORED
    return {"input_ids": ids.masked_fill(mask == 0, 0), "attention_mask": mask}, labels


def gradients(model: Any, loss: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters()}


def plain_nll(model: Any, inputs: dict[str, Tensor], labels: Tensor) -> Tensor:
    """Cross entropy of every shifted label over all logits, (rows, length - 1), zero where nothing is supervised."""
    logits = model(**inputs, use_cache=False).logits[:, :-1]
    return functional.cross_entropy(logits.transpose(1, 2), labels[:, 1:], ignore_index=IGNORED, reduction="none")


def test_it_is_the_cross_entropy_of_shifted_labels(model: Any, batch: tuple[dict[str, Tensor], Tensor]) -> None:
    inputs, labels = batch
    nll, row = supervised_nll(model, inputs, labels)
    plain = plain_nll(model, inputs, labels)
    kept = labels[:, 1:] != IGNORED
    torch.testing.assert_close(nll, plain[kept], rtol=1e-5, atol=1e-5)
    assert row.tolist() == kept.nonzero()[:, 0].tolist()
    assert torch.bincount(row).tolist() == kept.sum(1).tolist() == [8, 7, 3]
    assert nll.dtype == torch.float32


def test_its_gradients_are_those_of_the_plain_loss(model: Any, batch: tuple[dict[str, Tensor], Tensor]) -> None:
    inputs, labels = batch
    expected = gradients(model, plain_nll(model, inputs, labels).sum())
    found = gradients(model, supervised_nll(model, inputs, labels)[0].sum())
    assert_same(found, expected)


@pytest.mark.parametrize("prefix", [1, PREFIX - 5, PREFIX])
def test_a_shared_beginning_changes_nothing(model: Any, batch: tuple[dict[str, Tensor], Tensor], prefix: int) -> None:
    inputs, labels = batch
    plain, rows = supervised_nll(model, inputs, labels)
    shared, shared_rows = supervised_nll(model, inputs, labels, prefix)
    torch.testing.assert_close(shared, plain, rtol=1e-5, atol=1e-5)
    assert shared_rows.tolist() == rows.tolist()
    assert_same(gradients(model, shared.sum()), gradients(model, plain.sum()))


def test_a_beginning_that_is_not_shared_would_show(model: Any, batch: tuple[dict[str, Tensor], Tensor]) -> None:
    inputs, labels = batch
    inputs["input_ids"][1, 4] += 1
    plain, _ = supervised_nll(model, inputs, labels)
    wrong, _ = supervised_nll(model, inputs, labels, PREFIX)
    assert not torch.allclose(plain, wrong, rtol=1e-3, atol=1e-3)


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Each gradient differs by at most 1e-5 of its norm."""
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        assert gradient.norm() > 0, name
        assert (found[name] - gradient).norm() <= 1e-5 * gradient.norm(), name


def test_the_head_runs_for_supervised_positions_alone(model: Any, batch: tuple[dict[str, Tensor], Tensor]) -> None:
    inputs, labels = batch
    seen: list[tuple[int, ...]] = []
    hook = model.lm_head.register_forward_pre_hook(lambda _, args: seen.append(tuple(args[0].shape)))
    supervised_nll(model, inputs, labels)
    hook.remove()
    assert seen == [(18, 32)]


def test_without_gradients_only_some_logits_exist_at_once(
    model: Any, batch: tuple[dict[str, Tensor], Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, labels = batch
    expected, rows = supervised_nll(model, inputs, labels)
    monkeypatch.setattr(loss, "VALIDATION_TILE", 5 * 8 * 97 + 1)
    seen: list[int] = []
    hook = model.lm_head.register_forward_hook(lambda _, __, logits: seen.append(len(logits)))
    with torch.inference_mode():
        found, found_rows = supervised_nll(model, inputs, labels)
    supervised_nll(model, inputs, labels)
    hook.remove()
    assert seen == [5, 5, 5, 3, 18]
    assert torch.equal(found_rows, rows)
    torch.testing.assert_close(found, expected)


def test_the_shared_beginning_goes_through_the_layers_once(model: Any, batch: tuple[dict[str, Tensor], Tensor]) -> None:
    inputs, labels = batch
    seen: list[tuple[int, ...]] = []
    hook = model.model.embed_tokens.register_forward_pre_hook(lambda _, args: seen.append(tuple(args[0].shape)))
    supervised_nll(model, inputs, labels, PREFIX)
    hook.remove()
    assert seen == [(1, PREFIX), (3, max(LENGTHS) - PREFIX)]


@pytest.mark.parametrize(
    ("settings", "change"),
    [
        ({"logit_scale": 0.5}, lambda x: x * 0.5),
        ({"logits_scaling": 4.0}, lambda x: x / 4.0),
        ({"final_logit_softcapping": 2.0}, lambda x: torch.tanh(x / 2.0) * 2.0),
    ],
)
def test_scalings_behind_the_head_are_applied(
    model: Any,
    batch: tuple[dict[str, Tensor], Tensor],
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, float],
    change: Any,
) -> None:
    inputs, labels = batch
    logits = change(model(**inputs, use_cache=False).logits[:, :-1])
    for name, value in settings.items():
        monkeypatch.setattr(model.config, name, value, raising=False)
    kept = labels[:, 1:] != IGNORED
    expected = functional.cross_entropy(logits[kept], labels[:, 1:][kept], reduction="none")
    torch.testing.assert_close(supervised_nll(model, inputs, labels)[0], expected, rtol=1e-5, atol=1e-5)


def test_no_supervised_token_is_no_loss(model: Any, batch: tuple[dict[str, Tensor], Tensor]) -> None:
    inputs, labels = batch
    nll, row = supervised_nll(model, inputs, torch.full_like(labels, IGNORED))
    assert nll.shape == row.shape == (0,)


HEAD = list(range(100, 130))


@pytest.mark.parametrize(
    ("supervised", "length"),
    [((25, 27), 24), ((27, 25), 24), ((17, 29), 16), ((16, 29), 0), ((0, 29), 0), ((1, 1), 0), ((31, 32), 30)],
)
def test_sharing_stops_before_the_first_supervised_token(supervised: tuple[int, int], length: int) -> None:
    """The token before it is not shared either: its state predicts the first supervised one of its own row."""
    rows = [[*HEAD, 1, 2, 3], [*HEAD, 4, 5, 6]]
    labels = [[IGNORED] * n + row[n:] for n, row in zip(supervised, rows, strict=True)]
    assert supervised_prefix(rows, labels) == length


def test_rows_of_which_nothing_is_supervised_share_all_but_their_last_token() -> None:
    assert supervised_prefix([HEAD, HEAD], [[IGNORED] * 30] * 2) == 29


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # peft asks transformers for it
def test_the_model_is_found_inside_a_wrapper(model: Any) -> None:
    from peft import LoraConfig, get_peft_model

    fresh = LlamaForCausalLM(model.config)
    assert causal_model(fresh) is fresh
    assert causal_model(get_peft_model(fresh, LoraConfig(r=2, target_modules=["q_proj"]))) is fresh
