"""Single fast pieces against PyTorch's own operations on small random data. Called by `fastchecks`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from lab.bench.checking import ITEMS, Setting, apart
from lab.bench.tinymodels import plain_model
from lab.modeling.fast import kernels
from lab.modeling.fast.head import head_loss
from lab.modeling.fast.varlen import attend_each


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
