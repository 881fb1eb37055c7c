"""The page: well formed, offline, safe with hostile runs, and complete."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import pytest

from lab.compare.entry import load_entry
from lab.compare.rating import begin, record
from lab.compare.report.gather import Report, gather
from lab.compare.report.notes import fenced, notes
from lab.compare.report.page import TITLES, page
from lab.runs.labels import Labels
from tests.fixtures.folders import answered, make_run
from tests.fixtures.study_runs import HOSTILE, write_study
from tests.unit.compare.report.conftest import infos_of, report_of

SECTIONS = [name for name in TITLES if name != "verdicts"]  # nobody rated these runs
VOID = {"meta", "input", "br"}


class Reader(HTMLParser):
    """Collects elements, attributes and text; the nesting must be right."""

    def __init__(self, document: str) -> None:
        super().__init__(convert_charrefs=True)
        self.stack: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(document)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.stack[-1] if self.stack else "", []).append(data)

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="session")
def read(document: str) -> Reader:
    return Reader(document)


def test_the_page_is_well_formed_and_has_every_section(read: Reader) -> None:
    assert [a["id"] for a in read.attributes("section") if "id" in a] == SECTIONS
    assert [a["href"] for a in read.attributes("a")] == [f"#{name}" for name in SECTIONS]
    assert read.texts["h1"] == ["ranks <b>"]


def test_nothing_on_the_page_asks_for_anything_outside(read: Reader, document: str) -> None:
    allowed = {"html", "head", "meta", "title", "style", "script", "body", "header", "nav", "main", "footer", "section"}
    allowed |= {"h1", "h2", "h3", "h4", "p", "a", "ol", "ul", "li", "div", "span", "b", "i", "strong", "code", "pre"}
    allowed |= {"table", "thead", "tbody", "tr", "th", "td", "dl", "dt", "dd", "figure", "figcaption", "details"}
    allowed |= {"summary", "article", "ins", "del", "input", "svg", "g", "line", "rect", "path", "circle", "text"}
    assert {tag for tag, _ in read.tags} <= allowed
    names = {name for _, attributes in read.tags for name in attributes}
    assert names & {"src", "srcset", "style", "action", "onclick", "onerror", "onload", "xlink:href"} == set()
    assert not any(name.startswith("on") for name in names)
    assert "url(" not in document
    assert "@import" not in document


def test_the_policy_forbids_everything_but_the_pages_own_style_and_script(read: Reader) -> None:
    policy = next(a["content"] for a in read.attributes("meta") if a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for tag, name in (("style", "page.css"), ("script", "page.js")):
        own = resources.files("lab.compare.report").joinpath(name).read_text()
        assert "".join(read.texts[tag]) == own
        digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_hostile_texts_are_shown_and_never_obeyed(read: Reader, document: str) -> None:
    assert len(read.attributes("script")) == 1
    assert not read.attributes("img")
    shown = HOSTILE.replace("\x1b[31m", "")
    assert any(shown in text for text in read.texts["div"])
    assert "\x1b" not in document


def test_each_row_has_its_number_in_table_and_charts(report: Report, read: Reader) -> None:
    dots = [a for a in read.attributes("span") if (a.get("class") or "").startswith("dot ")]
    assert {a["class"] for a in dots} == {f"dot s{n}" for n in range(8)}
    assert [row.number for row in report.rows] == list(range(1, 9))
    assert sum(a.get("class") == "run" for a in read.attributes("tr")) == 8
    assert {"floor", "ceiling"} <= {a.get("class") for a in read.attributes("tr")}


def test_every_chart_says_what_it_shows(read: Reader) -> None:
    labels = [a["aria-label"] for a in read.attributes("svg")]
    assert len(labels) > 15
    assert all(labels)
    for wanted in (
        "exact match (higher is better) over rank",
        "exact match (higher is better) against peak memory in training (GB)",
        "exact match (higher is better) against energy of training (Wh)",
        "loss (nats a token) over optimiser step",
        "GPU power (W) over minutes of work, loading and evaluation included",
        "GPU memory of the run (GB) over minutes of work, loading and evaluation included",
    ):
        assert wanted in labels


def test_the_front_is_named_in_words(read: Reader) -> None:
    notes_on_cost = [text for text in read.texts["figcaption"] if text.startswith("On the Pareto front")]
    assert "qlora r=4" in notes_on_cost[0]
    assert " lora r=8;" not in notes_on_cost[0]
    assert "want of a figure: baseline." in notes_on_cost[0]


def test_how_to_reproduce_names_commands_versions_hashes_and_profiles(read: Reader, report: Report) -> None:
    commands = read.texts["pre"]
    assert commands[0] == "lab study run ranks"
    assert sum(text.startswith('description = ""') for text in commands) == 8
    assert "2.13.0" in read.texts["td"]
    assert {row.entry.id for row in report.rows} <= set(read.texts["code"])
    assert "lora r=32 has no finished run." in read.texts["li"]


def test_a_poster_leaves_out_what_needs_hands(report: Report) -> None:
    read = Reader(page(report, poster=True))
    ids = {a["id"] for a in read.attributes("section") if "id" in a}
    assert ids == set(SECTIONS) - {"samples", "reproduce"}
    assert not read.attributes("a")


def test_without_a_gpu_the_page_says_what_was_not_measured(tmp_path: Path) -> None:
    runs = write_study(tmp_path, gpu=False, steps=12)[:3]
    read = Reader(page(report_of(tmp_path, runs)))
    assert "Power was not measured: no GPU told it." in read.texts["figcaption"]
    assert "Energy was not measured in any of these runs." in read.texts["figcaption"]
    labels = [a["aria-label"] or "" for a in read.attributes("svg")]
    assert any(label.startswith("resident memory of the process (GB)") for label in labels)


def test_runs_without_evaluation_or_steps_make_a_page_all_the_same(tmp_path: Path) -> None:
    run = make_run(tmp_path, "lora", metrics=None, state="failed", events=[], labels=Labels(study="s", row="only"))
    found = gather(infos_of([run]), name="s")
    assert found.headline is None
    assert found.samples == ()
    read = Reader(page(found))
    assert "No step was recorded." in read.texts["figcaption"]
    assert "No row has been evaluated yet, so there is nothing to answer with." in read.texts["p"]
    assert notes(found).startswith("# s\n\n**No row has been evaluated yet")


def test_values_that_are_no_numbers_are_not_drawn(tmp_path: Path) -> None:
    metrics = {"metrics": {"perplexity": {"value": "inf", "low": 2.0, "high": "inf", "signature": "s"}}, "counts": {}}
    runs = [make_run(tmp_path, name, metrics=metrics, generations=answered(["a"])) for name in ("lora", "qlora")]
    found = gather(infos_of(runs), name="s")
    document = page(found)
    Reader(document)
    assert not re.search(r'="[^"]*(nan|inf)\b', document)


def test_human_verdicts_are_told_where_there_are_some(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, name, generations=answered([f"{name} {n}" for n in range(4)])) for name in ("a", "b")]
    infos = infos_of(runs)
    entries = [load_entry(info) for info in infos]
    session = begin(entries[0], entries[1], (runs[0], runs[1]))
    for question in session.questions:
        record(session, question, "left" if question.left.startswith("b") else "right")
    found = gather(infos, name="s")
    assert [text.partition(" [")[0] for text in found.verdicts] == ["demo-b wins 1.00"]
    read = Reader(page(found))
    assert "Human verdicts" in read.texts["h2"]
    assert any(text.startswith("demo-b wins 1.00 [.51 1.00] against demo-a") for text in read.texts["p"])
    assert "## Human verdicts" in notes(found)


def test_markdown_fences_cannot_be_closed_from_inside(report: Report) -> None:
    text = "a\n```\n# not a title\n````"
    assert fenced(text) == f"`````\n{text}\n`````"
    written = notes(replace(report, answer="<b> & [x](http://y)"))
    assert "\\<b\\>" in written
    assert written.count("\n# ") == 0
    assert "## How to reproduce" in written
    assert "```sh\nlab study run ranks" in written
