"""Meta-instructions: what is cut from user turns, what stays, and the report of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.data.meta import EXAMPLES, Cuts, strip, without_meta
from lab.data.read import read_rows
from lab.data.rows import Message
from lab.profile.schema import Data, Source

CUT = [
    ("Explain pooling. Include an example from industry.", "Explain pooling.", ["Include an example from industry."]),
    ("What is backprop? Briefly compare it with SGD.", "What is backprop?", ["Briefly compare it with SGD."]),
    ("Explain CNNs. Relate it to vision. Be concise.", "Explain CNNs.", ["Relate it to vision.", "Be concise."]),
    ("What is dropout?\nKeep it short.", "What is dropout?", ["Keep it short."]),
    ("What is 1.5 times 2? Answer in one sentence.", "What is 1.5 times 2?", ["Answer in one sentence."]),
    ("Explain A and include an example.", "Explain A.", ["and include an example"]),
    ("Briefly compare LSTM and GRU.", "Compare LSTM and GRU.", ["Briefly"]),
    ("In your own words, what is bias?", "What is bias?", ["In your own words,"]),
    ("In two sentences, explain drift.", "Explain drift.", ["In two sentences,"]),
    (", how do we read the tradeoff?", "How do we read the tradeoff?", [","]),
    ("Explain SGD.\n\nUse an analogy.\n\nContext: a b", "Explain SGD.\n\nContext: a b", ["Use an analogy."]),
]
KEPT = [
    "Give an example of AutoML",
    "Compare it with that.",
    "Explain A and B.",
    "Use an example.",
    "Be concise.",
    "Add two numbers. Use a for loop.",
    "Give a definition of AutoML and mention one benefit and one risk.",
    "Design a voice interface. Give me a specific example of how a user might begin.",
    "How do I relate to my brother?",
    "Write a story. It should be short and include a dragon.",
    "",
    "  \n",
]


@pytest.mark.parametrize(("text", "kept", "cut"), CUT)
def test_fragments_are_cut_and_told(text: str, kept: str, cut: list[str]) -> None:
    assert strip(text) == (kept, cut)
    assert strip(kept) == (kept, [])


@pytest.mark.parametrize("text", KEPT)
def test_what_asks_for_something_stays(text: str) -> None:
    assert strip(text) == (text, [])


def test_only_the_user_is_cut() -> None:
    said = "Explain it. Include an example."
    messages = [Message(role, said) for role in ("system", "user", "assistant")]
    cuts = Cuts()
    assert [m.content for m in without_meta(messages, "r-1", cuts)] == [said, "Explain it.", said]
    assert cuts.as_json() == {
        "rows": 1,
        "fragments": 1,
        "most_common": {"Include an example.": 1},
        "examples": [{"id": "r-1", "before": said, "after": "Explain it."}],
    }


def test_the_report_names_the_commonest_first_and_few_examples() -> None:
    cuts = Cuts()
    for number in range(30):
        ask = "Be brief." if number % 3 else "Use an example."
        without_meta([Message("user", f"Explain {number}. {ask}")], str(number), cuts)
    report = cuts.as_json()
    assert report["most_common"] == {"Be brief.": 20, "Use an example.": 10}
    assert (report["rows"], report["fragments"]) == (30, 30)
    assert isinstance(report["examples"], list)
    assert len(report["examples"]) == EXAMPLES


def test_cleaning_comes_before_dedupe_and_spares_the_labs_own_questions(tmp_path: Path) -> None:
    rows = [{"prompt": f"Explain A.{end}", "completion": "b"} for end in ("", " Be brief.", " Keep it short.")]
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "s.jsonl").write_text(json.dumps({"sentence": "so so. Be brief.", "label": 0}) + "\n")
    sources = [Source(name=str(tmp_path / name)) for name in ("r.jsonl", "s.jsonl")]
    drawn = read_rows(Data(source=sources, clean=["meta-instructions", "dedupe"]))
    assert [tally.dropped for tally in drawn.tallies] == [{"duplicate": 2}, {}]
    assert [tally.cuts.rows if tally.cuts else None for tally in drawn.tallies] == [2, 0]
    assert drawn.splits["train"][1].messages[0].content.endswith("so so. Be brief.")
