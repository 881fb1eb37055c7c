"""How fast this machine trains and answers, measured in seconds: `python -m lab.bench.speed PROFILE... --seconds 5`.

A JSON line for each profile: what there is to do (`work`), and how fast (`speeds`). Started by `lab.cli.estimate`; it
loads data, recipe and model as the worker does, writes nothing, and takes no turn in the queue for devices.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import psutil

from lab.bench.work import Work
from lab.launching.child import Emit, serve
from lab.modeling.cpu import limit_cpu
from lab.profile.load import Resolved, load_profile

if TYPE_CHECKING:
    from lab.data.prepare import Prepared
    from lab.profile.schema import Profile

SECONDS = 5.0


def measure(profiles: Sequence[Resolved], seconds: float, emit: Emit) -> None:
    """Emit the record of each profile; timing takes about `seconds` over all of them, beside what loading takes.

    Raises:
        LabError: what a worker would fail with: the model, the data or the recipe cannot be.
    """
    limit_cpu()
    from lab.training.session import quiet_libraries  # imports what a worker imports

    quiet_libraries()
    libraries = time.time() - psutil.Process().create_time()
    for resolved in profiles:
        emit(measure_one(resolved, seconds / len(profiles), libraries))


def measure_one(resolved: Resolved, seconds: float, libraries: float) -> dict[str, Any]:
    """Return the record of one profile.

    Args:
        libraries: seconds that a worker spends before it begins with its profile.
    """
    import torch

    from lab.bench.timing import Loaded, time_speeds
    from lab.data.prepare import prepare
    from lab.modeling.load import load_base, load_config, load_tokenizer
    from lab.modeling.prefix import can_share
    from lab.modeling.source import resolve_model
    from lab.training.device import hardware_for
    from lab.training.recipe import decide

    begin, profile = time.perf_counter(), resolved.profile
    hardware = hardware_for(profile)
    torch.set_num_threads(hardware.threads)
    source = resolve_model(profile.model.name, profile.model.revision)
    tokenizer = load_tokenizer(source, trust_remote_code=profile.model.trust_remote_code)
    prepared = prepare(profile, tokenizer)
    config = load_config(source, trust_remote_code=profile.model.trust_remote_code)
    lengths = [len(row.input_ids) for row in prepared.train]
    recipe = decide(profile, hardware, lengths, sharable=can_share(config), config=config)
    ready = time.perf_counter()
    model = load_base(
        source,
        device=hardware.kind,
        dtype=recipe.dtype.value,
        quantization=recipe.quantization.value,
        double_quant=profile.model.double_quant,
        attention=recipe.load_attention,
        trust_remote_code=profile.model.trust_remote_code,
    )
    loaded = Loaded(profile, recipe, model, tokenizer, prepared)
    took = {"start_seconds": libraries + ready - begin, "load_seconds": time.perf_counter() - ready}
    speeds = time_speeds(loaded, seconds, **took)
    about = {"profile": resolved.name, "method": profile.method.kind, "device": hardware.label}
    return {**about, "work": asdict(work_of(profile, prepared)), "speeds": asdict(speeds)}


def work_of(profile: Profile, prepared: Prepared) -> Work:
    """Return what a run of `profile` works through."""
    from lab.evaluation.spec import chosen_rows
    from lab.training.recipe import epochs_in, steps_in

    splits, trains = prepared.report["splits"], profile.method.kind != "baseline"
    lengths = [len(row.input_ids) for row in prepared.train]
    steps = steps_in(profile, lengths) if trains else 0
    validations = steps // profile.train.eval_every if profile.train.eval_every else 0
    epochs = epochs_in(profile, lengths) if trains else 0
    tests = chosen_rows(prepared.test, profile.evaluate)
    # Untuned models rarely end their answers; tuned ones answer as the references do.
    longest = max((row.encoded.supervised for row in tests), default=0) if trains else math.inf
    return Work(
        train=epochs * splits["train"]["tokens"],
        forward=validations * splits["validation"]["tokens"]
        + sum(len(row.encoded.input_ids) + len(row.prompt_ids) for row in tests),
        answers=len(tests) * min(longest, profile.evaluate.max_new_tokens),
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="lab.bench.speed", description=__doc__)
    parser.add_argument("profiles", nargs="+", help="names on the search path, or .toml files")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="to time for, over all profiles")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="sets")
    options = parser.parse_args(arguments)

    def work(emit: Emit) -> None:
        measure([load_profile(name, options.sets) for name in options.profiles], options.seconds, emit)

    return serve(work)


if __name__ == "__main__":
    sys.exit(main())
