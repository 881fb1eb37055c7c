"""The report as one HTML file that opens offline: no request leaves it, and its policy forbids any. For `lab report`.

Readable without scripts; the one script (`page.js`) sorts tables and filters samples, and only it may run.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources

import lab
from lab.compare.report import reproduce, sampleview, tables
from lab.compare.report.chartlist import Chart, loss_charts, method_charts, telemetry_charts, trade_offs
from lab.compare.report.gather import Report
from lab.compare.report.markup import Markup, element, join
from lab.compare.report.rankchart import rank_charts

TITLES = {
    "table": "Table",
    "methods": "Methods",
    "rank": "Rank against quality",
    "trade-offs": "Quality against cost",
    "losses": "Losses",
    "telemetry": "Power and memory",
    "verdicts": "Human verdicts",
    "samples": "Samples",
    "fairness": "Fairness",
    "reproduce": "How to reproduce",
}
POSTER = ("table", "methods", "rank", "trade-offs", "losses", "telemetry", "verdicts", "fairness")
"""The sections of a picture: what can be taken in at a glance."""


def page(report: Report, *, poster: bool = False) -> str:
    """Return the whole document.

    Args:
        poster: leave out what needs a reader's hands (samples, profiles), for a picture.
    """
    style, script = _asset("page.css"), _asset("page.js")
    sections = {name: body for name, body in _sections(report, poster=poster).items() if not poster or name in POSTER}
    links = [element("a", TITLES[name], href=f"#{name}") for name in sections]
    blocks = [element("section", element("h2", TITLES[name]), body, id=name) for name, body in sections.items()]
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{report.name}: report"),
        element("style", style),
    )
    nav = Markup("") if poster else element("nav", *links, aria_label="Sections")
    body = element("body", _header(report), nav, element("main", *blocks), _footer(report), element("script", script))
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _sections(report: Report, *, poster: bool) -> dict[str, Markup]:
    """Return the sections that have something to show, in reading order."""
    found = {
        "table": join([tables.table(report), tables.differences(report), tables.signatures(report)]),
        "methods": _charts(method_charts(report)),
        "rank": _charts(rank_charts(report)),
        "trade-offs": _charts(trade_offs(report)),
        "losses": _charts(loss_charts(report)),
        "telemetry": _charts(telemetry_charts(report)),
        "verdicts": _verdicts(report),
        "fairness": tables.fairness(report),
    }
    if not poster:
        found |= {"samples": sampleview.samples(report), "reproduce": _reproduce(report)}
    return {name: found[name] for name in TITLES if found.get(name)}


def _header(report: Report) -> Markup:
    legend = [element("li", tables.dot(row.number, row.shade), " ", row.label) for row in report.rows]
    return element(
        "header",
        element("p", f"LoRA Lab report · {report.made}", class_="quiet"),
        element("h1", report.name),
        element("p", report.question, class_="question") if report.question else "",
        element("p", report.answer, class_="answer"),
        element("ol", *legend, class_="legend", aria_label="Rows"),
    )


def _charts(charts: Sequence[Chart]) -> Markup:
    figures = [
        element(
            "figure",
            element("h3", chart.title),
            chart.drawing if chart.drawing is not None else "",
            element("figcaption", chart.note) if chart.note else "",
        )
        for chart in charts
    ]
    return element("div", *figures, class_="charts") if figures else Markup("")


def _verdicts(report: Report) -> Markup:
    """Return what people said of pairs, blind; nothing where nobody was asked."""
    texts = [element("p", text, class_="text") for text in report.verdicts]
    said = "Judged blind, in a random order; ties count half; 95 % Wilson intervals."
    return join([*texts, element("p", said, class_="quiet")]) if texts else Markup("")


def _reproduce(report: Report) -> Markup:
    commands = [element("pre", command) for command in reproduce.commands(report)]
    versions = [
        element("tr", element("th", what, scope="row"), element("td", which))
        for what, which in reproduce.versions(report)
    ]
    head = element("tr", *(element("th", name, scope="col") for name in ("row", *reproduce.HASHES)))
    lines = []
    for row in report.rows:
        cells = [element("td", element("code", text)) for text in reproduce.hashes(row)]
        lines.append(element("tr", element("th", row.label, scope="row"), *cells))
    profiles = [
        element("details", element("summary", row.label), element("pre", reproduce.profile_text(row)))
        for row in report.rows
    ]
    return join(
        [
            join([element("h3", "Commands"), *commands]) if commands else "",
            element("h3", "Versions"),
            element("div", element("table", *versions), class_="wide", tabindex=0),
            element("h3", "Hashes"),
            element("div", element("table", head, *lines), class_="wide", tabindex=0),
            element("h3", "Profiles, every value resolved"),
            *profiles,
        ]
    )


def _footer(report: Report) -> Markup:
    return element("footer", element("p", f"Made by lora-lab {lab.__version__} from {len(report.rows)} run folders."))


def _asset(name: str) -> Markup:
    """Return a file of this package: its text is ours and stands in the page as it is."""
    return Markup(resources.files(__package__ or "lab.compare.report").joinpath(name).read_text(encoding="utf-8"))


def _policy(style: str, script: str) -> str:
    """Return a policy under which nothing loads, and no style and no script but these work."""
    return (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "img-src 'none'; connect-src 'none'; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
