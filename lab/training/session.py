"""A loaded run: model, data and recipe in memory, from which the worker trains and evaluates."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

import datasets
import torch
import transformers

from lab import atomic
from lab.data.prepare import Prepared, prepare
from lab.evaluation.run import Subject, evaluate
from lab.launching.devices import Device
from lab.launching.spawn import COMMAND
from lab.modeling.hardware import Hardware, detect
from lab.modeling.load import (
    load_base,
    load_config,
    load_tokenizer,
    parameter_count,
    torch_dtype,
    trainable_count,
)
from lab.modeling.methods import METHODS, cast_adapter, load_adapter
from lab.modeling.prefix import can_share
from lab.modeling.source import ModelSource, resolve_model
from lab.profile.schema import Profile
from lab.runs.paths import RunPaths
from lab.runs.reader import read_json
from lab.runs.writer import RunWriter
from lab.training.environment import describe
from lab.training.fit import fit, trained_steps
from lab.training.recipe import Recipe, decide, steps_in
from lab.training.stopping import StopWish


@dataclass
class Session:
    """What `open` loaded, in the order in which it was loaded.

    Attributes:
        run: the folder that is written to.
        owner: the run that the adapter and the answers belong to; `run` itself unless this is an evaluation job.
    """

    run: RunPaths
    owner: RunPaths
    writer: RunWriter
    profile: Profile
    hardware: Hardware
    source: ModelSource
    tokenizer: transformers.PreTrainedTokenizerBase
    prepared: Prepared
    recipe: Recipe
    model: transformers.PreTrainedModel

    @classmethod
    def open(cls, run: RunPaths, owner: RunPaths, writer: RunWriter, profile: Profile, device: Device) -> Session:
        """Resolve, prepare, decide and load, writing each result into the run folder before the next step."""
        quiet_libraries()
        hardware = detect(device.kind, profile.train.threads)
        torch.set_num_threads(hardware.threads)
        writer.phase("starting", "resolving the model")
        source = resolve_model(profile.model.name, profile.model.revision, lambda line: writer.phase("starting", line))
        tokenizer = load_tokenizer(source, trust_remote_code=profile.model.trust_remote_code)
        writer.phase("starting", "preparing data")
        prepared = prepare(profile, tokenizer)
        atomic.write_json(run.data, prepared.report)
        lengths = [len(row.input_ids) for row in prepared.train]
        sharable = can_share(load_config(source, trust_remote_code=profile.model.trust_remote_code))
        recipe = kept_recipe(run) or decide(profile, hardware, lengths, sharable=sharable)
        atomic.write_json(run.recipe, recipe.as_json())
        atomic.write_json(
            run.environment,
            describe(profile.model.name, hardware, recipe, source, json.loads(os.environ.get(COMMAND, "[]"))),
        )
        writer.phase("starting", "loading weights")
        model = load_base(
            source,
            device=hardware.kind,
            dtype=recipe.dtype.value,
            quantization=recipe.quantization.value,
            double_quant=profile.model.double_quant,
            attention=recipe.attention.value,
            trust_remote_code=profile.model.trust_remote_code,
        )
        facts = {"trainable_parameters": 0} | writer.state.get("facts", {}) | {"parameters": parameter_count(model)}
        writer.update(device=hardware.label, model=source.label, facts=facts, now=True)
        return cls(run, owner, writer, profile, hardware, source, tokenizer, prepared, recipe, model)

    def train(self, stop: StopWish) -> bool:
        """Train to the end of the profile; skipped where an earlier attempt got there. Returns False if stopped."""
        total = steps_in(self.profile, len(self.prepared.train))
        if self.owner != self.run or trained_steps(self.run) >= total:
            self.writer.step = trained_steps(self.owner)
            self.model = load_adapter(self.model, self.owner.adapter)
            return True
        self.model = METHODS[self.profile.method.kind](self.model, self.profile.method, self.profile.train.seed)
        self._note_trainable()
        return fit(self.run, self.writer, self.profile, self.recipe, self.model, self.tokenizer, self.prepared, stop)

    def evaluate(self, stop: StopWish) -> bool:
        """Answer and score the test rows. Returns False if stopped."""
        if not self.prepared.test:
            return True
        self.writer.phase("evaluating", "first answers")
        cast_adapter(self.model, torch_dtype(self.recipe.dtype.value))
        subject = Subject(
            self.model.eval(),
            self.tokenizer,
            self.hardware.kind,
            self.recipe.dtype.value,
            self.recipe.quantization.value,
            frozenset(self.prepared.stop_ids),
            self.recipe.shared_prefix.value,
        )
        done = evaluate(
            self.owner, self.profile, self.prepared, subject, lambda line: self.writer.update(detail=line), stop.asked
        )
        if done is None:
            return False
        metrics = (read_json(done.metrics) or {}).get("metrics", {})
        self.writer.summary(metrics={name: entry["value"] for name, entry in metrics.items()})
        return True

    def _note_trainable(self) -> None:
        facts = self.writer.state.get("facts", {})
        self.writer.update(facts=facts | {"trainable_parameters": trainable_count(self.model)}, now=True)


def kept_recipe(run: RunPaths) -> Recipe | None:
    """Return the recipe of an earlier attempt, so that a resume goes on as it began."""
    record = read_json(run.recipe)
    return Recipe.from_json(record) if record else None


def quiet_libraries() -> None:
    """Keep progress bars and advice out of `worker.log`; warnings and errors stay."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    transformers.utils.logging.set_verbosity_warning()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
