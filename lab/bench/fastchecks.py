"""Whether the fast pieces compute what the plain path does: `python -m lab.bench.fastchecks --device cuda`, in seconds.

Each check holds a fast piece against PyTorch's or PEFT's own operations on small random data and prints how far they
are apart: the norm of the difference by the norm of the plain result. A check that raises prints how, and the next one
goes on. Exit code 0 where all passed. Attention over documents has its own checks (`lab.bench.exactness`).
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from lab.bench.tinymodels import FAMILIES, adapted, packed_rows, plain_model
from lab.modeling.fast import kernels
from lab.modeling.fast.choose import BLOCK_FAMILIES
from lab.modeling.fast.head import head_loss
from lab.modeling.fast.install import fused
from lab.modeling.fast.layers import liger_layers
from lab.modeling.fast.step import PackedStep
from lab.modeling.fast.varlen import attend_each, attention
from lab.modeling.frozen import whole_weight
from lab.modeling.loss import packed_nll
from lab.modeling.methods import METHODS, cast_trainable
from lab.profile.schema import Method

LIMITS = {"bf16": 5e-2, "fp32": 2e-4}
TYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}
ITEMS = 100


@dataclass(frozen=True)
class Setting:
    """Where checks run, and in which precision."""

    device: torch.device
    precision: str

    @property
    def dtype(self) -> torch.dtype:
        return TYPES[self.precision]

    def random(self, *shape: int) -> Tensor:
        return torch.randn(*shape, device=self.device, dtype=self.dtype)


Check = Callable[[Setting], float]


def apart(fast: Iterable[Tensor], plain: Iterable[Tensor]) -> float:
    """Return the largest relative distance of pairs of tensors."""
    pairs = [(a.detach().double(), b.detach().double()) for a, b in zip(fast, plain, strict=True)]
    return max(float((a - b).norm() / b.norm().clamp_min(1e-30)) for a, b in pairs)


@contextlib.contextmanager
def plain_kernels() -> Iterator[None]:
    """Let PyTorch's own operations serve, whatever is installed."""
    before, kernels.only_torch = kernels.only_torch, True
    try:
        yield
    finally:
        kernels.only_torch = before


def check_norm(at: Setting) -> float:
    """RMS norm and its gradient."""
    x, weight, gradient = at.random(96, 512).requires_grad_(), at.random(512), at.random(96, 512)
    found = []
    for one_more in (False, True):
        fast = kernels.rms_norm(x, weight, 1e-6, one_more=one_more)
        with plain_kernels():
            plain = kernels.rms_norm(x, weight, 1e-6, one_more=one_more)
        pulled = [torch.autograd.grad(y, x, gradient)[0] for y in (fast, plain)]
        found += [apart([fast], [plain]), apart(pulled[:1], pulled[1:])]
    return max(found)


def check_norm_rows(at: Setting) -> float:
    """RMS norm made again from its rows, and its gradient with another one added, against autograd."""
    x, weight = at.random(96, 500).requires_grad_(), at.random(500)
    gradient, plus, found = at.random(96, 500), at.random(96, 500), []
    for one_more in (False, True):
        y, scale = kernels.norm_rows(x.detach(), weight, 1e-6, one_more=one_more)
        dx = kernels.norm_rows_backward(x.detach(), weight, scale, gradient, one_more=one_more, plus=plus)
        with plain_kernels():
            plain = kernels.rms_norm(x, weight, 1e-6, one_more=one_more)
        (pulled,) = torch.autograd.grad(plain, x, gradient)
        found.append(apart([y, dx], [plain, pulled + plus]))
    return max(found)


def check_rotation(at: Setting) -> float:
    """Rotary positions, there and back."""
    y, cos, sin = at.random(64, 1024), at.random(64, 64), at.random(64, 64)
    found = []
    for back in (False, True):
        fast, plain = y.clone(), y.clone()
        kernels.rotate_(fast, cos, sin, 12, back=back)
        with plain_kernels():
            kernels.rotate_(plain, cos, sin, 12, back=back)
        found.append(apart([fast], [plain]))
    return max(found)


