"""Whether a profile learns the same on every device, however its steps are cut: `python -m lab.bench.sameness PROFILE`.

Trains the same few steps on the CPU and, where there is one, on the GPU, in fp32, each in micro-batches of one row, of
a quarter and of half a step; on a GPU also as the recipe has it. Prints a JSON line for each: how far it is from the
first. Exit status 1 where one in fp32 is further away than rounding explains.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from lab.errors import UsageError
from lab.launching.child import Emit, serve
from lab.modeling.cpu import limit_cpu
from lab.profile.load import load_profile

ROUNDING = 1e-4
"""Bound of a loss in fp32. Sums of other orders part by 1e-6 in a few steps; a row left out by far more than this."""


def ways(examples: int, gpu: bool) -> Iterator[tuple[str, list[str], bool]]:
    """Yield (name, assignments, whether it is to be the same within rounding) of each way to train.

    Args:
        examples: of a step; micro-batches have to divide it.
    """
    divisors = [rows for rows in range(1, examples + 1) if examples % rows == 0]
    sizes = sorted({max(rows for rows in divisors if rows <= max(1, examples // part)) for part in (examples, 4, 2)})
    for device in ("cpu", "gpu") if gpu else ("cpu",):
        for rows in sizes:
            sets = ["model.dtype=fp32", f"train.micro_batch={rows}", *(["launch.gpus=0"] if device == "cpu" else [])]
            yield f"{device} fp32, {examples // rows} x {rows}", sets, True
    if gpu:
        yield "gpu, by the recipe", [], False


def check(profile: str, sets: Sequence[str], steps: int, emit: Emit) -> bool:
    """Train all ways, emit what each did, and tell whether those in fp32 were the same.

    Raises:
        UsageError: the profile's steps are of tokens.
        LabError: what a worker would fail with.
    """
    limit_cpu()
    import gc

    import torch

    from lab.bench.opening import open_training
    from lab.bench.parity import Trained, compare, train
    from lab.training.session import quiet_libraries

    quiet_libraries()
    common = [*sets, f"train.max_steps={steps}", "train.save_every=0", "train.eval_every=0"]
    size = load_profile(profile, common).profile.train
    if size.tokens_per_step:
        raise UsageError("Steps of tokens have no micro-batches of rows.", "Use a profile with examples_per_step.")
    first: Trained | None = None
    same = True
    for name, own, exact in ways(size.examples_per_step, torch.cuda.is_available()):
        opened = open_training(load_profile(profile, [*common, *own]).profile)
        found = train(opened, opened.recipe)
        first = first or found
        record: dict[str, Any] = compare(first, found)
        near = all(abs(a - b) <= ROUNDING for a, b in zip(first.losses, found.losses, strict=True))
        gc.collect()  # trainer and model refer to each other
        emit({"name": name, "device": opened.hardware.name, "same": near, **record})
        same &= near or not exact
    return same


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="lab.bench.sameness", description=__doc__)
    parser.add_argument("profile", help="name on the search path, or a .toml file")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="sets")
    parser.add_argument("--steps", type=int, default=10, help="optimiser steps of each way")
    options = parser.parse_args(arguments)
    outcome: list[bool] = []

    def work(emit: Emit) -> None:
        outcome.append(check(options.profile, options.sets, options.steps, emit))

    return serve(work) or int(outcome != [True])


if __name__ == "__main__":
    sys.exit(main())
