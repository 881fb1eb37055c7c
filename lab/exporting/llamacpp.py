"""llama.cpp in a process of its own: it answers rows and measures references, and its crash is only a message.

`python -m lab.exporting.llamacpp TASK.json` prints JSON lines; `answers` starts it. The task is {"model", "context",
"threads", "rows": [{"text", "ids", "answer_from", "supervised"}], "stop_ids", "decoding"}. Decoding is done here from
the logits, by the rules that transformers follows, so that a file's answers differ by its weights alone. No torch.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.errors import LabError, NotFoundError
from lab.launching.child import Emit, json_lines, serve
from lab.telemetry.host import peak_bytes
from lab.text import sanitize

if TYPE_CHECKING:
    import numpy

BATCH = 512
MISSING = NotFoundError(
    "llama.cpp is not installed: the Python package llama-cpp-python is missing.",
    "Install it (`pip install 'lora-lab[gguf]'`), or export only f32, f16, bf16, q8_0, q4_0 with --no-score.",
)


REPORT = "Export it anew, and report the model's type if it fails again."
ERROR = 4
"""llama.cpp's log level of errors."""


def installed() -> bool:
    return find_spec("llama_cpp") is not None


def child_lines(module: str, arguments: Sequence[str], *, timeout: float) -> Iterator[dict[str, Any]]:
    """Yield what a module that runs llama.cpp prints, as `json_lines` does.

    Raises:
        LabError: what the child raised, or how it died; instructions that the processor refuses are named as such.
    """
    try:
        yield from json_lines(module, arguments, timeout=timeout)
    except LabError as error:
        if "SIGILL" not in error.problem:
            raise
        raise LabError(
            "llama.cpp was built with instructions that this processor announces and then refuses (AMX, it may be).",
            "Build it for any processor: `CMAKE_ARGS=-DGGML_NATIVE=OFF pip install --force-reinstall --no-cache-dir "
            "--no-binary llama-cpp-python llama-cpp-python`.",
        ) from error


class Engine:
    """One loaded GGUF file.

    Raises:
        LabError: llama.cpp cannot load it.
    """

    def __init__(self, path: str, context: int, threads: int) -> None:
        import llama_cpp

        self._api: Any = llama_cpp
        self._said = Listener(llama_cpp)
        llama_cpp.llama_backend_init()
        options = llama_cpp.llama_model_default_params()
        options.n_gpu_layers = 0
        self._model = llama_cpp.llama_model_load_from_file(path.encode(), options)
        if not self._model:
            raise LabError(f"llama.cpp cannot load {Path(path).name} ({self._said.last}).", REPORT)
        settings = llama_cpp.llama_context_default_params()
        settings.n_ctx, settings.n_batch, settings.n_ubatch = context, BATCH, BATCH
        settings.n_threads = settings.n_threads_batch = threads
        self._context = llama_cpp.llama_init_from_model(self._model, settings)
        if not self._context:
            raise LabError(f"llama.cpp has no room for {context} tokens.", "Lower data.max_length.")
        self._vocab = llama_cpp.llama_model_get_vocab(self._model)
        self.size = int(llama_cpp.llama_vocab_n_tokens(self._vocab))
        self._batch = llama_cpp.llama_batch_init(BATCH, 0, 1)
        self._held: list[int] = []

    def tokenise(self, text: str) -> list[int]:
        """Return llama.cpp's own tokens of `text`, special ones recognised, none added."""
        raw = text.encode()
        room = len(raw) + 8
        tokens = (self._api.llama_token * room)()
        count = self._api.llama_tokenize(self._vocab, raw, len(raw), tokens, room, False, True)
        return list(tokens[:count])

    def ends(self, token: int) -> bool:
        return bool(self._api.llama_vocab_is_eog(self._vocab, token))

    def feed(self, ids: Sequence[int], wanted: Sequence[int] = ()) -> Iterator[tuple[int, numpy.ndarray[Any, Any]]]:
        """Make `ids` what the model has read, keeping what it has read of them, and yield (place, logits).

        Args:
            wanted: places in `ids` whose logits are yielded, each before the next tokens are read; the last always is.
        """
        import numpy

        places = {*wanted, len(ids) - 1}
        begin = self._keep(ids, min(places))
        for start in range(begin, len(ids), BATCH):
            chunk = list(ids[start : start + BATCH])
            self._fill(chunk, start, places)
            if self._api.llama_decode(self._context, self._batch) != 0:
                raise LabError("llama.cpp could not read the tokens.", "Lower data.max_length.")
            self._held += chunk
            for offset in range(len(chunk)):
                if start + offset in places:
                    pointer = self._api.llama_get_logits_ith(self._context, offset)
                    yield start + offset, numpy.ctypeslib.as_array(pointer, shape=(self.size,)).astype(numpy.float64)

    def forget(self) -> None:
        self._api.llama_memory_clear(self._api.llama_get_memory(self._context), True)
        self._held = []

    def _keep(self, ids: Sequence[int], least: int) -> int:
        """Forget all but what the model has read of `ids` before place `least`; return how much that is."""
        same = 0
        while same < min(len(self._held), len(ids), least) and self._held[same] == ids[same]:
            same += 1
        memory = self._api.llama_get_memory(self._context)
        if same and self._api.llama_memory_seq_rm(memory, 0, same, -1):
            self._held = self._held[:same]
        else:
            self.forget()
        return len(self._held)

    def _fill(self, chunk: Sequence[int], start: int, places: set[int]) -> None:
        batch = self._batch
        batch.n_tokens = len(chunk)
        for offset, token in enumerate(chunk):
            batch.token[offset] = token
            batch.pos[offset] = start + offset
            batch.n_seq_id[offset] = 1
            batch.seq_id[offset][0] = 0
            batch.logits[offset] = int(start + offset in places)