def check_rotation_apart(at: Setting) -> float:
    """Queries, keys and values taken apart and turned, and their gradients put together."""
    y, cos, sin = at.random(67, 64 * 15), at.random(67, 64), at.random(67, 64)
    counts = (9, 3, 3)
    dq, dk, dv = (at.random(67, count, 64) for count in counts)

    def there_and_back() -> list[Tensor]:
        parts = kernels.rotate_apart(y.clone(), cos, sin, counts)
        return [*parts, kernels.rotate_together(dq, dk, dv, cos, sin)]

    fast = there_and_back()
    with plain_kernels():
        plain = there_and_back()
    return apart(fast, plain)


def check_gated(at: Setting) -> float:
    """The gated product with its adapters, and its gradients."""
    width, rank = 384, 16
    both, inner, up = at.random(200, 2 * width), at.random(200, 2 * rank), at.random(2 * width, 2 * rank) * 0.1
    up[:width, rank:] = 0
    up[width:, :rank] = 0
    gradient, found = at.random(200, width), []
    for gelu in (False, True):
        fast, plain = ([both.clone(), gradient.clone()] for _ in range(2))
        products = [kernels.gated(both, inner, up, gelu=gelu)]
        kernels.gated_backward_(fast[0], inner, up, fast[1], gelu=gelu)
        with plain_kernels():
            products.append(kernels.gated(both, inner, up, gelu=gelu))
            kernels.gated_backward_(plain[0], inner, up, plain[1], gelu=gelu)
        found += [apart(products[:1], products[1:]), apart(fast, plain)]
    return max(found)


def check_head(at: Setting) -> float:
    """The head's loss and the gradients of the hidden states and of its weight, against cross entropy."""
    vocabulary, count = 32000, 700
    causal = plain_model("llama", at.device, at.dtype, vocabulary=vocabulary)
    head = causal.get_output_embeddings().requires_grad_(True)
    rows = at.random(count, causal.config.hidden_size).requires_grad_()
    targets = torch.randint(0, vocabulary, (count,), device=at.device)
    targets[::7] = kernels.IGNORED
    fast = head_loss(causal, rows, targets, ITEMS)
    plain = functional.cross_entropy(head(rows).float(), targets, reduction="sum") / ITEMS
    ours, theirs = (torch.autograd.grad(loss, [rows, head.weight]) for loss in (fast, plain))
    return max(apart([fast], [plain]), apart(ours, theirs))


def check_flash(at: Setting) -> float:
    """Attention over documents with fewer key heads, and its gradients, against SDPA over each document."""
    from lab.modeling.fast.flash import flash

    ends = torch.tensor([0, 5, 70, 70, 200, 256, 256], dtype=torch.int32, device=at.device)
    heads = [at.random(256, count, 64).requires_grad_() for count in (8, 2, 2)]
    gradient, found = at.random(256, 8, 64), []
    for window in (None, 16):
        fast = flash(heads[0], heads[1], heads[2], ends, 256, 0.125, window)
        plain = attend_each(heads[0], heads[1], heads[2], ends, 0.125, window)
        pulled = [torch.autograd.grad(y, heads, gradient) for y in (fast, plain)]
        found += [apart([fast], [plain]), apart(*pulled)]
    return max(found)


def check_short(at: Setting) -> float:
    """Attention over short documents, and its gradients, against SDPA over each document."""
    from lab.modeling.fast.documents import attend_documents, document_spans

    ends, found = torch.tensor([0, 5, 70, 70, 71, 200, 333], dtype=torch.int32, device=at.device), []
    spans = document_spans(ends, 333)
    for query_heads, key_heads, width in ((8, 2, 64), (9, 3, 64), (4, 4, 32), (8, 1, 128)):
        heads = [at.random(333, count, width).requires_grad_() for count in (query_heads, key_heads, key_heads)]
        gradient = at.random(333, query_heads, width)
        fast = attend_documents(heads[0], heads[1], heads[2], spans, 0.125)
        plain = attend_each(heads[0], heads[1], heads[2], ends, 0.125, None)
        pulled = [torch.autograd.grad(y, heads, gradient) for y in (fast, plain)]
        found += [apart([fast], [plain]), apart(*pulled)]
    return max(found)


