"""The plan as text: the example's masks, cutting lines, and 80 columns."""

from __future__ import annotations

from typing import Any

import pytest

from lab.cli.planview import CLOSE, DIM, OPEN, PLAIN, example_lines, pieces, sections
from lab.text import display_width


def part(text: str, supervised: bool) -> dict[str, Any]:
    return {"text": text, "supervised": supervised}


CHAT = [part("<user>hello\nthere<end>\n<bot>", False), part("fine<end>", True), part("\n", False)]


def test_without_a_terminal_brackets_enclose_what_is_learnt() -> None:
    assert example_lines(CHAT, 70, dim=False) == ["  <user>hello", "  there<end>", f"  <bot>{OPEN}fine<end>{CLOSE}"]


def test_on_a_terminal_everything_else_is_dimmed_and_each_line_ends_plain() -> None:
    assert example_lines(CHAT, 70, dim=True) == [
        f"  {DIM}<user>hello{PLAIN}",
        f"  {DIM}there<end>{PLAIN}",
        f"  {DIM}<bot>{PLAIN}fine<end>",
    ]


def test_styles_stay_on_their_characters_where_lines_are_cut() -> None:
    example = [part("aa bb cc ", False), part("dd ee\nff", True), part(" gg", False)]
    for columns in range(2, 20):
        shown = "".join(line.removeprefix("  ") for line in example_lines(example, columns, dim=True))
        plain, supervised, dim = "", "", False
        while shown:
            if shown.startswith((DIM, PLAIN)):
                dim = shown.startswith(DIM)
                shown = shown.removeprefix(DIM if dim else PLAIN)
                continue
            plain += shown[0]
            supervised += "" if dim else shown[0]
            shown = shown[1:]
        assert (plain, supervised) == ("aa bb cc dd eeff gg", "dd eeff")


@pytest.mark.parametrize(
    ("line", "columns", "expected"),
    [
        ("", 5, [""]),
        ("abc", 5, ["abc"]),
        ("abcde", 5, ["abcde"]),
        ("abcdef", 5, ["abcde", "f"]),
        ("ab cdef", 5, ["ab ", "cdef"]),
        ("a b c d e", 3, ["a ", "b ", "c ", "d e"]),
        ("漢字漢字", 5, ["漢字", "漢字"]),
        ("ab 漢字漢字", 6, ["ab ", "漢字漢", "字"]),
    ],
)
def test_lines_are_cut_between_words_where_they_can_be(line: str, columns: int, expected: list[str]) -> None:
    assert pieces(line, columns) == expected


@pytest.mark.parametrize("columns", range(2, 30))
def test_pieces_are_the_line_and_fit(columns: int) -> None:
    line = "The  quick brown fox 漢字漢字 jumpsoverthelazydog and then some"
    found = pieces(line, columns)
    assert "".join(found) == line
    assert max(map(display_width, found)) <= columns


def split(rows: int) -> dict[str, Any]:
    lengths = {"min": 162, "median": 180.5, "p90": 191, "max": 2048}
    empty = dict.fromkeys(lengths)
    return {
        "rows": rows,
        "tokens": 181 * rows,
        "supervised_tokens": 28 * rows,
        "hash": "x",
        "lengths": lengths if rows else empty,
    }


def plan_of(**changes: Any) -> dict[str, Any]:
    source = {"name": "tatsu-lab/alpaca", "format": "alpaca", "chosen_by": "the profile", "read": 52002, "kept": 7200}
    source["meta_instructions"] = {"rows": 31, "most_common": {"Be brief.": 20, "Use an example.": 11}}
    whole = {
        "profile": "my-profile",
        "hash": "0123",
        "method": "qlora",
        "model": {"label": "meta-llama/Llama-3.2-1B-Instruct", "kind": "hub", "commit": "abc"},
        "unread": None,
        "refused": None,
        "data": {
            "sources": [{**source, "dropped": {"empty answer": 28, "overlong": 12}}],
            "splits": {"train": split(5000), "validation": split(0), "test": split(2000)},
            "template": {"hash": "872be49dbb63", "source": "tokenizer", "folds_system": True},
            "supervised_share": 0.156,
            "dropped_share": 0.0008,
            "example": [part("word " * 60, False), part("answer " * 30, True)],
        },
        "recipe": {
            "ranks": {"value": 1, "why": "one process trains"},
            "dtype": {"value": "bf16", "why": "the device is fastest in bf16 " * 4},
            "autocast": {"value": "", "why": "nothing"},
            "loss_scaling": {"value": False, "why": "no need"},
        },
        "steps": {"total": 626, "per_epoch": 313, "epochs": 2.0, "warmup": 19, "validations": 3, "tokens": 1_810_000},
        "parameters": {"total": 1_235_814_400, "trainable": 11_272_192, "share": 0.00912},
        "memory": {
            "weights": 10**9,
            "trainable": 180 * 10**6,
            "activations": 8 * 10**9,
            "temporary": 33 * 10**6,
            "overhead": 2**30,
            "total": 10 * 10**9,
            "device_bytes": 8 * 10**9,
            "fits": False,
            "at_least": False,
        },
        "unknown_size": None,
    }
    return whole | changes


