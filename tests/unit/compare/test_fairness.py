"""What stands against a comparison, and what is never held against it."""

from __future__ import annotations

from typing import Any

import pytest

from lab.compare.checks import as_hashes, as_signatures
from lab.compare.entry import Entry
from lab.compare.fairness import compare_fairness, quality_key
from lab.profile.load import merge
from tests.fixtures.folders import DATA, ENVIRONMENT, SPEC

TREE: dict[str, Any] = {
    "model": {"name": "bundled:m", "quantization": "none"},
    "method": {"kind": "lora", "rank": 8},
    "data": {"system_prompt": "Be brief.", "train_on": "all-assistant", "max_length": 512},
    "train": {"learning_rate": 2e-4, "seed": 42, "examples_per_step": 16, "checkpointing": "auto"},
}


def row(name: str, **changes: Any) -> Entry:
    """Return an evaluated row; changes merge into the field they name, others replace it."""
    fields: dict[str, Any] = {
        "id": f"run-{name}",
        "name": name,
        "method": name if name in ("baseline", "qlora") else "lora",
        "state": "completed",
        "metrics": {"bleu": {"value": 0.5, "low": 0.4, "high": 0.6, "signature": "nrefs:1|tok:13a"}},
        "cost": {"memory_kind": "resident set"},
        "spec": SPEC,
        "environment": ENVIRONMENT,
        "data": DATA,
        "tree": TREE,
        "tokens_seen": 1000,
    }
    for key, change in changes.items():
        fields[key] = merge(fields[key], change) if isinstance(change, dict) and change else change
    return Entry(**fields)


def found(*entries: Entry, axes: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    return [(finding.level, finding.key) for finding in compare_fairness(entries, axes)]


def test_equal_rows_have_nothing_against_them() -> None:
    assert found(row("lora"), row("top")) == []


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"spec": {"rows_hash": "77b2"}}, "rows_hash"),
        ({"spec": {"template_hash": "x"}}, "template_hash"),
        ({"spec": {"decoding": {"max_new_tokens": 128}}}, "decoding.max_new_tokens"),
        ({"spec": {"decoding": {"temperature": 0.7}}}, "decoding.temperature"),
        ({"spec": {"weights": "merged-bf16"}}, "weights"),
        ({"tree": {"data": {"system_prompt": "Be long."}}}, "data.system_prompt"),
        ({"metrics": {"bleu": {"value": 0.5, "signature": "nrefs:1|tok:zh"}}}, "signature.bleu"),
    ],
)
def test_blocking(change: dict[str, Any], key: str) -> None:
    one, other = row("lora"), row("top", **change)
    assert found(one, other) == [("blocking", key)]
    if not key.startswith("signature"):
        assert quality_key(one) != quality_key(other)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"tokens_seen": 2000}, "tokens_seen"),
        ({"data": {"splits": {"train": {"hash": "other"}}}}, "train_hash"),
        ({"tree": {"train": {"learning_rate": 1e-3}}}, "train.learning_rate"),
        ({"tree": {"train": {"examples_per_step": 8}}}, "train.examples_per_step"),
        ({"tree": {"train": {"seed": 1}}}, "train.seed"),
        ({"tree": {"data": {"train_on": "last"}}}, "data.train_on"),
        ({"environment": {"packages": {"torch": "2.10.0"}}}, "packages.torch"),
        ({"environment": {"model": {"dtype": "fp32"}}}, "dtype"),
        ({"environment": {"model": {"label": "another"}}}, "model"),
        ({"environment": {"threads": 8}}, "threads"),
        ({"environment": {"host": {"cpu": "other"}}}, "device"),
        ({"tree": {"train": {"checkpointing": "all"}}}, "train.checkpointing"),
        ({"cost": {"memory_kind": "torch allocated"}}, "memory_kind"),
    ],
)
def test_confounding(change: dict[str, Any], key: str) -> None:
    assert found(row("lora"), row("top", **change)) == [("confounding", key)]


def test_blocking_comes_first() -> None:
    other = row("top", tokens_seen=9, spec={"rows_hash": "77b2"})
    assert [level for level, _ in found(row("lora"), other)] == ["blocking", "confounding"]