def check_steps(
    family: str,
    quantised: str = "",
    *,
    dora: bool = False,
    graph: bool = False,
    recomputed: bool = False,
    blocks: bool = False,
    short: bool = False,
) -> Check:
    """Return a check of whole micro-steps with fused projections: losses and the gradients of all adapters."""

    def check(at: Setting) -> float:
        model = adapted(family, at.device, at.dtype, quantised=quantised, dora=dora)
        if quantised == "int8":
            _keep_activations(model, at.dtype)
        if recomputed:
            model.get_base_model().activation_checkpointing_enable(
                {"use_reentrant": False, "preserve_rng_state": False}
            )
            model.enable_input_require_grads()
        return _steps_apart(model, at, graph=graph, blocks=blocks, short=short)

    return check


def check_whole_weights(family: str, *, layers: int = 0, graph: bool = False, short: bool = False) -> Check:
    """Return a check of micro-steps that train weights of the model itself: all of them, or the last `layers` blocks.

    On a GPU the fast steps go by Liger's kernels too, as they do in a run.
    """

    def check(at: Setting) -> float:
        method = Method(kind="top-layer", layers=layers) if layers else Method(kind="full")
        model = METHODS[method.kind](plain_model(family, at.device, at.dtype).train(), method, 0)
        cast_trainable(model, torch.float32)
        trained = [p for p in model.parameters() if p.requires_grad]
        with attention(model, "varlen"):
            plain = [_plain(model, trained, batch, at) for batch in _batches(at)]
            with contextlib.ExitStack() as stack:
                if at.device.type == "cuda":
                    stack.enter_context(liger_layers(model))
                step = PackedStep(model, trained, graph=graph, precision=partial(_autocast, at), short=short)
                found = _compare(step, trained, plain, at)
                step.release()
        return found

    return check


def _autocast(at: Setting) -> torch.autocast:
    enabled = at.precision == "bf16"
    return torch.autocast(at.device.type, dtype=torch.bfloat16, enabled=enabled, cache_enabled=False)


def _keep_activations(model: Any, dtype: torch.dtype) -> None:
    """Let 8-bit linears compute by what their weights stand for: on a GPU LLM.int8() rounds what it multiplies too."""
    for module in model.modules():
        if type(module).__name__ == "Linear8bitLt" and hasattr(module, "state"):
            module.forward = partial(functional.linear, weight=whole_weight(module, dtype))


def _steps_apart(model: Any, at: Setting, *, graph: bool, blocks: bool, short: bool) -> float:
    """Return how far fast steps are from plain ones."""
    causal, trained = model.get_base_model(), [p for p in model.parameters() if p.requires_grad]
    with attention(causal, "varlen"):
        plain = [_plain(model, trained, batch, at) for batch in _batches(at)]
        with fused(model, blocks=blocks) as installed:
            if not installed.whole or (blocks and not installed.blocks):
                raise AssertionError(f"left to PEFT: {installed.left}; blocks: {installed.blocks}")
            step = PackedStep(causal, trained, graph=graph, short=short)
            found = _compare(step, trained, plain, at)
            step.release()
    return found


def _batches(at: Setting) -> list[dict[str, Any]]:
    """Return batches of two shapes in turn."""
    return [packed_rows(seed, multiple=128, device=at.device) for seed in (0, 1, 10, 2, 11, 0)]


def _compare(
    step: PackedStep, trained: Sequence[Tensor], plain: Sequence[tuple[Tensor, list[Tensor]]], at: Setting
) -> float:
    """Return how far `step` is from the plain losses and gradients of `_batches`, each taken twice and added up."""
    found = []
    for batch, (loss, gradients) in zip(_batches(at), plain, strict=True):
        for parameter in trained:
            parameter.grad = None
        losses = [step(batch, ITEMS), step(batch, ITEMS)]
        halves = [p.grad / 2 for p in trained if p.grad is not None]
        found += [apart(losses, [loss, loss]), apart([_flat(halves)], [_flat(gradients)])]
    return max(found)


def _plain(model: Any, trained: Sequence[Tensor], batch: dict[str, Any], at: Setting) -> tuple[Tensor, list[Tensor]]:
    with _autocast(at):
        loss = packed_nll(model, batch).sum() / ITEMS
    return loss.detach(), list(torch.autograd.grad(loss, trained))


