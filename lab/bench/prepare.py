"""How fast chats become tokens with masks, beside TRL's own preparation of them. `lab bench prepare` calls it.

The lab reads a JSONL file and does all that a run does: cleaning, splits, rendering, tokens, masks, report. TRL's
`SFTTrainer` gets the chats in memory, and a template with generation marks that makes the same text, because it has
none for SmolLM2; its preparation alone is timed. Both make labels, which are compared.
"""

from __future__ import annotations

import json
import random
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.profile.schema import Data, Method, Profile, Source

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MODEL = "bundled:smollm2-135m-instruct"
CHATS = 20_000
REPEATS = 3
TARGET = 0.5
"""The most of TRL's time that the lab may take."""

MAX_LENGTH = 2048
MEAN_WORDS, SPREAD = 3.5, 0.7
"""Words of a turn: the mean and the standard deviation of their logarithm."""

TRAINING_TEMPLATE = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}"
    "{% endif %}{{ '<|im_start|>' + message['role'] + '\n' }}{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{{ '\n' }}"
    "{% else %}{{ message['content'] + '<|im_end|>\n' }}{% endif %}{% endfor %}"
)
"""SmolLM2's chat template with TRL's marks around what the assistant writes."""

Chat = list[dict[str, str]]
Labels = Mapping[int, tuple[list[int], list[int]]]
"""Token ids and labels by the chat's number."""


@dataclass(frozen=True)
class Comparison:
    """Seconds of each side, the median of the rounds' ratios, and whether both made the same tokens and labels."""

    chats: int
    tokens: int
    lab_seconds: list[float]
    trl_seconds: list[float]
    ratio: float
    target: float
    met: bool
    same: bool

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(chats: int = CHATS, repeats: int = REPEATS, progress: Callable[[str], None] = print) -> Comparison:
    """Time both sides once a round, in turn, each as it is by default: TRL in one process, the lab as in a worker.

    Raises:
        LabError: the bundled model's tokenizer cannot be had.
    """
    from lab.modeling.load import load_tokenizer
    from lab.modeling.source import resolve_model
    from lab.training.session import quiet_libraries

    quiet_libraries()
    tokenizer = load_tokenizer(resolve_model(MODEL, "main", progress), trust_remote_code=False)
    with tempfile.TemporaryDirectory(prefix="lab-prepare-") as folder:
        return compare(make_chats(chats), tokenizer, Path(folder), repeats, progress)


def compare(
    chats: Sequence[Chat],
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    repeats: int,
    progress: Callable[[str], None],
) -> Comparison:
    """Return the figures for these chats; `folder` takes what both sides write."""
    path = folder / "chats.jsonl"
    path.write_text("".join(json.dumps({"messages": chat}) + "\n" for chat in chats), encoding="utf-8")
    ours, theirs, same = [], [], True
    for number in range(repeats):
        seconds, made = lab_side(path, tokenizer)
        ours.append(seconds)
        seconds, expected = trl_side(chats, tokenizer, folder)
        theirs.append(seconds)
        same = same and made == expected
        progress(f"round {number + 1} of {repeats}: lab {ours[-1]:.1f} s, TRL {theirs[-1]:.1f} s")
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    tokens = sum(len(ids) for ids, _ in made.values())
    return Comparison(len(chats), tokens, ours, theirs, ratio, TARGET, ratio <= TARGET, same)


def lab_side(path: Path, tokenizer: PreTrainedTokenizerBase) -> tuple[float, Labels]:
    """Prepare the chats of a file as a run does, without its cache."""
    from lab.data.prepare import prepare

    data = Data(source=[Source(name=str(path))], max_length=MAX_LENGTH)
    begin = time.perf_counter()
    prepared = prepare(Profile(data=data, method=Method(kind="lora")), tokenizer, cache=False)
    seconds = time.perf_counter() - begin
    return seconds, {int(row.id.rpartition("-")[2]) - 1: (row.input_ids, row.labels) for row in prepared.train}


def trl_side(chats: Sequence[Chat], tokenizer: PreTrainedTokenizerBase, folder: Path) -> tuple[float, Labels]:
    """Let `SFTTrainer` prepare the chats for training on what the assistant says; only its preparation is timed."""
    import copy

    import datasets
    import transformers
    import trl

    spent: list[float] = []

    class Timed(trl.SFTTrainer):
        def _prepare_dataset(self, *arguments: Any, **options: Any) -> Any:
            begin = time.perf_counter()
            prepared = super()._prepare_dataset(*arguments, **options)
            spent.append(time.perf_counter() - begin)
            return prepared

    datasets.disable_progress_bars()
    marked = copy.deepcopy(tokenizer)
    marked.chat_template = TRAINING_TEMPLATE
    small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=len(tokenizer), **small))
    rows = datasets.Dataset.from_list([{"messages": chat} for chat in chats])
    with warnings.catch_warnings(action="ignore"):  # TRL's own defaults name options that transformers will rename
        config = trl.SFTConfig(
            output_dir=str(folder / "trl"),
            max_length=MAX_LENGTH,
            assistant_only_loss=True,
            report_to="none",
            bf16=False,
        )
    made = Timed(model=model, args=config, train_dataset=rows, processing_class=marked).train_dataset
    return spent[0], dict(enumerate(zip(made["input_ids"], made["labels"], strict=True)))


def make_chats(count: int, seed: int = 0) -> list[Chat]:
    """Return chats of one to four exchanges, about 270 tokens on average, from the words of the bundled data set."""
    from lab.data.helpdesk import rows

    words = [word for row in rows("train") for word in row["messages"][1]["content"].split()]
    draw = random.Random(seed)
    return [[*_system(draw), *_exchanges(draw, words)] for _ in range(count)]


def _system(draw: random.Random) -> Chat:
    return [{"role": "system", "content": "You answer customers of a small shop."}] if draw.random() < 0.3 else []


def _exchanges(draw: random.Random, words: Sequence[str]) -> Iterator[dict[str, str]]:
    for _ in range(draw.choice((1, 1, 2, 2, 3, 4))):
        for role in ("user", "assistant"):
            length = min(round(draw.lognormvariate(MEAN_WORDS, SPREAD)), 180)
            start = draw.randrange(len(words) - length)
            yield {"role": role, "content": " ".join(words[start : start + length + 1])}
