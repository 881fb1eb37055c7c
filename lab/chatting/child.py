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
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab.chatting.voice import Voice, check_messages
from lab.errors import LabError
from lab.launching.child import Emit, serve
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
    return TorchVoice.open(RunPaths(options.folder), options.device, lambda line: emit({"progress": line}))


def _converse(options: argparse.Namespace, emit: Emit) -> None:
    questions: queue.Queue[dict[str, Any]] = queue.Queue()
    cancelled = threading.Event()
    threading.Thread(target=_listen, args=(questions, cancelled), daemon=True).start()
    voice = open_voice(options, emit)
    emit({"ready": {"model": voice.model, "device": voice.device, "voices": list(voice.voices)}})
    while True:
        question = questions.get()
        cancelled.clear()
        try:
            _answer(voice, question, emit, cancelled)
        except LabError as error:
            emit({"problem": error.problem, "remedy": error.remedy})


def _listen(questions: queue.Queue[dict[str, Any]], cancelled: threading.Event) -> None:
    """Take in lines until there are no more; then nobody is there, and the process ends at once."""
    for line in sys.stdin.buffer:
        record = json.loads(line)
        if record.get("cancel"):
            cancelled.set()
        else:
            questions.put(record)
    os._exit(0)


def _answer(voice: Voice, question: dict[str, Any], emit: Emit, cancelled: threading.Event) -> None:
    number = question["id"]
    reply = voice.reply(
        check_messages(question["messages"]),
        check_sampling(question.get("sampling", {})),
        str(question.get("who", voice.voices[0])),
        lambda text: emit({"id": number, "text": text}),
        cancelled.is_set,
    )
    emit({"id": number, "end": asdict(reply)})


if __name__ == "__main__":
    sys.exit(main())
