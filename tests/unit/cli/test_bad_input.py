"""Bad input as a user meets it: an exit code, two sentences on stderr, and no run folder half-made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab.data.fetch import fetch_data
from lab.errors import DataError
from lab.profile.load import load_profile
from tests.unit.cli.conftest import Lab

NothingStarted = Callable[[], None]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("method.rnak=8", ["method.rnak is not a key", "Did you mean 'rank'?"]),
        ("methd.rank=8", ["methd.rank is not a key", "Did you mean 'method.rank'?"]),
        ("data.source.0.trian=8", ["data.source.0.trian is not a key", "Did you mean 'train'?"]),
        ("method.rank=high", ["method.rank = 'high' should be a valid integer"]),
        ("method.rank=2.5", ["method.rank = 2.5"]),
        ("train.learning_rate=[]", ["train.learning_rate = []"]),
        ("method.rank=0", ["method.rank = 0", "greater than or equal to 1"]),
        ("method.dropout=1.0", ["method.dropout = 1.0"]),
        ("train.learning_rate=nan", ["train.learning_rate = nan"]),
        ("method.kind=qlroa", ["method.kind = 'qlroa'", "Did you mean 'qlora'?"]),
        ("evaluate.metrics=['bleuu']", ["evaluate.metrics.0 = 'bleuu' should be 'bleu'"]),
        ("launch.kind=torchrun", ["launch.kind = 'torchrun' should be"]),
        ("data.source.5.train=8", ["no item '5' among 1"]),
        ("method.rank.deeper=8", ["method.rank"]),
        ("data.source=[]", ["no data"]),
        ("method.rank", ["'method.rank' is no assignment"]),
        ("=8", ["is no assignment"]),
    ],
)
@pytest.mark.parametrize("verb", ["train", "plan", "fetch"])
def test_wrong_values_are_named(
    lab: Lab, nothing_started: NothingStarted, verb: str, setting: str, words: list[str]
) -> None:
    lab(verb, "demo-lora", "--set", setting).refused(2, *words)
    nothing_started()


@pytest.mark.parametrize(
    ("settings", "code", "words"),
    [
        (["data.source.0.name=./missing.jsonl"], 3, ["no data file './missing.jsonl'", "data.source.0.name"]),
        (["data.source.0.name=empty.jsonl"], 2, ["'empty.jsonl' is empty"]),
        (["data.source.0.name=folder/"], 2, ["is a folder"]),
        (["data.source.0.name=./rows.exe"], 2, ["extension"]),
        (["data.source.0.name=a/b/c"], 2, ["neither a file nor the name of a hub data set"]),
        (["data.source.0.name=helpdesk"], 3, ["needs its prefix"]),
        (["data.source.0.name=bundled:helpdisk"], 3, ["'helpdisk'", "Did you mean 'helpdesk'?"]),
        (["data.source.0.split=test"], 2, ["means nothing for a bundled data set"]),
        (["data.template=./none.jinja"], 3, ["no template file"]),
        (["model.name=bundled:smollm2-135m"], 3, ["Did you mean"]),
        (["model.name=smollm2-135m-instruct"], 3, ["needs its prefix"]),
        (["model.name=./missing"], 3, ["'./missing' does not exist"]),
        (["model.name=./folder"], 3, ["'./folder' lacks"]),
        (["model.name=./config-only"], 3, ["'./config-only' lacks", "weight"]),
        (["model.name=./rows.jsonl"], 3, ["is a file"]),
        (["model.name=owner/name/more"], 2, ["neither a folder nor a hub id"]),
        (["model.name=bad name!"], 2, ["neither a folder nor a hub id"]),
        (["model.name="], 2, ["model.name"]),
    ],
)
@pytest.mark.parametrize("verb", ["train", "plan"])
def test_what_is_missing_is_refused_before_anything_starts(
    lab: Lab, nothing_started: NothingStarted, verb: str, settings: list[str], code: int, words: list[str]
) -> None:
    Path("empty.jsonl").touch()
    Path("rows.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    Path("rows.exe").write_text("x")
    Path("folder").mkdir()
    Path("config-only").mkdir()
    Path("config-only/config.json").write_text("{}")
    flags = [word for setting in settings for word in ("--set", setting)]
    lab(verb, "demo-lora", *flags).refused(code, *words)
    nothing_started()


def test_one_bad_profile_among_good_ones_starts_none(lab: Lab, nothing_started: NothingStarted) -> None:
    Path("bad.toml").write_text('extends = "demo-lora"\n[[data.source]]\nname = "./none.jsonl"\n')
    lab("train", "demo-lora", "bad.toml").refused(3, "./none.jsonl")
    nothing_started()


def test_missing_profiles_have_neighbours(lab: Lab, nothing_started: NothingStarted) -> None:
    lab("train", "demo-lroa").refused(3, "no profile 'demo-lroa'", "Did you mean 'demo-lora'?", "lab profiles list")
    lab("train", "gone.toml").refused(3, "'gone.toml'")
    lab("study", "run", "dmeo").refused(3, "no study 'dmeo'", "Did you mean 'demo'?")
    nothing_started()


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        ('extends = "self.toml"', 2, ["self.toml extends itself (self.toml -> self.toml)"]),
        ('extends = "other.toml"', 2, ["self.toml -> other.toml -> self.toml"]),
        ('extends = "nobody"', 3, ["no profile 'nobody'"]),
        ("extends = 3", 2, ["is no name"]),
        ("[method", 2, ["is no valid TOML"]),
        ('extends = "demo-lora"\n[method]\nrnak = 3', 2, ["self.toml:3", "Did you mean 'rank'?"]),
        ("\xff", 2, ["is not UTF-8"]),
    ],
)
def test_broken_files_are_named(
    lab: Lab, nothing_started: NothingStarted, content: str, code: int, words: list[str]
) -> None:
    Path("self.toml").write_text(content, encoding="latin-1")
    Path("other.toml").write_text('extends = "self.toml"')
    lab("train", "self.toml").refused(code, *words)
    lab("profiles", "validate", "demo-lora", "--json").json  # noqa: B018  the good ones are not harmed
    nothing_started()


@pytest.mark.parametrize(
    ("rows", "source", "words"),
    [
        ('{"question": "a"}\n', {}, ["question"]),
        ('{"prompt": "a", "completion": "b"}\n', {"columns": '{prompt = "ask"}'}, ["ask"]),
        ("not json\n", {}, ["rows.jsonl"]),
        ("\n\n", {}, ["rows.jsonl"]),
    ],
)
def test_rows_that_fit_nothing_are_refused(home: Path, rows: str, source: dict[str, str], words: list[str]) -> None:
    Path("rows.jsonl").write_text(rows)
    sets = ['data.source=[{name = "rows.jsonl", train = 1}]', *(f"data.source.0.{k}={v}" for k, v in source.items())]
    with pytest.raises(DataError) as caught:
        fetch_data(load_profile("demo-lora", sets).profile.data)
    for word in words:
        assert word in str(caught.value)
    assert caught.value.exit_code == 2


def test_nothing_to_train_on(lab: Lab, nothing_started: NothingStarted) -> None:
    lab("train").refused(2, "nothing to train on", "--data")
    lab("train", "--data", "missing.jsonl", "--method", "lora").refused(3, "missing.jsonl")
    nothing_started()


@pytest.mark.parametrize(
    "arguments",
    [
        ("trian",),
        ("train", "--nonsense"),
        ("runs", "show"),
        ("runs", "logs", "-n", "many"),
        ("runs", "logs", "-n", "-3"),
        ("runs", "stop", "x", "--wait", "-1"),
        ("samples", "x", "-n", "-1"),
        ("compare",),
        ("profiles",),
    ],
)
def test_misuse_is_code_2(lab: Lab, nothing_started: NothingStarted, arguments: tuple[str, ...]) -> None:
    said = lab(*arguments)
    assert said.code == 2
    assert "Traceback" not in said.err
    nothing_started()


def test_a_home_that_is_a_file_is_refused(lab: Lab, home: Path, spawned: list[str]) -> None:
    home.write_text("in the way")
    lab("train", "demo-lora", "--detach").refused(1, "cannot be written", "LAB_HOME")
    assert home.read_text() == "in the way"
    assert spawned == []
    lab("runs", "list", "--json").refused(2, "is a file", "LAB_HOME")
    lab("runs", "show", "latest").refused(2, "is a file", "LAB_HOME")


def test_a_worker_that_cannot_start_leaves_no_folder(
    lab: Lab, home: Path, monkeypatch: pytest.MonkeyPatch, nothing_started: NothingStarted
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr("lab.launching.local.spawn", refuse)
    lab("train", "demo-lora", "--detach").refused(1, "Cannot allocate memory")
    nothing_started()


def test_too_little_space_is_refused(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, nothing_started: NothingStarted
) -> None:
    monkeypatch.setattr("lab.launching.spawn.FREE_BYTES", 1 << 62)
    lab("train", "demo-lora", "--detach").refused(1, "are free in", "lab runs prune")
    nothing_started()


def test_good_input_does_start(lab: Lab, home: Path, spawned: list[str]) -> None:
    said = lab("train", "demo-lora", "--set", "method.rank=4", "--name", "mine", "--detach", "--json")
    assert said.code == 0
    assert said.json == {"runs": [{"id": spawned[0]}]}
    assert [path.name for path in home.glob("runs/*")] == spawned


def test_without_a_terminal_lab_prints_help(lab: Lab) -> None:
    said = lab()
    assert said.code == 0
    assert "Usage: lab" in said.out
    assert lab("--version").code == 0


def test_names_on_the_command_line_cannot_command_a_terminal(lab: Lab) -> None:
    poison = "\x1b]0;owned\x07\x1b[31mred\x9b32m"
    for arguments in (
        ["train", poison],
        ["runs", "show", poison],
        ["train", "demo-lora", "--set", f"model.name={poison}"],
        ["train", "demo-lora", "--set", f"data.source.0.name={poison}"],
        ["train", "demo-lora", "--set", f"{poison}=1"],
        ["train", "demo-lora", "--set", poison],
        ["study", "show", poison],
        ["profiles", "new", poison],
        ["runs", "list", "-q", poison + "=1"],
    ):
        said = lab(*arguments)
        if said.code not in (2, 3) and arguments[:2] != ["runs", "list"]:
            raise AssertionError(arguments)
        assert not set(said.out + said.err) & set("\x1b\x07\x9b"), arguments


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("typo.csv", "instruction,ouput\na,b\n", ["(instruction, ouput) fit no format", "Did you mean"]),
        ("cut.jsonl", '{"prompt": "a", "completion": "b"}\n{"prompt"', ["Line 2 of", "is not JSON"]),
        ("few.jsonl", '{"prompt": "a", "completion": "b"}\n', ["asks for 9 rows", "has 1 usable"]),
        ("blank.jsonl", "\n\n", ["holds no rows"]),
    ],
)
def test_wrong_rows_are_refused_before_a_run_is_queued(
    lab: Lab, nothing_started: NothingStarted, name: str, text: str, words: list[str]
) -> None:
    Path(name).write_text(text)
    source = f"data.source=[{{name='{name}', train={9 if name == 'few.jsonl' else 0}}}]"
    lab("train", "demo-lora", "--detach", "--set", source).refused(2, *words)
    nothing_started()