@pytest.mark.parametrize("dim", [True, False])
@pytest.mark.parametrize("columns", [60, 80, 200])
def test_every_line_fits(columns: int, dim: bool) -> None:
    text = "\n\n".join(sections(plan_of(seconds=500.0), columns, dim=dim))
    plain = text.replace(DIM, "").replace(PLAIN, "")
    assert max(map(display_width, plain.split("\n"))) <= min(columns, 80)


def test_what_was_found_is_told() -> None:
    text = "\n\n".join(sections(plan_of(seconds=430.0), 80, dim=False))
    for words in (
        "alpaca (by the profile): 52,002 rows read, 7,200 kept",
        "meta-instructions cut from 31 rows (such as 'Be brief.')",
        "tokenizer (872be49dbb63), system messages go into the first user turn",
        "train       5,000  905,000     140,000  162     180  191  2,048",
        "validation      0        0           0    -       -    -      -",
        "loss_scaling  no - no need",
        "autocast      none - nothing",
        "626 steps (2 x 313 steps an epoch)",
        "about 10.00 GB of 8.00 GB: it does not fit",
        "1.2G, 11.3M trained (0.91 %)",
        "about 7 minutes here",
    ):
        assert " ".join(words.split()) in " ".join(text.split()), words
    assert "temporary 33.00 MB" in text


def test_what_is_not_known_is_said() -> None:
    text = "\n\n".join(sections(plan_of(memory=None, unknown_size="No such family.", seconds=None), 80, dim=False))
    assert "unknown  No such family." in text
    assert "could not be measured" in text
    assert "Time" not in "\n\n".join(sections(plan_of(), 80, dim=False))


def test_on_a_cpu_memory_is_a_lower_bound() -> None:
    memory = {**plan_of()["memory"], "fits": True, "at_least": True}
    text = "\n\n".join(sections(plan_of(memory=memory), 80, dim=False))
    assert "at least 10.00 GB of 8.00 GB\n" in text


def test_refused_data_shows_its_report_and_no_more() -> None:
    refused = {key: value for key, value in plan_of().items() if key in ("profile", "model", "method", "data")}
    text = "\n\n".join(sections({**refused, "refused": {"problem": "p", "remedy": "r"}}, 80, dim=False))
    assert "Data" in text
    assert "Recipe" not in text


def test_a_baseline_has_no_steps() -> None:
    assert "Steps" not in "\n\n".join(sections(plan_of(steps=None), 80, dim=False))


def test_without_data_it_says_so_and_what_stands_for_rows() -> None:
    steps = {"total": 626, "per_epoch": 313, "epochs": 2.0, "warmup": 19, "validations": 3, "tokens": None}
    model = {"label": "meta-llama/Llama-3.2-1B", "kind": "known by name", "commit": None}
    absent = {"problem": "The hub cannot be reached.", "remedy": "Fetch it."}
    named = plan_of(data=None, unread=absent, model=model, steps=steps)
    text = " ".join("\n".join(sections(named, 80, dim=False)).split())
    assert "not read no tokenizer here; the sizes of the model are known by its name" in text
    assert "instead rows of data.max_length, all supervised" in text
    assert "tokens not known" in text
    assert "at most 10.00 GB of 8.00 GB" in text
    assert "11.3M trained (0.91 %)" in text
    missing = {"problem": "There is no data file 'x.jsonl'.", "remedy": "Check data.source.0.name."}
    refused = plan_of(data=None, unread=missing, refused=missing)
    text = " ".join("\n".join(sections(refused, 80, dim=True)).split())
    assert "not read There is no data file 'x.jsonl'." in text
    assert "Size parameters" in text


def test_words_for_sbatch_stay_whole() -> None:
    words = ["sbatch", "--job-name=ID", "--constraint=a b", f"--output=/home/{'x' * 80}/worker.log", "job.sh"]
    lines = "\n\n".join(sections(plan_of(sbatch=words), 60, dim=False)).splitlines()
    at = next(place for place, line in enumerate(lines) if line.startswith("Slurm"))
    assert [word for line in lines[at + 1 :] for word in line.split()] == [
        *words[:2],
        "'--constraint=a",
        "b'",
        *words[3:],
    ]
    assert max(len(line) for line in lines if "/home/" not in line) <= 60
