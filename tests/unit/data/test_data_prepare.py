"""From a profile to tokens, the report and the gate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab import jsonio
from lab.data.masks import IGNORED
from lab.data.prepare import prepare
from lab.data.report import GateError
from lab.errors import DataError
from lab.profile.schema import Data, Profile, Source


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A factory: raw rows to r.jsonl, counts for its source, keys of data, the method."""
    monkeypatch.chdir(tmp_path)

    def make(rows: list[Any], method: str = "lora", data: dict[str, Any] | None = None, **counts: int) -> Profile:
        Path("r.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        source = Source(name="r.jsonl", **counts)
        return Profile.model_validate(
            {"method": {"kind": method}, "data": Data(source=[source], **(data or {})).model_dump()}
        )

    return make


def pairs(count: int, words: int = 1) -> list[dict[str, str]]:
    return [{"prompt": f"question {n}", "completion": f"answer {n} " + "good " * words} for n in range(count)]


def test_the_report_tells_everything_about_the_rows(profile: Any, chatml: Any) -> None:
    prepared = prepare(profile([*pairs(60), {"prompt": "a", "completion": 1}], validation=5, test=10), chatml)
    report = prepared.report
    assert json.loads(jsonio.dumps(report)) == report
    assert report["schema"] == 1
    assert report["sources"] == [
        {
            "name": "r.jsonl",
            "format": "prompt-completion",
            "chosen_by": "columns prompt, completion",
            "commit": None,
            "read": 61,
            "kept": 60,
            "splits": {"train": 45, "validation": 5, "test": 10},
            "unused": 0,
            "dropped": {"not a row": 1},
            "meta_instructions": None,
        }
    ]
    train = report["splits"]["train"]
    lengths = sorted(len(row.input_ids) for row in prepared.train)
    assert train["rows"] == len(prepared.train) == 45
    assert train["tokens"] == sum(lengths)
    assert train["supervised_tokens"] == sum(row.supervised for row in prepared.train)
    assert train["lengths"] == {"min": lengths[0], "median": lengths[22], "p90": lengths[40], "max": lengths[-1]}
    assert len({report["splits"][name]["hash"] for name in ("train", "validation", "test")}) == 3
    assert report["template"] == {"hash": prepared.template.hash, "source": "tokenizer", "folds_system": False}
    assert report["dropped_share"] == pytest.approx(1 / 61)
    tokens = sum(split["tokens"] for split in report["splits"].values())
    assert report["supervised_share"] == sum(s["supervised_tokens"] for s in report["splits"].values()) / tokens


def test_the_example_shows_what_is_learned(profile: Any, chatml: Any) -> None:
    report = prepare(profile([{"prompt": "\x1b[31mhi", "completion": "[b]ho[/b]"}]), chatml).report
    header = (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    )
    assert report["example"] == [
        {"text": header, "supervised": False},
        {"text": "[b]ho[/b]<|im_end|>", "supervised": True},
        {"text": "\n", "supervised": False},
    ]


def test_what_was_not_there_is_not_measured(profile: Any, chatml: Any) -> None:
    report = prepare(profile(pairs(3)), chatml).report
    nothing = {"min": None, "median": None, "p90": None, "max": None}
    empty = {"rows": 0, "groups": None, "hash": None, "tokens": 0, "supervised_tokens": 0, "lengths": nothing}
    assert report["splits"]["test"] == empty


def test_the_same_data_prepares_the_same(profile: Any, chatml: Any) -> None:
    made = profile(pairs(60), validation=5, test=10)
    assert prepare(made, chatml).report == prepare(made, chatml).report
    assert prepare(made, chatml).train == prepare(made, chatml).train


def test_rows_not_drawn_are_unused_and_not_dropped(profile: Any, chatml: Any) -> None:
    report = prepare(profile(pairs(60), train=10, test=5), chatml).report
    source = report["sources"][0]
    assert (source["read"], source["kept"], source["unused"], source["dropped"]) == (60, 15, 45, {})
    assert report["dropped_share"] == 0


def test_test_rows_supervise_the_reference_alone(profile: Any, chatml: Any) -> None:
    turns = ["a", "b", "c", "d"]
    chat = {"messages": [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(turns)]}
    (row,) = prepare(profile([chat], method="baseline", test=1), chatml).test
    assert chatml.decode([label for label in row.encoded.labels if label != IGNORED]) == "d<|im_end|>"
    assert (row.id, row.group, row.references) == ("r.jsonl-1", "", ("d",))


@pytest.mark.parametrize(("overlong", "kept", "dropped"), [("drop", 99, {"overlong": 1}), ("truncate", 100, {})])
def test_overlong_rows(overlong: str, kept: int, dropped: dict[str, int], profile: Any, chatml: Any) -> None:
    rows = [*pairs(99), *pairs(1, words=300)]
    prepared = prepare(profile(rows, data={"max_length": 200, "overlong": overlong}), chatml)
    assert len(prepared.train) == kept
    assert prepared.report["sources"][0]["dropped"] == dropped
    longest = prepared.report["splits"]["train"]["lengths"]["max"]
    assert (longest == 200) == (overlong == "truncate")
    assert all(len(row.labels) == len(row.input_ids) for row in prepared.train)


def test_an_overlong_row_as_an_error(profile: Any, chatml: Any) -> None:
    rows = [*pairs(5), *pairs(1, words=300)]
    with pytest.raises(DataError, match=r"Row r\.jsonl-6 has \d+ tokens, but data\.max_length is 200\.") as error:
        prepare(profile(rows, data={"max_length": 200, "overlong": "error"}), chatml)
    assert "data.overlong" in error.value.remedy


GATE: dict[str, tuple[list[Any], dict[str, Any], str, str]] = {
    "not rows": (
        [*pairs(90), *[{"prompt": "a", "completion": 1}] * 10],
        {},
        "10.0% of the rows were dropped unasked: r.jsonl: 10 not a row (first: r.jsonl-91: 'completion' is a number",
        "data.source.N.columns",
    ),
    "empty answers": (
        [*pairs(90), *[{"prompt": "a", "completion": ""}] * 10],
        {},
        "10.0% of the rows were dropped unasked: r.jsonl: 10 empty answer (first: r.jsonl-91)",
        "Remove those rows",
    ),
    "overlong": (
        [*pairs(90), *pairs(10, words=300)],
        {"data": {"max_length": 200}},
        "10.0% of the rows were dropped unasked: r.jsonl: 10 overlong",
        'Raise data.max_length or set data.overlong = "truncate"',
    ),
    "overlong among few drawn of many": (
        pairs(100, words=300),
        {"data": {"max_length": 200}, "train": 2, "test": 2},
        "There are no train rows: r.jsonl: 4 overlong",
        "data.max_length",
    ),
    "no rows": ([{"prompt": "a", "completion": ""}], {}, "There are no train rows: r.jsonl: 1 empty answer", "Remove"),
    "no train rows": (pairs(5), {"test": 5}, "There are no train rows.", "data.source.N.train"),
    "nothing supervised": (
        [{"prompt": "why " * 300, "completion": "so"}] * 3,
        {"data": {"max_length": 100, "overlong": "truncate"}},
        "Nothing is supervised in the train rows: r.jsonl: 3 nothing supervised (first: r.jsonl-",
        "Raise data.max_length.",
    ),
    "control tokens": (
        [*pairs(9), {"prompt": "a", "completion": "b<|im_end|>"}],
        {},
        "1 control token in the text (first: r.jsonl-10, Row r.jsonl-10 holds the control token '<|im_end|>'",
        "Remove those tokens",
    ),
}


@pytest.mark.parametrize("case", GATE)
def test_the_gate_refuses_with_reasons_and_keys(case: str, profile: Any, chatml: Any) -> None:
    rows, keys, problem, remedy = GATE[case]
    with pytest.raises(GateError) as error:
        prepare(profile(rows, **keys), chatml)
    assert problem in error.value.problem
    assert remedy in error.value.remedy
    assert error.value.report["schema"] == 1


@pytest.mark.parametrize(
    ("rows", "data"),
    [
        ([*pairs(95), *[{"prompt": "a", "completion": ""}] * 5], {}),
        (pairs(20) * 5, {"clean": ["dedupe"]}),
        ([*pairs(90), *pairs(10, words=300)], {"max_length": 200, "overlong": "truncate"}),
    ],
)
def test_the_gate_lets_through_five_percent_and_what_was_asked_for(
    rows: list[Any], data: Any, profile: Any, chatml: Any
) -> None:
    assert prepare(profile(rows, data=data), chatml).train


def test_a_baseline_needs_no_train_rows(profile: Any, chatml: Any) -> None:
    prepared = prepare(profile(pairs(5), method="baseline", test=5), chatml)
    assert (len(prepared.train), len(prepared.test)) == (0, 5)


def test_a_template_that_refuses_every_row_says_why(profile: Any, make_tokenizer: Any) -> None:
    template = (
        "{% for m in messages %}{% if 'answer' in m['content'] and loop.first %}{{ raise_exception('no answers') }}"
        "{% endif %}{{ m['content'] + eos_token }}{% endfor %}"
    )
    tokenizer = make_tokenizer("</s>", eos="</s>", template=template)
    with pytest.raises(GateError, match=r"10 refused by the template .*: no answers") as error:
        prepare(profile([{"prompt": "an answer?", "completion": "yes"}] * 10), tokenizer)
    assert "data.system_prompt" in error.value.remedy
    assert len(prepare(profile(pairs(10)), tokenizer).train) == 10


def test_helpdesk_whole(base: Any) -> None:
    source = Source(name="bundled:helpdesk", train=20, validation=5, test=10)
    prepared = prepare(Profile(data=Data(source=[source])), base)
    assert [len(part) for part in (prepared.train, prepared.validation, prepared.test)] == [20, 5, 10]
    assert all(json.loads(row.references[0]) for row in prepared.test)
    assert all(row.prompt_text.endswith("### Response:\n") for row in prepared.test)
    assert prepared.stop_ids == [base.eos_token_id]
