"""What trains, by method: a dict from `method.kind` to a function that prepares the loaded base for training."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lab.errors import ProfileError
from lab.modeling.adapters import add_lora
from lab.profile.schema import Method
from lab.text import plural

if TYPE_CHECKING:
    import torch
    from torch import nn


def train_top(model: Any, method: Method, seed: int) -> Any:
    """Let the last `method.layers` blocks train, and the head with `method.head`; all else stays frozen.

    Without the head the final norm stays frozen too. A tied head is the embedding, so both train: see `head_is_tied`.

    Raises:
        ProfileError: the model has fewer blocks, or its weights are packed.
    """
    blocks = decoder_blocks(model)
    if method.layers > len(blocks):
        raise ProfileError(
            f"method.layers = {method.layers}, and the model has {plural(len(blocks), 'block')}.",
            f"Set it to {len(blocks)} or less.",
        )
    _refuse_packed(model, method)
    model.requires_grad_(False)
    for block in blocks[-method.layers :]:
        block.requires_grad_(True)
    if method.head:
        model.get_output_embeddings().requires_grad_(True)
        _keep_stream(model)
    return model


def train_all(model: Any, method: Method, seed: int) -> Any:
    """Let every weight train. Raises ProfileError where they are packed."""
    _refuse_packed(model, method)
    model.requires_grad_(True)
    _keep_stream(model)
    return model


METHODS: dict[str, Callable[[Any, Method, int], Any]] = {
    "baseline": lambda model, method, seed: model,
    "lora": add_lora,
    "qlora": add_lora,
    "top-layer": train_top,
    "full": train_all,
}


def decoder_blocks(model: Any) -> Any:
    """Return the blocks of a causal model, a ModuleList. Raises ProfileError where they cannot be found."""
    decoder = model.get_decoder()
    for name in ("layers", "h", "blocks", "block"):
        if (blocks := getattr(decoder, name, None)) is not None:
            return blocks
    raise ProfileError(
        f"The blocks of a {type(model).__name__} cannot be told apart.", 'Set method.kind to "lora", "qlora" or "full".'
    )


def head_is_tied(model: Any) -> bool:
    """Tell whether the head is the embedding, so that training one trains the other."""
    head = model.get_output_embeddings()
    return head is not None and head.weight is model.get_input_embeddings().weight


def _keep_stream(model: Any) -> None:
    """Keep the residual stream in the model's own precision, though a trained embedding is held in fp32."""
    embedding = model.get_input_embeddings()
    dtype = embedding.weight.dtype
    if embedding.weight.requires_grad:
        embedding.register_forward_hook(lambda module, inputs, output: output.to(dtype))


def _refuse_packed(model: nn.Module, method: Method) -> None:
    if any(not p.is_floating_point() for p in model.parameters()):
        raise ProfileError(
            f"method.kind = '{method.kind}' cannot train packed weights.", 'Set model.quantization to "none".'
        )


def cast_trainable(model: torch.nn.Module, dtype: torch.dtype) -> None:
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(dtype)


def cast_adapter(model: torch.nn.Module, dtype: torch.dtype) -> None:
    """Bring what trained to `dtype`, adapters frozen or not: answering in the base's own precision spares casts."""
    for name, parameter in model.named_parameters():
        if "lora_" in name or parameter.requires_grad:
            parameter.data = parameter.data.to(dtype)
