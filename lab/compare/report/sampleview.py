"""Samples on a report's page: each run's answers, with the words that differ from the reference. Called by the page.

Readable without scripts; with them a field filters the rows.
"""

from __future__ import annotations

from lab.compare.columns import quality_columns
from lab.compare.report.gather import Report, ReportRow
from lab.compare.report.markup import Markup, element, join
from lab.compare.report.tables import dot
from lab.compare.report.words import differences
from lab.compare.samples import Sample
from lab.compare.views.cells import quality
from lab.text import clip

SHORT = 220
"""Characters of a prompt that are shown at once; what is before is mostly the same system message."""

SCORES = 3
_FINISHES = {"length": "cut at the token limit", "error": "failed"}


def samples(report: Report) -> Markup:
    """Return the samples in the report's order, the rows of the widest disagreement first."""
    if not report.samples:
        return element("p", "The runs have no answers to the same rows.")
    rows = {row.entry.id: row for row in report.rows}
    legend = element(
        "p",
        "In the answers, ",
        element("ins", "words that the reference does not have"),
        " and ",
        element("del", "words of the reference that are missing"),
        ". An answer that shares little with its reference is left unmarked.",
    )
    field = element("input", type="search", id="filter", placeholder="Filter samples", aria_label="Filter samples")
    return join([legend, element("p", field, class_="needs-script"), *(_sample(s, rows) for s in report.samples)])


def _sample(sample: Sample, rows: dict[str, ReportRow]) -> Markup:
    wanted = [element("div", text or "-", class_="text") for text in sample.references or ("-",)]
    reference = element("section", element("h4", "reference"), *wanted, class_="reference")
    answers = [_answer(sample, rows[run]) for run in rows if run in sample.answers]
    body = element("div", reference, *answers, class_="answers")
    return element("article", element("h3", sample.id), _prompt(sample.prompt), body, class_="sample")


def _prompt(prompt: str) -> Markup:
    text = prompt.strip()
    if len(text) <= SHORT:
        return element("div", text, class_="text prompt")
    _, _, end = text[-SHORT:].partition("\n" if "\n" in text[-SHORT : -SHORT // 2] else " ")
    shown = element("summary", element("span", "… " + end.lstrip(), class_="text"))
    return element("details", shown, element("div", text, class_="text"), class_="prompt")


def _answer(sample: Sample, row: ReportRow) -> Markup:
    run = row.entry.id
    text = sample.answers[run]
    scores = sample.scores.get(run, {})
    columns = [column for column in quality_columns(scores) if column.unit == "fraction"][:SCORES]
    figures = "  ".join(f"{column.label} {quality(scores[column.key], column.unit)}" for column in columns)
    finish = _FINISHES.get(sample.finishes.get(run, ""), "")
    beside = element("span", "  ".join(part for part in (figures, finish) if part), class_="scores")
    head = element("h4", dot(row.number, row.shade), " ", clip(row.label, 40), " ", beside)
    return element("section", head, element("div", _marked(text, sample), class_="text"))


def _marked(text: str, sample: Sample) -> Markup:
    if not text:
        return element("i", "(empty)")
    pieces = differences(text, sample.references)
    if pieces is None:
        return join([text])
    names = {"added": "ins", "missing": "del"}
    return join(element(names[p.kind], p.text) if p.kind in names else p.text for p in pieces)
