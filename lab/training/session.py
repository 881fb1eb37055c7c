"""A loaded run: model, data and recipe in memory, from which the worker trains and evaluates."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import datasets
import torch
import transformers

from lab import atomic
from lab.compare.tasks import metric_key
from lab.data.prepare import Prepared, prepare
from lab.errors import RunStateError, TrainingError
from lab.evaluation.bertscore import prepare as prepare_scoring
from lab.evaluation.run import Subject, evaluate
from lab.evaluation.sets import QuestionSet, own_rows
from lab.evaluation.tasks.prepare import prepare_tasks
from lab.launching.devices import Device
from lab.launching.spawn import COMMAND
from lab.modeling.artifact import load_artifact
from lab.modeling.hardware import Hardware, detect, physical_cores
from lab.modeling.load import (
    load_base,
    load_config,
    load_tokenizer,
    parameter_count,
    torch_dtype,
    trainable_count,
)
from lab.modeling.methods import cast_adapter, head_is_tied
from lab.modeling.plain import as_plain
from lab.modeling.prefix import can_share
from lab.modeling.source import ModelSource, resolve_model
from lab.profile.schema import Profile
from lab.runs.paths import RunPaths
from lab.runs.reader import read_json
from lab.runs.writer import RunWriter
from lab.training.device import threads_each
from lab.training.environment import describe
from lab.training.fit import base_reference, fit, trained_steps, training_done
from lab.training.memory import let_go
from lab.training.recipe import Recipe, decide, ranks_choice, steps_in
from lab.training.stages import Begun, begin
from lab.training.stopping import StopWish
from lab.training.team import Material, Team


@dataclass
class Session:
    """What `open` loaded, in the order in which it was loaded.

    Attributes:
        run: the folder that is written to.
        owner: the run that the adapter and the answers belong to; `run` itself unless this is an evaluation job.
        others: CUDA_VISIBLE_DEVICES of each further process that trains.
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
    tasks: list[QuestionSet]
    others: list[str]

    @classmethod
    def open(cls, run: RunPaths, owner: RunPaths, writer: RunWriter, profile: Profile, device: Device) -> Session:
        """Resolve, prepare, decide and load, writing each result into the run folder before the next step."""
        quiet_libraries()
        hardware = detect(device.kind, threads_each(profile, device.kind))
        torch.set_num_threads(hardware.threads)
        writer.phase("starting", "resolving the model")
        source = resolve_model(profile.model.name, profile.model.revision, lambda line: writer.phase("starting", line))
        tokenizer = load_tokenizer(source, trust_remote_code=profile.model.trust_remote_code)
        writer.phase("starting", "preparing data")
        prepared = prepare(profile, tokenizer)
        atomic.write_json(run.data, prepared.report)
        tasks = prepare_tasks(profile, prepared)
        prepare_scoring(profile.evaluate, lambda line: writer.phase("starting", line))
        lengths = [len(row.input_ids) for row in prepared.train]
        config = load_config(source, trust_remote_code=profile.model.trust_remote_code)
        kept = kept_recipe(run, hardware, profile)
        recipe = kept or decide(profile, hardware, lengths, sharable=can_share(config), config=config)
        atomic.write_json(run.recipe, recipe.as_json())
        atomic.write_json(
            run.environment,
            describe(profile.model.name, hardware, recipe, source, json.loads(os.environ.get(COMMAND, "[]"))),
        )
        writer.phase("starting", "loading weights")
        model = load_model(profile, source, recipe)
        facts = {"trainable_parameters": 0} | writer.state.get("facts", {}) | {"parameters": parameter_count(model)}
        writer.update(device=hardware.label, model=source.label, facts=facts, now=True)
        others = [one.visible for one in device.more] if device.kind == "cuda" else [""] * (profile.ranks - 1)
        loaded = (source, tokenizer, prepared, recipe, model, tasks)
        return cls(run, owner, writer, profile, hardware, *loaded, others)

    def train(self, stop: StopWish) -> bool:
        """Train to the end of the profile; skipped where an earlier attempt got there. Returns False if stopped."""
        total = steps_in(self.profile, [len(row.input_ids) for row in self.prepared.train])
        if self.owner != self.run or training_done(self.run, total):
            self.writer.step = trained_steps(self.owner)
            self.model = load_artifact(self.model, self.owner.adapter)
            return True
        rows = [row.input_ids for row in self.prepared.train]
        begun = begin(self.model, self.profile, self.run, base_reference(self.profile), rows)
        self.model = begun.model
        self._note(begun)
        told = (self.run, self.writer, self.profile, self.recipe, begun, self.tokenizer, self.prepared, stop)
        with self._team() as team:
            done = fit(*told, team)
        torch.set_num_threads(self.profile.train.threads or physical_cores())  # one process answers
        if begun.projection is not None:
            self._fact("orthogonality", begun.projection.largest_cosine())
        if done and begun.beginning is not None:  # its base was changed: what is evaluated is what was saved
            self.writer.phase("evaluating", "loading what was saved")
            del begun, self.model  # two bases would not fit into every memory that one fits into
            let_go(self.hardware.kind)
            self.model = load_artifact(load_model(self.profile, self.source, self.recipe), self.run.adapter)
        return done

    def evaluate(self, stop: StopWish) -> bool:
        """Answer and score the test rows, then the tasks. Returns False if stopped."""
        own = [own_rows(self.profile, self.prepared)] if self.prepared.test else []
        sets = [*own, *self.tasks]
        if not sets:
            return True
        self.writer.phase("evaluating", "first answers")
        subject = self._subject()
        values: dict[str, float] = {}
        for asked in sets:
            done = evaluate(self.owner, asked, subject, lambda line: self.writer.update(detail=line), stop.asked)
            if done is None:
                return False
            metrics = (read_json(done.metrics) or {}).get("metrics", {})
            values |= {metric_key(asked.task, name): entry["value"] for name, entry in metrics.items()}
            self.writer.summary(metrics=values)
        return True

    def _team(self) -> contextlib.AbstractContextManager[Team | None]:
        """Return those that train with this process; None where there are none."""
        if not self.others:
            return contextlib.nullcontext()
        material = Material(self.source, self.prepared.train, self.prepared.validation)
        return Team(self.run, self.others, material, self._give_up)

    def _give_up(self, error: TrainingError) -> NoReturn:
        """Write the end in the place of the main thread, which waits for numbers that never come."""
        self.writer.end("failed", reason=error.problem, remedy=error.remedy)
        self.writer.close()
        os._exit(1)

    def _subject(self) -> Subject:
        """Return the model as `evaluate.weights` asks for it."""
        dtype, quantization = self.recipe.dtype.value, self.recipe.quantization.value
        if self.profile.evaluate.weights == "merged-bf16":
            self.writer.phase("evaluating", "merging into a plain bf16 model")
            dtype, quantization = "bf16", "none"
            self.model = as_plain(self.model, torch_dtype(dtype))
        else:
            cast_adapter(self.model, torch_dtype(dtype))
        return Subject(
            self.model.eval(),
            self.tokenizer,
            self.hardware.kind,
            dtype,
            quantization,
            frozenset(self.prepared.stop_ids),
            self.recipe.shared_prefix.value,
        )

    def _note(self, begun: Begun) -> None:
        """Say what trains and what it stands on."""
        for name, value in {**begun.facts, "trainable_parameters": trainable_count(self.model)}.items():
            self._fact(name, value)
        method = self.profile.method
        if method.kind == "top-layer" and method.head and head_is_tied(self.model):
            self.writer.emit(
                "alert",
                level="info",
                text="The head of this model is its embedding: method.head = true trains both, for every token.",
            )

    def _fact(self, name: str, value: Any) -> None:
        self.writer.update(facts={**self.writer.state.get("facts", {}), name: value}, now=True)


