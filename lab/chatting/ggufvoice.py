"""A GGUF file of a run, answering through llama.cpp. Called by `child` and `server`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.chatting.voice import TUNED, Messages, Pieces, Reply, check_length
from lab.errors import LabError, NotFoundError
from lab.exporting.llamacpp import MISSING, installed
from lab.modeling.hardware import physical_cores
from lab.profile.sampling import Sampling

CONTEXT = 8192
"""Tokens a conversation may have: memory for all that the newest models can hold would take more than their weights."""


class GgufVoice:
    """One loaded file; it brings its own template and tokens.

    Raises:
        NotFoundError: no such file, or no llama.cpp.
        LabError: llama.cpp cannot load it.
    """

    voices: tuple[str, ...] = (TUNED,)
    device = "cpu"

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise NotFoundError(f"There is no file {path}.", "Make one: `lab export gguf RUN`.")
        if not installed():
            raise MISSING
        import llama_cpp

        self.model = path.name
        try:
            self._llama: Any = llama_cpp.Llama(
                str(path), n_ctx=CONTEXT, n_threads=physical_cores(), n_gpu_layers=0, verbose=False
            )
        except ValueError as error:
            raise LabError(f"llama.cpp cannot load {path.name}.", "Export it anew.") from error
        self._formatter = self._chat_format(llama_cpp)

    def _chat_format(self, llama_cpp: Any) -> Any:
        facts = self._llama.metadata
        template = facts.get("tokenizer.chat_template")
        if not template:
            raise LabError(f"{self.model} has no chat template.", "Export it with `lab export gguf`.")
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter

        def text(key: str) -> str:
            token = int(facts.get(f"tokenizer.ggml.{key}_token_id", -1))
            return self._llama._model.token_get_text(token) if token >= 0 else ""

        return Jinja2ChatFormatter(template=template, eos_token=text("eos"), bos_token=text("bos"))

    def reply(
        self, messages: Messages, sampling: Sampling, who: str, piece: Callable[[str], None], gone: Callable[[], bool]
    ) -> Reply:
        prompt = self._formatter(messages=[dict(message) for message in messages]).prompt
        ids = self._llama.tokenize(prompt.encode(), add_bos=False, special=True)
        sampling = check_length(len(ids), sampling, self._longest)
        stops = frozenset([self._llama.token_eos(), *self._end_of_turn()])
        pieces = Pieces(lambda tokens: self._llama.detokenize(tokens).decode("utf-8", "replace"), piece, stops)
        self._llama.set_seed(sampling.seed)
        drawn = self._llama.generate(
            ids,
            temp=sampling.temperature,
            top_p=sampling.top_p,
            top_k=0,
            min_p=0.0,
            repeat_penalty=sampling.repetition_penalty,
        )
        for count, token in enumerate(drawn, 1):
            pieces.take(token)
            if token in stops or gone() or count >= sampling.max_new_tokens:
                break
        return pieces.end(len(ids), cancelled=gone())

    @property
    def _longest(self) -> int:
        """The tokens that both the memory taken for them and the model's training allow."""
        facts = self._llama.metadata
        trained = int(facts.get(f"{facts.get('general.architecture')}.context_length", CONTEXT))
        return min(int(self._llama.n_ctx()), trained)

    def _end_of_turn(self) -> list[int]:
        token = int(self._llama.metadata.get("tokenizer.ggml.eot_token_id", -1))
        return [token] if token >= 0 else []
