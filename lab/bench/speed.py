"""How fast this machine trains and answers, measured in seconds: `python -m lab.bench.speed PROFILE... --seconds 5`.

A JSON line for each profile: what there is to do (`work`), and how fast (`speeds`). Started by `lab.cli.estimate`; it
loads data, recipe and model as the worker does, writes nothing, and takes no turn in the queue for devices.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Any

import psutil

from lab.bench.equal import by_base
from lab.launching.child import Emit, serve
from lab.modeling.cpu import limit_cpu
from lab.profile.load import Resolved, load_profile

SECONDS = 5.0


def measure(profiles: Sequence[Resolved], seconds: float, emit: Emit) -> None:
    """Emit the record of each profile; timing takes about `seconds` over all of them, beside what loading takes.

    Equal work is timed once, and a base serves every row that begins with it.

    Raises:
        LabError: what a worker would fail with: the model, the data or the recipe cannot be.
    """
    limit_cpu()
    from lab.bench.opening import open_training
    from lab.bench.stopwatch import Stopwatch
    from lab.training.session import quiet_libraries  # imports what a worker imports

    quiet_libraries()
    libraries = time.time() - psutil.Process().create_time()
    watch = Stopwatch(seconds / len(profiles))
    records: dict[int, dict[str, Any]] = {}
    for place in by_base([one.profile for one in profiles]):
        begin = time.perf_counter()
        opened = open_training(profiles[place].profile)
        records[place] = watch.record(opened, libraries + time.perf_counter() - begin, profiles[place].name)
    for place in range(len(profiles)):
        emit(records[place])


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
