"""Prepared data in the cache: used again where nothing changed, made again where anything did, never trusted."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from lab.data import cache, prepare
from lab.data.cache import cache_key, cached
from lab.data.pack import Parts, pack, unpack
from lab.data.prepare import Prepared
from lab.data.template import choose_template
from lab.home import cache_root
from lab.profile.schema import Data, Profile, Source


@pytest.fixture
def makes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count how often data is really prepared, and keep entries of any size."""
    monkeypatch.setattr(cache, "MIN_ROWS", 1)
    made: list[int] = []
    own = prepare._make

    def counted(*arguments: Any) -> Parts:
        made.append(1)
        return own(*arguments)

    monkeypatch.setattr(prepare, "_make", counted)
    return made


@pytest.fixture
def profile(tmp_path: Path) -> Any:
    path = tmp_path / "r.jsonl"
    answers = {"text": ["a", "b"], "answer_start": [0, 0]}
    rows = [{"context": f"c {n}", "question": f"q {n}", "answers": answers, "t": n % 7} for n in range(60)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def make(**data: Any) -> Profile:
        keys = {"source": [Source(name=str(path), validation=5, test=10)], "group_by": "t", **data}
        return Profile(data=Data(**keys))

    return make


def entries() -> list[Path]:
    return sorted((cache_root() / "prepared").glob("*.npz"))


def same(one: Prepared, other: Prepared) -> bool:
    return (one.train, one.validation, one.test, one.report, one.stop_ids) == (
        other.train,
        other.validation,
        other.test,
        other.report,
        other.stop_ids,
    )


def test_the_second_time_comes_from_the_cache_and_is_the_same(makes: list[int], profile: Any, chatml: Any) -> None:
    first, second = (prepare.prepare(profile(), chatml) for _ in range(2))
    assert len(makes) == 1
    assert same(first, second)
    assert second.test[0].references == ("a", "b")
    (entry,) = entries()
    assert entry.stat().st_mode & 0o777 == 0o600
    assert entry.parent.stat().st_mode & 0o777 == 0o700


def test_it_can_be_left_out(makes: list[int], profile: Any, chatml: Any) -> None:
    for _ in range(2):
        prepare.prepare(profile(), chatml, cache=False)
    assert (len(makes), entries()) == (2, [])


@pytest.mark.parametrize(
    "change", [{"seed": 7}, {"max_length": 500}, {"clean": ["dedupe"]}, {"system_prompt": "Be kind."}]
)
def test_other_keys_make_another_entry(change: dict[str, Any], makes: list[int], profile: Any, chatml: Any) -> None:
    prepare.prepare(profile(), chatml)
    prepare.prepare(profile(**change), chatml)
    assert (len(makes), len(entries())) == (2, 2)


def test_another_tokenizer_or_template_makes_another_entry(
    makes: list[int], profile: Any, chatml: Any, base: Any, tmp_path: Path
) -> None:
    template = tmp_path / "t.jinja"
    for text in ("{% for m in messages %}{{ m.content + eos_token }}{% endfor %}",) * 2 + (
        "{% for m in messages %}{{ m.content }}{% endfor %}",
    ):
        template.write_text(text)
        prepare.prepare(profile(template=str(template)), chatml)
    prepare.prepare(profile(), base)
    assert len(makes) == 3


def test_a_changed_file_makes_another_entry(makes: list[int], profile: Any, chatml: Any) -> None:
    prepare.prepare(profile(), chatml)
    path = Path(profile().data.source[0].name)
    path.write_text(path.read_text().replace("c 59", "c 60"))
    prepare.prepare(profile(), chatml)
    assert len(makes) == 2


def test_other_code_makes_another_entry(
    makes: list[int], profile: Any, chatml: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare.prepare(profile(), chatml)
    monkeypatch.setattr(cache, "_code", lambda: "newer")
    prepare.prepare(profile(), chatml)
    assert len(makes) == 2


DAMAGE = {
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "flipped": lambda content: content[:400] + bytes(byte ^ 255 for byte in content[400:500]) + content[500:],
    "noise": lambda content: b"nothing of the kind",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_entry_is_made_again(damage: str, makes: list[int], profile: Any, chatml: Any) -> None:
    first = prepare.prepare(profile(), chatml)
    (entry,) = entries()
    whole = entry.read_bytes()
    entry.write_bytes(DAMAGE[damage](whole))
    assert same(prepare.prepare(profile(), chatml), first)
    assert len(makes) == 2
    assert entry.read_bytes() == whole


def test_an_entry_under_another_ones_name_is_not_believed(makes: list[int], profile: Any, chatml: Any) -> None:
    prepare.prepare(profile(), chatml)
    prepare.prepare(profile(seed=7), chatml)
    one, other = entries()
    one.write_bytes(other.read_bytes())
    for made in (profile(), profile(seed=7)):
        prepare.prepare(made, chatml)
    assert len(makes) == 3


def test_rows_that_were_lost_are_noticed(profile: Any, chatml: Any) -> None:
    made = prepare.prepare(profile(), chatml)
    arrays = pack(Parts(made.train, made.validation, made.test, made.report, made.stop_ids), "key")
    with pytest.raises(ValueError, match="lost rows"):
        unpack({**arrays, "tokens": arrays["tokens"][:-1]}, "key")
    with pytest.raises(ValueError, match="not what its name says"):
        unpack(arrays, "other")


def test_few_rows_are_not_kept(profile: Any, chatml: Any) -> None:
    prepare.prepare(profile(), chatml)
    assert entries() == []


def test_only_the_entries_used_last_stay(makes: list[int], profile: Any, chatml: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(cache, "ENTRIES", 2)
    folder = cache_root() / "prepared"
    for seed in (1, 2):
        prepare.prepare(profile(seed=seed), chatml)
    first, second = entries()
    os.utime(first, (1, 1))
    left = folder / ".unfinished-killed"
    left.touch()
    os.utime(left, (1, 1))
    prepare.prepare(profile(seed=3), chatml)
    assert len(entries()) == 2
    assert second in entries()
    assert not left.exists()


def test_a_cache_that_cannot_be_written_stops_nothing(
    makes: list[int], profile: Any, chatml: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert prepare.prepare(profile(), chatml).train
    assert len(makes) == 1


def test_a_full_disk_stops_nothing(makes: list[int], profile: Any, chatml: Any, monkeypatch: Any) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert prepare.prepare(profile(), chatml).train
    assert not [path for path in (cache_root() / "prepared").iterdir() if path.suffix != ".lock"]


def test_one_prepares_and_the_others_wait(profile: Any, chatml: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MIN_ROWS", 0)
    made, begun, go_on = [], threading.Event(), threading.Event()

    def make() -> Parts:
        made.append(1)
        begun.set()
        assert go_on.wait(30)
        return Parts([], [], [], {}, [])

    threads = [threading.Thread(target=cached, args=("k" * 32, make)) for _ in range(3)]
    threads[0].start()
    assert begun.wait(30)
    for thread in threads[1:]:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert len(made) == 1


def test_what_cannot_be_told_apart_is_not_kept(profile: Any, chatml: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    template = choose_template(chatml, "auto")
    hub = Data(source=[Source(name="some/set")])
    assert cache_key(hub, [None], [], template) is None
    assert cache_key(hub, ["0" * 40], [], template) != cache_key(hub, ["1" * 40], [], template)
    monkeypatch.setattr(type(chatml), "is_fast", property(lambda self: False))
    assert cache_key(hub, ["0" * 40], [], template) is None
