"""What every export needs in memory: the run's chain, tokenizer, rows. Called by the worker through `EXPORTS`."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.data.masks import TestRow, encode_test_rows
from lab.data.prepare import Prepared, prepare
from lab.data.rows import Message, Row
from lab.evaluation.spec import chosen_rows
from lab.exporting.chain import Chain, resolve_chain
from lab.exporting.parity import ROWS
from lab.launching.exports import ExportRequest, read_request
from lab.modeling.fetch import fetch_model
from lab.modeling.hardware import Hardware, detect
from lab.modeling.load import load_tokenizer
from lab.profile.schema import Profile
from lab.runs.paths import RunPaths
from lab.runs.writer import RunWriter

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PROBES = (
    "Explain in one sentence why the sky is blue.",
    "Write three words that rhyme with light.",
    "What is seven times eight?",
    "Name a river in Europe and the sea that it flows into.",
)
"""What parity is tested on where the profile has no test rows."""


class Halted(Exception):  # noqa: N818  no error: somebody asked to stop
    """Somebody asked the job to stop."""


@dataclass(frozen=True)
class Work:
    """An export under way.

    Attributes:
        owner: the run that is exported.
        folder: the base model's files.
        base: "full" or "dequantised".
    """

    job: RunPaths
    owner: RunPaths
    writer: RunWriter
    profile: Profile
    request: ExportRequest
    hardware: Hardware
    chain: Chain
    folder: Path
    tokenizer: PreTrainedTokenizerBase
    prepared: Prepared
    stop_asked: Callable[[], bool]

    @classmethod
    def open(
        cls, job: RunPaths, owner: RunPaths, writer: RunWriter, profile: Profile, device: str, stop: Callable[[], bool]
    ) -> Work:
        """Resolve and read everything but weights."""
        import torch

        _quiet()
        request = read_request(job)
        hardware = detect(device, profile.train.threads)
        torch.set_num_threads(hardware.threads)
        chain = resolve_chain(owner, profile, lambda line: writer.phase("starting", line))
        folder = fetch_model(chain.source, code=chain.trust_remote_code)
        tokenizer = load_tokenizer(chain.source, trust_remote_code=chain.trust_remote_code)
        writer.phase("starting", "preparing data")
        prepared = prepare(profile, tokenizer)
        writer.update(device=hardware.label, model=chain.source.label, now=True)
        return cls(job, owner, writer, profile, request, hardware, chain, folder, tokenizer, prepared, stop)

    @property
    def base(self) -> str:
        if self.request.base != "auto":
            return self.request.base if self.chain.quantization != "none" else "full"
        return "dequantised" if self.chain.quantization != "none" else "full"

    @property
    def stop_ids(self) -> frozenset[int]:
        return frozenset(self.prepared.stop_ids)

    def say(self, line: str) -> None:
        """Tell people how far it is. Raises Halted where somebody asked to stop."""
        if self.stop_asked():
            raise Halted
        self.writer.update(detail=line)

    def parity_rows(self) -> list[TestRow]:
        """Return the first of the rows that evaluations answer; plain questions where there are none."""
        rows = chosen_rows(self.prepared.test, self.profile.evaluate)[:ROWS]
        return rows or self._probes()

    def _probes(self) -> list[TestRow]:
        chats = [(Message("user", text), Message("assistant", "I do not know.")) for text in PROBES]
        rows = [Row(f"probe-{number}", chat, "", "") for number, chat in enumerate(chats, 1)]
        encoded = encode_test_rows(rows, self.prepared.template)
        return [row for row in encoded if isinstance(row, TestRow)]


def _quiet() -> None:
    """Keep progress bars and advice out of the job's log."""
    import datasets
    import transformers

    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    transformers.utils.logging.set_verbosity_warning()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
