"""What a model folder must hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.modeling.folder import missing_in_folder

INDEX = json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}})


@pytest.mark.parametrize(
    ("files", "lack"),
    [
        ({"config.json": "{}", "model.safetensors": "x"}, None),
        ({"config.json": "{}", "pytorch_model.bin": "x"}, None),
        ({}, "a config.json"),
        ({"model.safetensors": "x"}, "a config.json"),
        ({"config.json": "{}"}, "weights (model.safetensors or pytorch_model.bin)"),
        ({"config.json": "{}", "training_args.bin": "x"}, "weights (model.safetensors or pytorch_model.bin)"),
        ({"config.json": "{}", "model.safetensors": ""}, "the weights file model.safetensors"),
        (
            {"config.json": "{}", "model.safetensors.index.json": INDEX, "model-00001-of-00002.safetensors": "x"},
            "the weights file model-00002-of-00002.safetensors",
        ),
        (
            {
                "config.json": "{}",
                "model.safetensors.index.json": INDEX,
                "model-00001-of-00002.safetensors": "x",
                "model-00002-of-00002.safetensors": "x",
            },
            None,
        ),
        (
            {"config.json": "{}", "model.safetensors.index.json": "torn"},
            "the weights file named in a readable model.safetensors.index.json",
        ),
        (
            {"adapter_config.json": "{}", "adapter_model.safetensors": "x"},
            "a model (it is an adapter: name it in model.adapter, and its base model in model.name)",
        ),
    ],
)
def test_what_is_missing(tmp_path: Path, files: dict[str, str], lack: str | None) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert missing_in_folder(tmp_path) == lack
