"""The worker: one process, one run. `python -m lab.training.worker FOLDER [--lock-fd N]`, started by `lab.launching`
with the run's lock in its hands, or by the batch script of a Slurm job, where it takes the lock itself.

With `--of RUN` the folder is a job: it evaluates that finished run, or exports it where the folder holds a request for
that, and trains nothing.

It waits, light, for its device; then loads, trains, evaluates, and writes the end. Everything it says goes through the
run folder, so nobody has to be there to listen.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

from lab.compare.cost import cost_of
from lab.compare.entry import newest_evaluation
from lab.errors import LabError
from lab.launching.devices import Device, wait_for_device
from lab.launching.earlier import wait_for_earlier
from lab.launching.taking import take
from lab.modeling.cpu import limit_cpu
from lab.profile.load import load_profile
from lab.profile.schema import Profile
from lab.profile.trackers import refuse_missing_trackers
from lab.runs import lock
from lab.runs.history import read_history
from lab.runs.paths import RunPaths
from lab.runs.reader import read_all, read_json
from lab.runs.writer import RunWriter
from lab.telemetry.kills import kill_counter
from lab.telemetry.sampler import Sampler
from lab.text import sanitize
from lab.training.memory import ran_out
from lab.training.stopping import StopWish, Terminated


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="lab.training.worker", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--lock-fd", type=int, help="the run's lock, open; without it the worker takes it")
    parser.add_argument("--of", type=Path, help="the run whose adapter is evaluated")
    options = parser.parse_args(arguments)
    run = RunPaths(options.folder)
    owner = RunPaths(options.of) if options.of else run
    try:
        taken = take(run, options.lock_fd)
    except LabError as error:  # not the run's worker: nothing may be written there
        sys.stderr.write(f"{error}\n")
        return 1
    if taken is None:
        return 0
    handle, job = taken
    writer = RunWriter(run)
    stop = StopWish(run, job)
    stop.listen()
    with _heartbeat(handle):
        status = _guarded(run, owner, writer, stop)
    lock.sign_off(handle)
    return status


def _guarded(run: RunPaths, owner: RunPaths, writer: RunWriter, stop: StopWish) -> int:
    """Do the work and write how it ended, whatever happens short of SIGKILL."""
    outcome, reason, remedy = _outcome(run, owner, writer, stop)
    stop.ignore()  # a signal that arrives now could only keep the end from being written
    if outcome == "stopped" and stop.interrupted:
        writer.state["interrupted"] = True
    writer.end(outcome, reason=reason, remedy=remedy)
    writer.close()
    return 1 if outcome == "failed" else 0


def _outcome(run: RunPaths, owner: RunPaths, writer: RunWriter, stop: StopWish) -> tuple[str, str, str]:
    """Do the work; return how it ended, why, and what mends it."""
    try:
        facts = writer.state.get("facts", {}) | {"memory_guard": kill_counter()}
        writer.update(pid=os.getpid(), start_ticks=lock.start_ticks(os.getpid()), facts=facts, now=True)
        return ("completed", "", "") if work(run, owner, writer, stop) else _stopped(run, owner, stop)
    except Terminated:
        return _stopped(run, owner, stop)
    except LabError as error:
        traceback.print_exc()
        return "failed", error.problem, error.remedy
    except BaseException as error:  # noqa: BLE001  the end must be written for any error, and the log shows which
        traceback.print_exc()
        return "failed", *explain(error)


def _stopped(run: RunPaths, owner: RunPaths, stop: StopWish) -> tuple[str, str, str]:
    if not stop.interrupted:
        return "stopped", stop.reason, ""
    remedy = f"Go on with `lab runs resume {run.id}`." if owner == run else "Give the command again."
    return "stopped", f"{stop.reason}.", remedy


def work(run: RunPaths, owner: RunPaths, writer: RunWriter, stop: StopWish) -> bool:
    """Wait for a device, then train and evaluate on it. Returns False where a wish to stop came first.

    Args:
        owner: the run whose adapter is used; `run` itself unless this is a job.
    """
    profile = load_profile(str(run.profile)).profile
    if owner == run:
        refuse_missing_trackers(profile)
    if owner == run and not wait_for_earlier(
        run, profile, waiting=lambda line: writer.phase("queued", line), should_stop=stop.asked
    ):
        return False
    writer.phase("queued", "waiting for a device")
    device = wait_for_device(
        run.id,
        min(profile.launch.gpus, profile.ranks if owner == run else 1),
        waiting=lambda line: writer.phase("queued", line),
        should_stop=stop.asked,
    )
    if device is None:
        return False
    os.environ["CUDA_VISIBLE_DEVICES"] = device.visible
    writer.phase("starting", "loading libraries")
    if device.kind == "cpu":
        limit_cpu()
    for shared in (one.shared for one in (device, *device.more) if one.shared):
        writer.emit("alert", level="warning", text=shared)
    with _telemetry(run, writer, device) as sampler:
        finished = _work_on(run, owner, writer, stop, profile, device, sampler)
    _sum_up(run, writer)
    return finished


def _work_on(
    run: RunPaths,
    owner: RunPaths,
    writer: RunWriter,
    stop: StopWish,
    profile: Profile,
    device: Device,
    sampler: Sampler,
) -> bool:
    if run.request.is_file():
        from lab.exporting.job import export

        return export(run, owner, writer, profile, device.kind, stop.asked)
    from lab.training.session import Session  # imports torch: only now is it known which device it may see

    with stop.at_once():
        session = Session.open(run, owner, writer, profile, device)
    if profile.method.kind != "baseline" and not session.train(stop):
        return False
    if device.more:  # one process answers
        device.release_more()
        sampler.narrow(device.visible)
    return session.evaluate(stop)


def _sum_up(run: RunPaths, writer: RunWriter) -> None:
    """Put the costs of all attempts into the state's summary."""
    done = newest_evaluation(run)
    generation = (read_json(done.metrics) or {}).get("cost") if done else None
    facts = writer.state.get("facts", {})
    writer.summary(cost=cost_of(read_history(run), read_all(run.telemetry), facts, generation))
    writer.flush()


@contextlib.contextmanager
def _telemetry(run: RunPaths, writer: RunWriter, device: Device) -> Iterator[Sampler]:
    indices = None if device.kind == "cuda" else ()
    visible = device.all_visible
    sampler = Sampler(run.telemetry, os.getpid(), indices, attempt=writer.attempt, visible=visible)
    sampler.start()
    try:
        yield sampler
    finally:
        sampler.stop()
        if sampler.error:
            writer.emit("alert", level="warning", text=f"Telemetry ended early: {sampler.error}")


@contextlib.contextmanager
def _heartbeat(handle: int) -> Iterator[None]:
    """Renew the lock's age, by which readers on other hosts tell that this worker lives."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(lock.HEARTBEAT_SECONDS):
            lock.beat(handle)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def explain(error: BaseException) -> tuple[str, str]:
    """Return problem and remedy for an error that is none of the lab's own."""
    name = type(error).__name__
    text = sanitize(str(error).strip().splitlines()[0] if str(error).strip() else "", newlines=False, limit=300)
    if "No space left on device" in text or getattr(error, "errno", None) == errno.ENOSPC:
        return "No space is left on the disk.", "Free some, for example with `lab runs prune`, then `lab runs resume`."
    if ran_out(error):
        return f"Memory ran out ({text}).", "Lower evaluate.batch_size or data.max_length, or use method.kind = qlora."
    return f"{name}: {text or 'no message'}.", "The whole trace is in worker.log: `lab runs logs`."


if __name__ == "__main__":
    sys.exit(main())
