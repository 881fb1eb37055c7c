"""Values of a method, a base and an earlier run that contradict each other are refused before anything is loaded."""

from __future__ import annotations

import pytest

from lab.errors import ProfileError
from lab.profile.load import resolve
from lab.profile.methodcheck import CLASHES

TREE = {"data": {"source": [{"name": "bundled:helpdesk"}]}}
REFUSED = [
    (["method.kind=top-layer", "model.quantization=nf4"], "'top-layer' trains weights, which nf4 packs"),
    (["method.kind=full", "method.variant=dora"], "'dora' is a form of adapter, and 'full' trains none"),
    (["method.kind=qlora", "method.variant=pissa"], "'pissa' changes the base, which nf4 packs"),
    (["method.kind=baseline", "model.adapter=run:x"], "A baseline is the untuned model"),
    (
        ["method.kind=full", "model.adapter=run:x", "model.adapter_mode=stack"],
        "'full' trains the weights beneath an adapter",
    ),
    (["method.variant=pissa", "model.adapter=run:x"], "'continue' trains one on"),
    (["method.kind=full", "method.orthogonal_to=run:x"], "constrains a LoRA adapter"),
    (["method.orthogonal_to=previous", "model.adapter=previous"], "cannot be orthogonal to what it was"),
]


def test_every_clash_has_its_case() -> None:
    assert len(REFUSED) == len(CLASHES)


@pytest.mark.parametrize(("sets", "message"), REFUSED, ids=[" ".join(sets) for sets, _ in REFUSED])
def test_refused(sets: list[str], message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        resolve("x", TREE, {}, sets)


@pytest.mark.parametrize(
    "sets",
    [
        ["method.kind=full"],
        ["method.kind=top-layer", "method.layers=6", "method.head=true"],
        ["method.kind=baseline", "model.quantization=int8"],
        ["method.kind=qlora", "model.quantization=int8", "method.variant=dora"],
        ["method.variant=pissa", "model.adapter=run:x", "model.adapter_mode=merge"],
        ["method.orthogonal_to=run:x"],
        ["method.orthogonal_to=previous", "model.adapter=previous", "model.adapter_mode=stack"],
        ["method.kind=full", "model.adapter=run:x", "model.adapter_mode=merge"],
    ],
    ids=" ".join,
)
def test_what_fits_together_passes(sets: list[str]) -> None:
    assert resolve("x", TREE, {}, sets).profile
