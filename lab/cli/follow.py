"""Following runs from a terminal: a line that moves, or a line now and then where nobody looks. Ctrl-C detaches."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import typer

from lab.runs.history import History
from lab.runs.paths import RunPaths
from lab.runs.reader import Tail
from lab.runs.state import LIVE, read_state
from lab.runs.store import RunInfo, read_run
from lab.series.eta import eta_seconds, tokens_per_second
from lab.text import clip, duration, number, sanitize, short_count

POLL_SECONDS = 0.5
QUIET_SECONDS = 15.0
RECENT = 30


class Follower:
    """Reads one run's new events and tells its present in a line."""

    def __init__(self, run: RunPaths) -> None:
        self.run = run
        self.history = History()
        self._tail = Tail(run.events)

    def update(self) -> None:
        while records := self._tail.read():
            for record in records:
                self.history.add(record)

    def line(self, state: dict[str, object]) -> str:
        """Return state, progress, loss, speed and time left, as far as each is known."""
        history, phase = self.history, self.history.phase
        written = str(state.get("state", ""))
        name = phase.name if phase and written != "queued" else written  # a job of Slurm's may have been put back
        detail = str(state.get("detail") or "") if name != "training" else ""
        parts = [self.run.id, name, detail]
        if name == "training" and history.steps:
            parts += self._training(int(str(state.get("total_steps") or 0)))
        return "  ".join(sanitize(part, newlines=False) for part in parts if part)

    def _training(self, total: int) -> list[str]:
        history = self.history
        step = history.steps[-1]
        recent = list(zip(history.steps[-RECENT:], history.times[-RECENT:], strict=True))
        speed = tokens_per_second(history.step_tokens[-RECENT:], history.step_seconds[-RECENT:])
        left = eta_seconds(step, total, recent)
        parts = [f"step {step}/{total}", f"loss {number(history.curves['loss'][-1])}", f"{short_count(speed)} tok/s"]
        return [*parts, f"ETA {duration(left)}"] if left is not None else parts


def follow(runs: Sequence[RunPaths]) -> list[RunInfo]:
    """Show the progress of whichever of `runs` is worked on, until all have ended; Ctrl-C leaves them running.

    Returns:
        The runs as they ended.

    Raises:
        typer.Exit: the user detached.
    """
    try:
        _follow([Follower(run) for run in runs])
    except KeyboardInterrupt:
        _clear()
        live = [run.id for run in runs if read_state(run).get("state") in LIVE]
        typer.echo(f"Detached; the work goes on: {' '.join(live) or 'nothing, all had ended'}", err=True)
        typer.echo("Look again with `lab runs watch`, stop with `lab runs stop`.", err=True)
        raise typer.Exit(0) from None
    return [info for run in runs if (info := read_run(run)) is not None]


def _follow(followers: list[Follower]) -> None:
    moving = sys.stderr.isatty()
    said, when = "", 0.0
    while live := [(f, s) for f in followers if (s := read_state(f.run)).get("state") in LIVE]:
        follower, state = next((pair for pair in live if pair[1].get("state") != "queued"), live[0])
        follower.update()
        line = follower.line(state)
        if moving:
            _show(line)
        elif line != said and (_phase(line) != _phase(said) or time.monotonic() - when >= QUIET_SECONDS):
            typer.echo(line, err=True)
            said, when = line, time.monotonic()
        time.sleep(POLL_SECONDS)
    _clear()


def _phase(line: str) -> str:
    """Return what a line begins with, the run and its phase: a change of it is said at once."""
    return "  ".join(line.split("  ")[:2])


def _show(line: str) -> None:
    import shutil

    typer.echo("\r\x1b[2K" + clip(line, shutil.get_terminal_size().columns - 1), nl=False, err=True)


def _clear() -> None:
    if sys.stderr.isatty():
        typer.echo("\r\x1b[2K", nl=False, err=True)


def describe_end(info: RunInfo) -> str:
    """Return one line on how a run ended, with what mends it."""
    end = info.record.get("end") or {}
    reason, remedy = str(end.get("reason") or ""), str(end.get("remedy") or "")
    tail = f": {reason} {remedy}".rstrip() if reason else ""
    if info.state == "lost":
        job = info.run.folder.parent.name == "jobs"  # of a run: there is nothing in it to go on from
        again = "Give the command again." if job else f"Go on with `lab runs resume {info.id}`."
        tail = tail or f": its worker is gone. {again}"
    return sanitize(f"{info.id} {info.state}{tail}", newlines=False)
