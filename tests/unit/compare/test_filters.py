"""The query language of run lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.compare.filters import Term, parse, parse_query
from lab.errors import UsageError
from lab.runs.labels import Labels
from lab.runs.store import RunInfo, list_runs
from tests.fixtures.folders import make_run


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("", []),
        ("   ", []),
        ("alpaca", [Term("", "~", "alpaca")]),
        ("method=qlora", [Term("method", "=", "qlora")]),
        ("method!=qlora", [Term("method", "!=", "qlora")]),
        ("loss<1.2 rank>=8", [Term("loss", "<", "1.2"), Term("rank", ">=", "8")]),
        ("loss<=1e-3", [Term("loss", "<=", "1e-3")]),
        ("step>10", [Term("step", ">", "10")]),
        ("tag:alpaca", [Term("tag", "=", "alpaca")]),
        ("name~'two words'", [Term("name", "~", "two words")]),
        ('name="a=b"', [Term("name", "=", "a=b")]),
        ("study=", [Term("study", "=", "")]),
        ("train.learning_rate>1e-4", [Term("train.learning_rate", ">", "1e-4")]),
        ("2027-01", [Term("", "~", "2027-01")]),
    ],
)
def test_parse(query: str, terms: list[Term]) -> None:
    assert parse(query) == terms


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("name='open", "not closed"),
        ("loss<", "has no value"),
        ("name~", "has no value"),
        ("loss<low", "compares with no number"),
    ],
)
def test_what_cannot_be_read(query: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(query)


@pytest.fixture(scope="module")
def infos(tmp_path_factory: pytest.TempPathFactory) -> list[RunInfo]:
    root = tmp_path_factory.mktemp("home")
    labels = Labels(name="My Best", tags=("alpaca", "keep"), study="ranks", row="rank 8")
    make_run(
        root,
        "lora",
        metrics=None,
        labels=labels,
        profile={"method": {"rank": 8, "target_modules": ["q_proj", "v_proj"]}, "train": {"seed": 1}},
        summary={"last_loss": 1.1, "best_eval_loss": 1.3, "metrics": {"json_match": 0.54}},
    )
    make_run(root, "qlora", method="qlora", state="failed", metrics=None, summary={"last_loss": "nan"})
    make_run(root, "baseline", method="baseline", metrics=None, labels=Labels(archived=True, tags=("old",)))
    return list_runs(root / "runs")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "baseline lora qlora"),
        ("method=qlora", "qlora"),
        ("method=LoRA", "lora"),
        ("method!=lora", "baseline qlora"),
        ("method~lora", "lora qlora"),
        ("state=completed", "baseline lora"),
        ("state!=completed", "qlora"),
        ("loss<1.2", "lora"),
        ("loss>=1.1", "lora"),
        ("loss>1.1", ""),
        ("loss!=1.1", "baseline qlora"),
        ("eval_loss=1.3", "lora"),
        ("json_match>0.5", "lora"),
        ("json_match<=0.54", "lora"),
        ("step=4", "lora qlora"),
        ("rank>=8", "baseline lora qlora"),
        ("rank=8", "lora"),
        ("method.rank<16", "lora"),
        ("target_modules=v_proj", "lora"),
        ("target_modules=all-linear", "baseline qlora"),
        ("train.seed=1", "lora"),
        ("double_quant=false", "baseline lora qlora"),
        ("data.source.name=bundled:helpdesk", "baseline lora qlora"),
        ("data.source.train=12 method=lora", "lora"),
        ("tag:alpaca", "lora"),
        ("tag=keep tag=alpaca", "lora"),
        ("tag!=old", "lora qlora"),
        ("tag~alp", "lora"),
        ("archived=true", "baseline"),
        ("archived=false", "lora qlora"),
        ("study=ranks row~8", "lora"),
        ("study=", "baseline qlora"),
        ("name='my best'", "lora"),
        ("best", "lora"),
        ("ranks", "lora"),
        ("8", "baseline lora qlora"),
        ("failed", "qlora"),
        ("fail", ""),
        ("demo", "baseline lora qlora"),
        ("QLORA", "qlora"),
        ("model~small profile=demo-lora", "lora"),
        ("id~0800-base", "baseline"),
    ],
)
def test_filter(infos: list[RunInfo], query: str, names: str) -> None:
    assert (
        sorted(info.text("profile").removeprefix("demo-") for info in infos if parse_query(query)(info))
        == names.split()
    )


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("metod=lora", "metod.*Did you mean 'method'"),
        ("learning_rat=1", "Did you mean 'learning_rate'"),
        ("json_mach>0.5", "Did you mean 'json_match'"),
        ("seed=1", "data.seed or train.seed or evaluate.seed"),
        ("state=complete", "Did you mean 'completed'"),
    ],
)
def test_keys_that_do_not_exist(query: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_query(query)


@pytest.mark.parametrize("query", ["k=1 \x1b[2Jloss<2", "loss<\x1b[2Jx", "state=\x1b[2J", "'\x1b[2J"])
def test_errors_do_not_repeat_escape_sequences(query: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_query(query)
    assert "\x1b" not in str(error.value)
    assert "\\x1b" not in str(error.value)


def test_a_run_without_a_profile_fits_no_condition_on_it(tmp_path: Path) -> None:
    run = make_run(tmp_path, metrics=None)
    run.profile.unlink()
    info = list_runs(tmp_path / "runs")[0]
    assert not parse_query("rank>0")(info)
    assert parse_query("rank!=8")(info)