def load_model(profile: Profile, source: ModelSource, recipe: Recipe) -> transformers.PreTrainedModel:
    return load_base(
        source,
        device=recipe.device.value,
        dtype=recipe.dtype.value,
        quantization=recipe.quantization.value,
        double_quant=profile.model.double_quant,
        attention=recipe.load_attention,
        trust_remote_code=profile.model.trust_remote_code,
    )


def kept_recipe(run: RunPaths, hardware: Hardware, profile: Profile) -> Recipe | None:
    """Return the recipe of an earlier attempt, so that a resume goes on as it began; on as many GPUs as are asked now.

    Raises:
        RunStateError: it was made for the other kind of device.
    """
    record = read_json(run.recipe)
    recipe = Recipe.from_json(record) if record else None
    if recipe is not None and recipe.device.value != hardware.kind:
        began, now = ("a GPU", "a CPU") if recipe.device.value == "cuda" else ("a CPU", "a GPU")
        raise RunStateError(
            f"{run.id} began on {began}, and this attempt was given {now}.",
            f"Resume it on {began}, or start a new run: `lab train {run.profile}`.",
        )
    return None if recipe is None else replace(recipe, ranks=ranks_choice(profile))


def quiet_libraries() -> None:
    """Keep progress bars and advice out of `worker.log`; warnings and errors stay."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    transformers.utils.logging.set_verbosity_warning()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
