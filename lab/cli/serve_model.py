"""`lab serve-model`: the OpenAI chat API over what a run trained, on this host alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.cli.options import Run


def serve_model(
    run: Run,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes any free one.")] = 8080,
    gguf: Annotated[Path | None, typer.Option("--gguf", help="Serve this GGUF file, through llama.cpp.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Serve RUN on 127.0.0.1 for any client of OpenAI's chat API; $LAB_SERVE_TOKEN is its key, else one is made."""
    import subprocess
    import sys

    from lab.errors import UsageError
    from lab.launching.chat import chat_arguments, check_answers
    from lab.runs.store import find_run

    if device not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--device {device} is no device.", "Choose auto, cpu or cuda.")
    info = find_run(run)
    if gguf is None:
        check_answers(info)
    arguments = chat_arguments(info.run.folder, gguf=gguf, device=device)
    command = [sys.executable, "-P", "-m", "lab.chatting.server", *arguments, "--port", str(port)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE)  # the server ends when this pipe does
    try:
        status = server.wait()
    except KeyboardInterrupt:  # the server got it too, and is ending
        status = server.wait()
    raise typer.Exit(status)
