"""The scorers as a module of `evaluate`, loaded by path in a process of its own, without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.scoring.answers import Answer
from lab.scoring.score import score

PREDICTIONS = ["the cat sat", "Paris", "我在北京学习中文"]
REFERENCES = [["the cat sat down", "a cat sat"], ["paris."], ["我在上海学习中文"]]
NAMES = ("bleu", "chrf", "rougeL", "exact_match", "token_f1", "macro_f1")
SCRIPT = """
import json, sys
import evaluate
from lab.evaluation.wrappers import MODULE
predictions, references, names = json.load(sys.stdin)
found = {name: evaluate.load(MODULE, name).compute(predictions=predictions, references=references) for name in names}
single = [one[0] for one in references]
found["single"] = evaluate.load(MODULE, "rouge1").compute(
    predictions=predictions, references=single, groups=["a", "a", "b"], resamples=50, seed=3
)
for wrong in ("rougel", "perplexity", None):
    try:
        evaluate.load(MODULE, wrong)
    except Exception as error:
        found[f"refused {wrong}"] = f"{type(error).__name__}: {error}"
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    cache = tmp_path_factory.mktemp("hf")
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(cache), "XDG_CACHE_HOME": str(cache), "OMP_NUM_THREADS": "1"}
    dead = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps([PREDICTIONS, REFERENCES, NAMES]),
        env={**os.environ, **offline, **dead},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def _scored(references: list[list[str]], name: str, groups: list[str], **options: int) -> dict[str, object]:
    rows = zip(PREDICTIONS, references, groups, strict=True)
    answers = [Answer(str(n), tuple(refs), text, "stop", group) for n, (text, refs, group) in enumerate(rows)]
    record = score(answers, [name], **options)["metrics"][name]
    return {name: record.pop("value"), **record}


@pytest.mark.parametrize("name", NAMES)
def test_they_give_what_scoring_gives(found: dict[str, dict[str, object]], name: str) -> None:
    assert found[name] == _scored(REFERENCES, name, ["", "", ""])


def test_plain_references_groups_and_seeds_are_taken(found: dict[str, dict[str, object]]) -> None:
    single = [[one[0]] for one in REFERENCES]
    assert found["single"] == _scored(single, "rouge1", ["a", "a", "b"], resamples=50, seed=3)


@pytest.mark.parametrize(
    ("name", "words"),
    [("rougel", "Did you mean 'rougeL'"), ("perplexity", "no metric"), ("None", "Load it with one of bleu")],
)
def test_other_names_are_refused(found: dict[str, dict[str, object]], name: str, words: str) -> None:
    assert words in str(found[f"refused {name}"])
