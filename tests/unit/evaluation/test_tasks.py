"""`[[evaluate.task]]`: what a name stands for, which rows, how they are asked, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.data.prepare import Prepared, prepare
from lab.errors import LabError, ProfileError
from lab.evaluation.tasks.prepare import prepare_tasks
from lab.evaluation.tasks.rows import _official_ids, check_task_sources, source_of, task_rows
from lab.modeling.load import load_tokenizer
from lab.modeling.source import resolve_model
from lab.profile.dump import to_toml
from lab.profile.load import load_profile, resolve
from lab.profile.schema import Profile, Task
from lab.profile.tasks import KNOWN_TASKS
from tests.fixtures.tiny_llama import save_tiny_llama
from tests.fixtures.tiny_runs import tiny

SST2 = [{"sentence": f"film {i}", "label": i % 2} for i in range(6)]
SQUAD = [{"id": "q1", "context": "It is red.", "question": "Colour?", "answers": {"text": ["red", "Red."]}}]
PUBMED = [
    {"pmid": n, "split": split, "question": f"Does {n} work?", "contexts": ["A."], "final_decision": said}
    for n, split, said in ((1, "train", "yes"), (2, "test", "no"), (3, "test", "maybe"))
]
EVAL = [{"instruction": "Say hello.", "reference_text_davinci_003": "Hello!"}]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return str(path)


def profile(folder: Path, tasks: list[dict[str, Any]]) -> Profile:
    (folder / "rows.jsonl").write_text(
        "\n".join(json.dumps({"prompt": f"Say {i}.", "completion": f"It is {i}."}) for i in range(40))
    )
    tree = tiny(folder).tree
    tree["evaluate"] = {**tree["evaluate"], "task": tasks}
    return resolve("tiny", tree, {}, []).profile


def prepared(folder: Path, tasks: list[dict[str, Any]]) -> tuple[Profile, Prepared]:
    made = profile(folder, tasks)
    save_tiny_llama(folder / "model", weights=False)
    return made, prepare(made, load_tokenizer(resolve_model(str(folder / "model"))), cache=False)


@pytest.mark.parametrize("name", KNOWN_TASKS)
def test_every_known_task_stands_for_rows_metrics_and_a_way(name: str) -> None:
    known = KNOWN_TASKS[name]
    source = source_of(Task(name=name))
    assert bool(source) + bool(known.prompts) + bool(known.fetch) == 1
    assert bool(known.metrics) == (not known.prompts)
    assert len(known.prompts) in (0, 10)


def test_the_official_half_of_pubmedqa_is_packed() -> None:
    assert len(_official_ids()) == 500
    assert all(one.isdecimal() for one in _official_ids())


def test_rows_come_from_files_in_the_shape_of_the_task(tmp_path: Path) -> None:
    pubmed = {"name": write(tmp_path / "p.jsonl", PUBMED), "columns": {"id": "pmid"}}
    tasks = [
        {"name": "sst2", "source": {"name": write(tmp_path / "s.jsonl", SST2)}},
        {"name": "squad", "source": {"name": write(tmp_path / "q.jsonl", SQUAD)}},
        {"name": "pubmedqa", "source": pubmed},
        {
            "name": "alpaca-eval",
            "source": {
                "name": write(tmp_path / "a.jsonl", EVAL),
                "columns": {"output": "reference_text_davinci_003"},
            },
        },
    ]
    made, parts = prepared(tmp_path, tasks)
    sets = {one.task: one for one in prepare_tasks(made, parts)}
    assert [row.references for row in sets["sst2"].rows] == [("negative",), ("positive",)] * 3
    assert sets["sst2"].decoding.metric_names == ["accuracy", "macro_f1"]
    assert sets["sst2"].decoding.max_new_tokens == 8
    assert sets["squad"].rows[0].references == ("red", "Red.")
    assert sets["squad"].rows[0].prompt_text.endswith("Question: Colour?<|im_end|>\n<|im_start|>assistant\n")
    assert [row.id for row in sets["pubmedqa"].rows] == ["p.jsonl-2", "p.jsonl-3"]  # the official half alone
    assert sets["alpaca-eval"].rows[0].references == ("Hello!",)
    assert sets["alpaca-eval"].decoding.max_new_tokens == made.evaluate.max_new_tokens
    assert all(one.template_hash == parts.template.hash for one in sets.values())


def test_a_seeded_subset_is_the_same_for_every_run(tmp_path: Path) -> None:
    source = {"name": write(tmp_path / "s.jsonl", SST2)}
    made, parts = prepared(tmp_path, [{"name": "sst2", "source": source, "rows": 3}])
    first, second = (prepare_tasks(made, parts)[0] for _ in range(2))
    assert len(first.rows) == 3
    assert [row.id for row in first.rows] == [row.id for row in second.rows]


def test_likelihood_tries_each_label_as_the_whole_answer(tmp_path: Path) -> None:
    source = {"name": write(tmp_path / "s.jsonl", SST2)}
    made, parts = prepared(tmp_path, [{"name": "sst2-likelihood", "source": source}])
    (found,) = prepare_tasks(made, parts)
    assert found.labels == ("negative", "positive")
    decode = parts.template.tokenizer.decode
    learned = [[decode([t for t in one.labels if t >= 0]) for one in row] for row in found.choices]
    assert learned == [["negative<|im_end|>", "positive<|im_end|>"]] * 6
    for row, tried in zip(found.rows, found.choices, strict=True):
        assert all(one.input_ids[: len(row.prompt_ids)] == row.prompt_ids for one in tried)


def test_labels_of_an_own_task_are_those_of_its_rows(tmp_path: Path) -> None:
    rows = [{"prompt": f"{n}?", "completion": word} for n, word in enumerate(("b", "a", "b"))]
    task = {"name": "mine", "source": {"name": write(tmp_path / "m.jsonl", rows)}, "mode": "likelihood"}
    made, parts = prepared(tmp_path, [task])
    assert prepare_tasks(made, parts)[0].labels == ("a", "b")
    made, parts = prepared(tmp_path, [{**task, "labels": ["a", "c"]}])
    with pytest.raises(LabError, match=r"answer 'b' of row .* is none of the task's labels") as caught:
        prepare_tasks(made, parts)
    assert "evaluate.task.0.labels" in caught.value.remedy


@pytest.mark.parametrize("name", ["list.txt", "list.jsonl"])
def test_prompts_of_a_file_have_no_references(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("First?\n\nSecond?\n" if name.endswith("txt") else '{"prompt": "First?"}\n{"prompt": "Second?"}\n')
    made, parts = prepared(tmp_path, [{"name": "mine", "prompts": str(path)}, {"name": "general-prompts", "rows": 4}])
    mine, general = prepare_tasks(made, parts)
    assert [row.row.messages[0].content for row in mine.rows] == ["First?", "Second?"]
    assert (mine.referenced, mine.decoding.metric_names, len(general.rows)) == (False, [], 4)


def test_rows_that_were_trained_on_are_counted(tmp_path: Path) -> None:
    made, parts = prepared(tmp_path, [{"name": "mine", "source": {"name": str(tmp_path / "rows.jsonl")}}])
    (found,) = prepare_tasks(made, parts)
    assert (len(found.rows), found.trained_on) == (40, 24)


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"name": "sst22"}, "no known task.* Did you mean .*sst2"),
        ({"name": "test"}, "name of the lab's own"),
        ({"name": "alpaca-eval"}, "needs its rows"),
        ({"name": "x", "source": {"name": "a.jsonl", "test": 3}}, "counts rows"),
        ({"name": "x", "source": {"name": "a.jsonl"}, "prompts": "b.txt"}, "a source and prompts"),
        ({"name": "x", "prompts": "b.txt", "mode": "likelihood"}, "needs answers"),
        ({"name": "sst2", "labels": ["one"]}, "two or more"),
        ({"name": "Has Space"}, "should match"),
        ({"name": "x", "sauce": 1}, "is not a key"),
    ],
)
def test_what_cannot_be_is_refused_in_the_profile(tmp_path: Path, task: dict[str, Any], said: str) -> None:
    with pytest.raises(ProfileError, match=said):
        profile(tmp_path, [task])


def test_a_name_stands_for_one_task(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"evaluate\.task\.1\.name .* there already"):
        profile(tmp_path, [{"name": "sst2"}, {"name": "sst2"}])


@pytest.mark.parametrize(
    ("task", "said", "key"),
    [
        ({"name": "x", "source": {"name": "nowhere.jsonl"}}, "no data file", "evaluate.task.0.source.name"),
        ({"name": "x", "prompts": "nowhere.txt"}, "no file of prompts", "evaluate.task.0.prompts"),
    ],
)
def test_a_missing_file_is_refused_before_a_start_by_the_tasks_own_key(
    tmp_path: Path, task: dict[str, Any], said: str, key: str
) -> None:
    with pytest.raises(LabError, match=said) as caught:
        check_task_sources(profile(tmp_path, [task]).evaluate.task)
    assert key in caught.value.remedy


def test_empty_sets_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.txt"
    path.write_text("\n\n")
    with pytest.raises(LabError, match="holds no prompts"):
        task_rows(0, Task(name="x", prompts=str(path)))


def test_a_profile_with_tasks_is_written_and_read_again(tmp_path: Path) -> None:
    tasks = [{"name": "sst2"}, {"name": "mine", "source": {"name": "a.jsonl", "columns": {"output": "b"}}, "rows": 3}]
    made = profile(tmp_path, tasks)
    path = tmp_path / "again.toml"
    path.write_text(to_toml(made))
    assert load_profile(str(path)).profile == made
