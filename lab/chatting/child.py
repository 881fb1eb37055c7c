"""A model in a process of its own that answers in JSON lines. `lab.launching.chat` starts and asks it.

stdin:   {"id": 1, "who": "tuned" | "base", "messages": [...], "sampling": {...}}   a question
         {"cancel": true}                                                           end the answer under way
stdout:  {"progress": "loading weights"}, then {"ready": {"model", "device", "voices"}}
         {"id": 1, "text": "..."} a piece of the answer, {"id": 1, "end": {"tokens", "seconds", ...}}
         {"problem", "remedy"} after which the conversation can go on, unless nothing was ready yet

It ends when its stdin does, so it never outlives the one who asked.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import sys
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lab.chatting.problems import as_told
from lab.chatting.voice import Voice, check_messages
from lab.launching.child import Emit, serve
from lab.launching.recorded import read_started
from lab.modeling.cpu import limit_cpu
from lab.profile.presets import check_sampling
from lab.runs.paths import RunPaths


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="lab.chatting.child", description=__doc__)
    add_arguments(parser)
    options = parser.parse_args(arguments)
    return serve(lambda emit: _converse(options, emit))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what says which model answers."""
    parser.add_argument("folder", type=Path, help="of the run")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--gguf", type=Path, help="a GGUF file to answer instead of the run's own weights")


def open_voice(options: argparse.Namespace, emit: Emit) -> Voice:
    """Load the model that `options` name. Raises LabError where it cannot be loaded."""
    limit_cpu()
    if options.gguf is not None:
        from lab.chatting.ggufvoice import GgufVoice

        emit({"progress": "loading weights"})
        return GgufVoice(options.gguf)
    emit({"progress": "loading libraries"})
    import transformers

    from lab.chatting.torchvoice import TorchVoice

    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    run = RunPaths(options.folder.absolute())
    began = read_started(run).folder  # relative names in its profile begin there
    if began is not None and began.is_dir():
        os.chdir(began)
    return TorchVoice.open(run, options.device, lambda line: emit({"progress": line}))


def _converse(options: argparse.Namespace, emit: Emit) -> None:
    heard = _Heard()
    threading.Thread(target=_listen, args=(heard,), daemon=True).start()
    voice = open_voice(options, emit)
    emit({"ready": {"model": voice.model, "device": voice.device, "voices": list(voice.voices)}})
    while True:
        question = heard.questions.get()
        try:
            _answer(voice, question, emit, heard)
        except Exception as error:  # noqa: BLE001  memory that is short for one answer must not cost the model
            told = as_told(error)
            emit({"problem": told.problem, "remedy": told.remedy})


@dataclass
class _Heard:
    """What came in. Questions are numbered upwards, so a cancel that comes before its answer has begun counts too.

    Attributes:
        latest, ended: numbers of the last question, and of the last one that nobody waits for any more.
    """

    questions: queue.Queue[dict[str, Any]] = field(default_factory=queue.Queue)
    latest: int = 0
    ended: int = 0


def _listen(heard: _Heard) -> None:
    """Take in lines until there are no more; then nobody is there, and the process ends at once."""
    for line in sys.stdin.buffer:
        record = json.loads(line)
        if record.get("cancel"):
            heard.ended = heard.latest
        else:
            heard.latest = record["id"]
            heard.questions.put(record)
    os._exit(0)


def _answer(voice: Voice, question: dict[str, Any], emit: Emit, heard: _Heard) -> None:
    number = question["id"]
    reply = voice.reply(
        check_messages(question["messages"]),
        check_sampling(question.get("sampling", {})),
        str(question.get("who", voice.voices[0])),
        lambda text: emit({"id": number, "text": text}),
        lambda: heard.ended >= number,
    )
    emit({"id": number, "end": asdict(reply)})


if __name__ == "__main__":
    sys.exit(main())