def _flat(tensors: Iterable[Tensor]) -> Tensor:
    return torch.cat([tensor.reshape(-1).float() for tensor in tensors])


def checks(device: torch.device) -> dict[str, Check]:
    """Return all checks for a device by their names."""
    found: dict[str, Check] = {
        "norm": check_norm,
        "norm made again": check_norm_rows,
        "rotation": check_rotation,
        "rotation, taken apart": check_rotation_apart,
        "gated product": check_gated,
        "head": check_head,
    }
    if device.type == "cuda":
        found["attention, grouped heads"] = check_flash
        found["attention, short documents"] = check_short
        for family in ("llama", "qwen2", "qwen3", "gemma3"):  # the last with windows
            found[f"short documents, {family}"] = check_steps(family, blocks=family in BLOCK_FAMILIES, short=True)
        found["short documents, replayed"] = check_steps("llama", graph=True, blocks=True, short=True)
    found |= {f"projections, {family}": check_steps(family) for family in FAMILIES}
    found |= {f"projections, {kind}": check_steps("llama", kind) for kind in ("nf4", "nf4 double", "int8")}
    found |= {f"projections, dora, {family}": check_steps(family, dora=True) for family in ("qwen2", "gemma3")}
    found["projections, dora, nf4"] = check_steps("llama", "nf4", dora=True)
    found |= {f"blocks, {family}": check_steps(family, blocks=True) for family in ("llama", "mistral", "qwen2")}
    found |= {f"blocks, {kind}": check_steps("llama", kind, blocks=True) for kind in ("nf4", "int8")}
    found["blocks, dora"] = check_steps("llama", dora=True, blocks=True)
    found["blocks, recomputed"] = check_steps("llama", recomputed=True, blocks=True)
    found["blocks, replayed"] = check_steps("llama", graph=True, blocks=True)
    found |= {
        f"blocks, {kind}, replayed": check_steps("llama", kind, graph=True, blocks=True) for kind in ("nf4", "int8")
    }
    found["blocks, dora, replayed"] = check_steps("llama", dora=True, graph=True, blocks=True)
    found["blocks, recomputed, replayed"] = check_steps("llama", recomputed=True, graph=True, blocks=True)
    found["projections, recomputed"] = check_steps("llama", recomputed=True)
    found["projections, recomputed, replayed"] = check_steps("gemma3", recomputed=True, graph=True)
    found |= {f"replayed, {family}": check_steps(family, graph=True) for family in ("llama", "gemma3")}
    found["replayed, nf4"] = check_steps("llama", "nf4", graph=True)
    found |= {f"all weights, {family}": check_whole_weights(family) for family in ("llama", "gemma3")}
    found |= {f"all weights, {family}, replayed": check_whole_weights(family, graph=True) for family in FAMILIES}
    found["last block, replayed"] = check_whole_weights("llama", layers=1, graph=True)
    if device.type == "cuda":
        found["all weights, short, replayed"] = check_whole_weights("llama", graph=True, short=True)
    return found


def run(device: torch.device, precision: str) -> bool:
    """Print a line a check; return whether all passed."""
    passed = True
    for name, check in checks(device).items():
        torch.manual_seed(0)
        try:
            distance = check(Setting(device, precision))
            line = f"{distance:.1e} {'ok' if distance <= LIMITS[precision] else 'TOO FAR'}"
        except Exception:  # noqa: BLE001  (one broken piece must not hide the others)
            line = "FAILED\n" + "".join(traceback.format_exc().splitlines(keepends=True)[-6:])
        passed &= line.endswith("ok")
        sys.stdout.write(f"{precision}  {name:28} {line}\n")
        sys.stdout.flush()
    return passed


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="lab.bench.fastchecks", description=__doc__)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--precision", choices=tuple(TYPES), help="bf16 on a GPU, fp32 elsewhere")
    options = parser.parse_args(arguments)
    precision = options.precision or ("bf16" if options.device == "cuda" else "fp32")
    return 0 if run(torch.device(options.device), precision) else 1


if __name__ == "__main__":
    sys.exit(main())