@pytest.mark.parametrize(
    "change",
    [
        {"tree": {"method": {"kind": "qlora", "rank": 64}}},
        {"tree": {"model": {"quantization": "nf4"}}},
        {"tokens_seen": 1009},
        {"spec": {"decoding": {"seed": 7, "top_p": 0.5}}},
        {"spec": {"batch_size": 1}},
        {"environment": {"packages": {"rich": "1"}}},
        {"environment": {"argv": ["x"]}},
        {"tree": {"train": {"save_every": 3}}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_treatment_and_what_changes_no_figure_are_not_listed(change: dict[str, Any]) -> None:
    assert found(row("lora"), row("top", **change)) == []


def test_decoding_seeds_matter_where_answers_are_drawn() -> None:
    one, other = (row(n, spec={"decoding": {"temperature": 0.7, "seed": s}}) for n, s in (("a", 1), ("b", 2)))
    assert found(one, other) == [("blocking", "decoding.seed")]


@pytest.mark.parametrize(
    ("axis", "change"),
    [
        ("train.learning_rate", {"tree": {"train": {"learning_rate": 1e-3}}}),
        ("train.seed", {"tree": {"train": {"seed": 1}}}),
        ("train.epochs", {"tokens_seen": 5}),
        ("data.source.0.train", {"tokens_seen": 5, "data": {"splits": {"train": {"hash": "other"}}}}),
        ("model.name", {"environment": {"model": {"label": "another"}}, "spec": {"template_hash": "x"}}),
        ("evaluate.temperature", {"spec": {"decoding": {"temperature": 0.5, "top_p": 1.0}}}),
    ],
)
def test_what_a_study_varies_and_what_follows_from_it_is_no_fault(axis: str, change: dict[str, Any]) -> None:
    one = row("lora", spec={"decoding": {"temperature": 0.1}}) if "temperature" in axis else row("lora")
    other = row("top", **change)
    assert found(one, other) != []
    assert found(one, other, axes=(axis,)) == []


def test_other_test_rows_are_never_excused() -> None:
    pair = row("lora"), row("top", spec={"rows_hash": "77b2"})
    assert found(*pair, axes=("data", "evaluate", "model")) == [("blocking", "rows_hash")]


def test_a_baseline_has_trained_nothing() -> None:
    untuned = row("baseline", tokens_seen=None, tree={"train": {"learning_rate": 0.1, "seed": 1}})
    assert found(untuned, row("lora")) == []


def test_a_row_without_evaluation_is_compared_in_cost_alone() -> None:
    late = row("late", metrics={}, spec={}, tokens_seen=5, environment={"threads": 8})
    assert found(row("lora"), late) == [("confounding", "threads")]


def test_an_evaluation_that_does_not_say_its_rows_cannot_be_compared() -> None:
    old = row("old", spec={**dict.fromkeys(SPEC)})
    keys = [key for level, key in found(row("lora"), old) if level == "blocking"]
    assert "rows_hash" in keys
    assert "weights" in keys


def test_threads_do_not_matter_on_a_gpu() -> None:
    gpu = {"gpu": {"name": "H100"}, "threads": 2}
    assert found(row("a", environment=gpu), row("b", environment={**gpu, "threads": 9})) == []


def test_an_artifact_is_compared_with_the_weights_that_it_was_made_of() -> None:
    artifact = row("merged", kind="artifact", spec={"weights": "q4_0"})
    assert found(row("lora"), artifact) == []


def test_floors_are_no_rows_of_a_comparison() -> None:
    assert found(row("lora"), row("floor", kind="floor", spec={"rows_hash": "z"})) == []


def test_perplexities_of_two_models() -> None:
    metrics = {"perplexity": {"value": 3.0, "signature": "s"}}
    pair = row("a", metrics=metrics), row("b", metrics=metrics, environment={"model": {"label": "another"}})
    assert found(*pair, axes=("model.name",)) == [("confounding", "perplexity")]


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        (
            [row("lora"), row("qlora", spec={"rows_hash": "77b20000"})],
            "Test rows differ: a3f1 (lora), 77b2 (qlora); their quality figures may not be compared.",
        ),
        (
            [row(n, tree={"train": {"seed": s}}) for n, s in (("a", 1), ("b", 1), ("c", 1), ("d", 1), ("e", 2))],
            "Training seeds differ: 1 (a, b, c and 1 more), 2 (e); a difference in quality may come from that.",
        ),
        (
            [row("lora"), row("top", metrics={"bleu": {"signature": "nrefs:1|tok:zh"}})],
            "Signatures of BLEU differ: tok:13a (lora), tok:zh (top); their BLEU may not be compared.",
        ),
        (
            [row("lora"), row("top", environment={"packages": {"torch": "2.10.0"}})],
            "Versions of torch differ: 2.13.0 (lora), 2.10.0 (top);"
            " a difference in quality or cost may come from that.",
        ),
        (
            [row("lora"), row("top", tokens_seen=1_234_567)],
            "Tokens seen in training differ: 1,000 (lora), 1,234,567 (top);"
            " a difference in quality may come from that.",
        ),
    ],
)
def test_sentences(entries: list[Entry], sentence: str) -> None:
    assert [finding.sentence for finding in compare_fairness(entries)] == [sentence]


def test_a_finding_holds_the_value_of_each_run() -> None:
    finding = compare_fairness([row("lora"), row("top", tokens_seen=5)])[0]
    assert finding.as_json() == {
        "level": "confounding",
        "key": "tokens_seen",
        "values": {"run-lora": 1000, "run-top": 5},
        "text": finding.sentence,
    }


@pytest.mark.parametrize(
    ("hashes", "shown"),
    [
        (["abcdef", "123456"], ["abcd", "1234"]),
        (["abcdef1", "abcdef2"], ["abcdef1", "abcdef2"]),
        (["abcdef", "abcdef", "abcxyz"], ["abcd", "abcd", "abcx"]),
        (["unknown", "a3f10000"], ["unknown", "a3f1"]),
        ([], []),
    ],
)
def test_hashes_are_as_short_as_they_can_be(hashes: list[str], shown: list[str]) -> None:
    assert as_hashes(hashes) == shown


def test_of_signatures_only_what_differs_is_shown() -> None:
    assert as_signatures(["a:1|b:2|c:3", "a:1|b:9", "a:1"]) == ["b:2|c:3", "b:9", "nothing else"]
