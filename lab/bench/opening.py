"""A profile's model, data and recipe in memory, as its worker has them before it trains. Called by benchmarks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from lab.data.prepare import Prepared, prepare
from lab.modeling.hardware import Hardware
from lab.modeling.load import load_base, load_config, load_tokenizer
from lab.modeling.methods import METHODS
from lab.modeling.prefix import can_share
from lab.modeling.source import ModelSource, resolve_model
from lab.profile.schema import Launch, Profile
from lab.training.device import hardware_for
from lab.training.recipe import Recipe, decide


@dataclass(frozen=True)
class Opened:
    """All but the weights, which `fresh_model` loads."""

    profile: Profile
    hardware: Hardware
    source: ModelSource
    tokenizer: Any
    prepared: Prepared
    config: Any
    recipe: Recipe

    def fresh_model(self) -> Any:
        """Load the base and put what trains into it, as the profile's seed draws it."""
        return METHODS[self.profile.method.kind](self.fresh_base(), self.profile.method, self.profile.train.seed)

    def fresh_base(self) -> Any:
        """Load the base."""
        return load_base(
            self.source,
            device=self.recipe.device.value,
            dtype=self.recipe.dtype.value,
            quantization=self.recipe.quantization.value,
            double_quant=self.profile.model.double_quant,
            attention=self.recipe.load_attention,
            trust_remote_code=self.profile.model.trust_remote_code,
        )


def open_training(profile: Profile) -> Opened:
    """Resolve, prepare and decide, for one process; torch is told how many threads to use.

    Raises:
        LabError: what a worker would fail with.
    """
    profile = profile.model_copy(update={"launch": Launch(gpus=min(profile.launch.gpus, 1))})
    hardware = hardware_for(profile)
    torch.set_num_threads(hardware.threads)
    source = resolve_model(profile.model.name, profile.model.revision)
    trust = profile.model.trust_remote_code
    tokenizer = load_tokenizer(source, trust_remote_code=trust)
    config = load_config(source, trust_remote_code=trust)
    prepared = prepare(profile, tokenizer)
    lengths = [len(row.input_ids) for row in prepared.train]
    recipe = decide(profile, hardware, lengths, sharable=can_share(config), config=config)
    return Opened(profile, hardware, source, tokenizer, prepared, config, recipe)