class Listener:
    """Keeps the last error that llama.cpp logged, and lets everything else go.

    Attributes:
        callback: held here, because llama.cpp only has its address.
    """

    def __init__(self, api: Any) -> None:
        self.last = "it gave no reason"
        self.callback = api.llama_log_callback(self._hear)
        api.llama_log_set(self.callback, None)

    def _hear(self, level: int, text: bytes, _: Any) -> None:
        line = sanitize(text.decode("utf-8", "replace"), newlines=False, limit=200).strip()
        if level == ERROR and line and "failed to load model" not in line:
            self.last = line.rpartition(": ")[2]


def work(task: dict[str, Any], emit: Emit) -> None:
    """Do a task: for each row its answer's tokens and its reference's likelihood; then the time to a first token."""
    import numpy

    engine = Engine(task["model"], task["context"], task["threads"])
    stops, decoding = frozenset(task["stop_ids"]), task["decoding"]
    random = numpy.random.default_rng(decoding["seed"])
    for number, row in enumerate(task["rows"]):
        nll, count = likelihood(engine, row["ids"], row["supervised"])
        prompt = engine.tokenise(row["text"])
        begin = time.monotonic()
        tokens, finish = answer(engine, prompt, stops, decoding, random)
        emit(
            {
                "index": number,
                "tokens": tokens,
                "seconds": time.monotonic() - begin,
                "finish": finish,
                "nll": nll,
                "nll_tokens": count,
                "same_prompt": prompt == row["ids"][: row["answer_from"]],
            }
        )
    emit({"first_token_seconds": first_token(engine, task["rows"][:5]), "memory_bytes": peak_bytes()})


def likelihood(engine: Engine, ids: Sequence[int], supervised: Sequence[int]) -> tuple[float, int]:
    """Return the negative log likelihood of the tokens at the places `supervised`, in nats, and their number."""
    import numpy

    places = [place - 1 for place in supervised if place > 0]
    if not places:
        return 0.0, 0
    total = 0.0
    for place, logits in engine.feed(ids[: places[-1] + 1], places):
        if place in places:
            top = logits.max()
            total += float(top + numpy.log(numpy.exp(logits - top).sum()) - logits[ids[place + 1]])
    return total, len(places)


def answer(
    engine: Engine, prompt: Sequence[int], stops: frozenset[int], decoding: dict[str, Any], random: Any
) -> tuple[list[int], str]:
    """Return the answer's tokens without the one that ended it, and "stop" or "length"."""
    ids = list(prompt)
    for _ in range(decoding["max_new_tokens"]):
        ((_, logits),) = engine.feed(ids)
        token = choose(logits, ids, decoding, random)
        if token in stops or engine.ends(token):
            return ids[len(prompt) :], "stop"
        ids.append(token)
    return ids[len(prompt) :], "length"


def choose(logits: Any, ids: Sequence[int], decoding: dict[str, Any], random: Any) -> int:
    """Return the next token: repetition penalty, then the most likely, or a draw by temperature and nucleus."""
    import numpy

    penalty = decoding["repetition_penalty"]
    if penalty != 1.0:
        seen = numpy.unique(numpy.array(ids))
        logits[seen] = numpy.where(logits[seen] < 0, logits[seen] * penalty, logits[seen] / penalty)
    if decoding["temperature"] == 0.0:
        return int(logits.argmax())
    scaled = logits / decoding["temperature"]
    chances = numpy.exp(scaled - scaled.max())
    chances /= chances.sum()
    order = numpy.argsort(-chances)
    kept = order[: int(numpy.searchsorted(numpy.cumsum(chances[order]), decoding["top_p"]) + 1)]
    return int(random.choice(kept, p=chances[kept] / chances[kept].sum()))


def first_token(engine: Engine, rows: Sequence[dict[str, Any]]) -> float | None:
    """Return the median time from a prompt to its first token, in seconds."""
    times = []
    for row in rows:
        engine.forget()
        begin = time.monotonic()
        for _ in engine.feed(row["ids"][: row["answer_from"]]):
            times.append(time.monotonic() - begin)
    return sorted(times)[len(times) // 2] if times else None


def main() -> int:
    if not installed():
        return serve(_missing)
    task = json.loads(Path(sys.argv[1]).read_bytes())
    return serve(lambda emit: work(task, emit))


def _missing(emit: Emit) -> None:
    raise MISSING


if __name__ == "__main__":
    sys.exit(main())
