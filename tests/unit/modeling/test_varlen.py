"""Packed rows are computed as rows by themselves are: logits, losses and gradients of each architecture."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lab.data.masks import IGNORED, Encoded
from lab.modeling.fast.varlen import (
    NAME,
    attend_each,
    attention,
    document_ends,
    kernel_obstacle,
    packing_obstacle,
    varlen_available,
)
from lab.modeling.loss import packed_nll, supervised_nll
from lab.training.batches import Batch, Layout, packed_batch

LENGTHS = (11, 3, 17, 1, 6)
WINDOW = 4
SHAPE = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
KINDS: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen2": {},
    "mistral": {"sliding_window": WINDOW},
    "gemma3_text": {"sliding_window": WINDOW, "layer_types": ["sliding_attention", "full_attention"]},
}


def rows() -> list[Encoded]:
    """Rows of random tokens; about a third of each is not supervised, and the shortest has nothing to predict."""
    generator = torch.Generator().manual_seed(3)
    made = []
    for index, length in enumerate(LENGTHS):
        ids = torch.randint(3, 61, (length,), generator=generator).tolist()
        labels = [token if place % 3 else IGNORED for place, token in enumerate(ids)]
        made.append(Encoded(str(index), ids, labels))
    return made


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.for_model(request.param, **SHAPE, **KINDS[request.param])
    made = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa", dtype=torch.float32).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(0.0, 0.2)
    return made


def separate(model: nn.Module) -> Tensor:
    """Return the losses of rows that go through the model one by one."""
    losses = []
    for row in rows():
        ids, labels = torch.tensor([row.input_ids]), torch.tensor([row.labels])
        losses.append(supervised_nll(model, {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, labels)[0])
    return torch.cat(losses)


def gradients(model: nn.Module, losses: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(losses.sum(), [p for p in model.parameters() if p.requires_grad]))


def packed(multiple: int) -> Batch:
    return packed_batch(rows(), Layout(packed=True, pad_token_id=0, tokens=64, multiple=multiple))


@pytest.mark.parametrize("implementation", ["varlen", "sdpa", "eager"])
@pytest.mark.parametrize("multiple", [1, 32])
def test_packed_rows_have_the_losses_and_gradients_of_separate_ones(
    model: Any, implementation: str, multiple: int
) -> None:
    expected = separate(model)
    with attention(model, implementation):
        found = packed_nll(model, packed(multiple))
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        for ours, theirs in zip(gradients(model, found), gradients(model, expected), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("implementation", ["varlen", "sdpa"])
def test_packed_rows_have_the_logits_of_separate_ones(model: Any, implementation: str) -> None:
    batch = packed(1)
    with attention(model, implementation), torch.no_grad():
        inputs = {name: batch[name] for name in ("input_ids", "position_ids")}
        found = model(**inputs, use_cache=False, **document_ends(batch)).logits[0]
    with torch.no_grad():
        expected = torch.cat([model(torch.tensor([row.input_ids]), use_cache=False).logits[0] for row in rows()])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_the_check_would_see_documents_that_look_at_each_other(model: Any) -> None:
    batch = packed(1)
    one = {**batch, "cu_seq_lens": torch.tensor([0, sum(LENGTHS)], dtype=torch.int32), "max_length": sum(LENGTHS)}
    with attention(model, "varlen"), torch.no_grad():
        found = packed_nll(model, one)
    assert (found - separate(model)).abs().max() > 1e-2


def test_padded_batches_and_capped_logits_are_refused(model: Any) -> None:
    ids = torch.tensor([[5, 6, 7]])
    with attention(model, "varlen"):
        assert model.config._attn_implementation == NAME
        with pytest.raises(RuntimeError, match="does not say where documents end"):
            model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)
        ends = document_ends({"cu_seq_lens": torch.tensor([0, 3], dtype=torch.int32), "max_length": 3})
        with pytest.raises(RuntimeError, match="cap"):
            model(input_ids=ids, use_cache=False, softcap=30.0, **ends)


def test_empty_documents_change_nothing() -> None:
    torch.manual_seed(1)
    query, key, value = (torch.randn(9, heads, 8) for heads in (4, 2, 2))
    plain = attend_each(query, key, value, torch.tensor([0, 5, 9]), None, None)
    empty = attend_each(query, key, value, torch.tensor([0, 5, 5, 9, 9, 9]), None, None)
    assert torch.equal(plain, empty)


@pytest.mark.parametrize("window", [None, 1, 3, 9, 20])
def test_each_document_is_attended_as_written_out(window: int | None) -> None:
    torch.manual_seed(2)
    query, key, value = (torch.randn(12, heads, 8) for heads in (4, 2, 2))
    ends = [0, 9, 12]
    found = attend_each(query, key, value, torch.tensor(ends), 0.3, window)
    document = torch.bucketize(torch.arange(12), torch.tensor(ends[1:]), right=True)
    back = torch.arange(12)[:, None] - torch.arange(12)[None]
    seen = (document[:, None] == document[None]) & (back >= 0) & (back < (window or 12))
    scores = torch.einsum("qhd,khd->hqk", query, key.repeat_interleave(2, 1)) * 0.3
    weights = scores.masked_fill(~seen, -torch.inf).softmax(-1)
    expected = torch.einsum("hqk,khd->qhd", weights, value.repeat_interleave(2, 1))
    torch.testing.assert_close(found, expected)


def _config(kind: str, **changes: Any) -> Any:
    from transformers import AutoConfig

    return AutoConfig.for_model(kind, **{**SHAPE, **changes})


@pytest.mark.parametrize(
    ("kind", "changes", "dtype", "reason"),
    [
        ("llama", {}, "bf16", ""),
        ("llama", {}, "fp16", ""),
        ("llama", {}, "fp32", "fp32"),
        ("llama", {"head_dim": 320}, "bf16", "320 wide"),
        ("llama", {"head_dim": 12}, "bf16", "12 wide"),
        ("llama", {"attention_dropout": 0.1}, "bf16", "drop"),
        ("gemma2", {}, "bf16", "cap"),
    ],
)
def test_what_the_kernel_serves(kind: str, changes: dict[str, Any], dtype: str, reason: str) -> None:
    found = kernel_obstacle(_config(kind, **changes), dtype)
    assert (reason in found) if reason else not found


@pytest.mark.parametrize(("kind", "packable"), [("llama", True), ("gemma3_text", True), ("mamba", False)])
def test_who_takes_packed_rows(kind: str, packable: bool) -> None:
    from transformers import AutoConfig

    assert (packing_obstacle(AutoConfig.for_model(kind)) == "") is packable


def test_an_unknown_or_wrapped_model_takes_none() -> None:
    from transformers import AutoConfig

    assert packing_obstacle(None)
    assert "wraps" in packing_obstacle(AutoConfig.for_model("gemma3"))


def test_this_torch_has_the_interface() -> None:
    assert varlen_available()
