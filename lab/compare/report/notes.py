"""The report as Markdown, for repositories and notes: answer, table, samples, how to reproduce. For `lab report`."""

from __future__ import annotations

import re

from lab.compare.report import reproduce
from lab.compare.report.chartlist import trade_offs
from lab.compare.report.gather import Report
from lab.compare.samples import Sample
from lab.compare.views.markdown import as_markdown, escape

SAMPLES = 6


def notes(report: Report) -> str:
    """Return the document; texts of runs stand in fences that they cannot close."""
    parts = [
        f"# {escape(report.name)}",
        escape(report.question),
        f"**{escape(report.answer)}**",
        as_markdown(report.table).rstrip(),
        _missing(report),
        _trade_offs(report),
        "\n\n".join(["## Human verdicts", *map(fenced, report.verdicts)]) if report.verdicts else "",
        *_samples(report),
        *_reproduce(report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _missing(report: Report) -> str:
    lines = [f"- {escape(name)} has no finished run." for name in report.missing]
    return "\n".join(["Missing rows:\n", *lines]) if lines else ""


def _trade_offs(report: Report) -> str:
    lines = [f"- {escape(chart.title)}: {escape(chart.note)}" for chart in trade_offs(report)]
    return "\n".join(["## Quality against cost\n", *lines]) if lines else ""


def _samples(report: Report) -> list[str]:
    shown = [_sample(report, sample) for sample in report.samples[:SAMPLES]]
    return ["## Samples", *shown] if shown else []


def _sample(report: Report, sample: Sample) -> str:
    texts = [("prompt", sample.prompt.strip()), ("reference", "\n".join(sample.references))]
    texts += [(row.label, sample.answers[row.entry.id]) for row in report.rows if row.entry.id in sample.answers]
    blocks = [f"{escape(name)}:\n\n{fenced(text or '(empty)')}" for name, text in texts]
    return "\n\n".join([f"### {escape(sample.id)}", *blocks])


def _reproduce(report: Report) -> list[str]:
    commands = reproduce.commands(report)
    versions = [f"| {escape(what)} | {escape(which)} |" for what, which in reproduce.versions(report)]
    head = ("row", *reproduce.HASHES)
    hashes = [[escape(row.label), *(f"`{text}`" for text in reproduce.hashes(row))] for row in report.rows]
    return [
        "## How to reproduce",
        fenced("\n".join(commands), "sh") if commands else "",
        "\n".join(["| what | which |", "| --- | --- |", *versions]),
        "\n".join(_pipes([[*head], ["---"] * len(head), *hashes])),
    ]


def _pipes(lines: list[list[str]]) -> list[str]:
    return ["| " + " | ".join(line) + " |" for line in lines]


def fenced(text: str, language: str = "") -> str:
    """Return `text` as a code block whose fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
