"""The System page as parts: a block for each GPU, then processor, memory, disk and the workers of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lab.console.looks import Looks
from lab.console.widgets.bars import progress, sparkline
from lab.console.widgets.parts import Part, fit
from lab.console.widgets.wrap import wrap
from lab.text import byte_size, number, pad

if TYPE_CHECKING:
    from lab.console.system import GpuView, Process, System

LABEL, TEXT = 12, 24
NO_GPU = "No NVIDIA GPU here: power, VRAM and temperature are not measured."


def system_lines(system: System, width: int, looks: Looks) -> list[list[Part]]:
    """Return the page's lines, at most `width` columns wide."""
    lines: list[list[Part]] = []
    for gpu in system.gpus:
        lines += [*gpu_lines(gpu, width, looks), []]
    if not system.gpus:
        lines += [heading("GPU", "", width, looks), *wrap([(NO_GPU, "$quiet")], width), []]
    lines += host_lines(system, width, looks)
    lines += [[], heading("workers of runs", "", width, looks)]
    return lines + (process_lines(system.workers, "memory") or [[("No run is alive on this machine.", "$quiet")]])


def heading(title: str, note: str, width: int, looks: Looks) -> list[Part]:
    return fit([(title, "bold"), (f"  {note}" if note else "", "$quiet")], (), width, looks.rule)


def gpu_lines(gpu: GpuView, width: int, looks: Looks) -> list[list[Part]]:
    """Return a GPU's bars with their history, and its processes."""
    now = gpu.sample
    share = _share(now.watts, now.limit_watts)
    memory = _share(now.used_bytes, now.total_bytes)
    load = None if now.utilization is None else now.utilization / 100
    watts = (
        "-" if now.watts is None else f"{now.watts:.0f} W" + (f" of {now.limit_watts:.0f}" if now.limit_watts else "")
    )
    heat = "" if now.celsius is None else f"{now.celsius} °C"
    used = byte_size(now.used_bytes) + (f" of {byte_size(now.total_bytes)}" if now.total_bytes else "")
    percent = "-" if load is None else f"{load:.0%}"
    return [
        heading(f"GPU {gpu.index}  {gpu.name}", heat, width, looks),
        bar_line("power", share, watts, gpu.watts, now.limit_watts or 0.0, width, looks),
        bar_line("VRAM", memory, used, (), 1.0, width, looks),
        bar_line("utilisation", load, percent, gpu.load, 100.0, width, looks),
        *process_lines(gpu.processes, "VRAM"),
    ]


def host_lines(system: System, width: int, looks: Looks) -> list[list[Part]]:
    """Return the machine's own bars."""
    cpu = None if system.cpu_percent is None else system.cpu_percent / 100
    cores = f"{system.cores} cores" if system.cores else ""
    load = "" if system.load is None else f"load {system.load:.1f}"
    used = f"{byte_size(system.memory_used)} of {byte_size(system.memory_total)}"
    memory = _share(system.memory_used, system.memory_total)
    percent = "-" if system.cpu_percent is None else f"{number(system.cpu_percent, 0)} %"
    return [
        heading("host", "  ".join(part for part in (cores, load) if part), width, looks),
        bar_line("CPU", cpu, percent, system.cpu, 100.0, width, looks),
        bar_line("memory", memory, used, system.memory, 1.0, width, looks),
        [(pad("disk", LABEL), "$quiet"), (f"{byte_size(system.disk_free)} free where the runs are", "")],
    ]


def bar_line(
    label: str, share: float | None, text: str, history: Sequence[float], top: float, width: int, looks: Looks
) -> list[Part]:
    """Return label, bar, text, and where there is room the history, on a scale from 0 to `top`."""
    room = max(min((width - LABEL - TEXT) // 2, 40), 4)
    spark = width - LABEL - room - TEXT - 4
    line: list[Part] = [(pad(label, LABEL), "$quiet"), *progress(share, room, plain=looks.plain), ("  ", "")]
    line.append((pad(text, TEXT), "bold"))
    if history and spark >= 8:
        line.append((sparkline(history[-spark:], spark, plain=looks.plain, top=top), "$secondary"))
    return line


def process_lines(processes: Sequence[Process], memory: str) -> list[list[Part]]:
    """Return a table of processes with owner and run; nothing for none."""
    if not processes:
        return []
    rows = [("pid", "owner", memory, "process", "run")]
    rows += [(str(p.pid), p.owner, byte_size(p.used_bytes), p.name, p.run or "-") for p in processes]
    return [
        [
            (f"{pad(pid, 9)}{pad(owner, 12)}{pad(size, 11)}{pad(name, 18)}", "$quiet" if at == 0 else ""),
            (run, "bold" if at else "$quiet"),
        ]
        for at, (pid, owner, size, name, run) in enumerate(rows)
    ]


def _share(value: float | None, total: float | None) -> float | None:
    return value / total if value is not None and total else None
