"""A run's own weights, answering through PyTorch: tuned, and its untouched base. Called by `child` and `server`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from lab.chatting.voice import BASE, TUNED, Messages, Pieces, Reply, check_length
from lab.data.masks import stop_ids
from lab.data.template import Template, choose_template, fold
from lab.errors import DataError
from lab.modeling.artifact import Artifact, describe_artifact, load_artifact
from lab.modeling.dora import settle
from lab.modeling.hardware import detect
from lab.modeling.load import load_base, load_tokenizer, torch_dtype
from lab.modeling.methods import cast_adapter
from lab.modeling.source import ModelSource, resolve_model
from lab.profile.load import load_profile
from lab.profile.sampling import Sampling
from lab.profile.schema import Profile
from lab.runs.paths import RunPaths

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass
class TorchVoice:
    """A loaded run.

    Attributes:
        artifact: what the run trained; None for a baseline.
    """

    profile: Profile
    source: ModelSource
    artifact: Artifact | None
    tokenizer: PreTrainedTokenizerBase
    template: Template
    dtype: str
    kind: str
    device: str

    @classmethod
    def open(cls, run: RunPaths, device: str, said: Callable[[str], None]) -> TorchVoice:
        """Load what the run in that folder trained, in the precision that it is evaluated in.

        Args:
            device: "cpu", "cuda", or "auto".

        Raises:
            LabError: the model or what the run trained cannot be loaded.
        """
        profile = load_profile(str(run.profile)).profile
        kind = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        hardware = detect(kind, profile.train.threads)
        torch.set_num_threads(hardware.threads)
        said("resolving the model")
        source = resolve_model(profile.model.name, profile.model.revision, said)
        tokenizer = load_tokenizer(source, trust_remote_code=profile.model.trust_remote_code)
        template = choose_template(tokenizer, profile.data.template, profile.data.system_prompt)
        fastest = "bf16" if hardware.bf16 else "fp16" if kind == "cuda" else "fp32"  # as the recipe decides
        dtype = fastest if profile.model.dtype == "auto" else profile.model.dtype
        voice = cls(profile, source, describe_artifact(run.adapter), tokenizer, template, dtype, kind, hardware.label)
        said("loading weights")
        _ = voice._tuned
        return voice

    @property
    def model(self) -> str:
        return self.source.label

    @property
    def voices(self) -> tuple[str, ...]:
        return (TUNED, BASE) if self.artifact is not None else (BASE,)

    def prompt_ids(self, messages: Messages) -> list[int]:
        """Return the conversation as tokens, up to where the answer begins.

        Raises:
            DataError: the template refuses it.
        """
        chat = [dict(message) for message in messages]
        if chat[0]["role"] != "system" and self.template.system_prompt:
            chat = [{"role": "system", "content": self.template.system_prompt}, *chat]
        try:
            text = self.template.render(fold(chat) if self.template.folds else chat, generation=True)
        except ValueError as error:
            raise DataError(
                f"The chat template refuses the conversation: {error}.", "Let the turns alternate."
            ) from error
        ids: list[int] = self.tokenizer(text, add_special_tokens=False).input_ids
        return ids

    def reply(
        self, messages: Messages, sampling: Sampling, who: str, piece: Callable[[str], None], gone: Callable[[], bool]
    ) -> Reply:
        ids = self.prompt_ids(messages)
        sampling = check_length(len(ids), sampling, self._longest)
        torch.manual_seed(sampling.seed)
        stops = self._stops
        pieces = Pieces(lambda tokens: self.tokenizer.decode(tokens, skip_special_tokens=True), piece, stops)
        with torch.inference_mode(), self._speaking(who) as model:
            inputs = torch.tensor([ids], device=model.device)
            model.generate(
                input_ids=inputs,
                attention_mask=torch.ones_like(inputs),
                max_new_tokens=sampling.max_new_tokens,
                eos_token_id=sorted(stops),
                pad_token_id=self.tokenizer.pad_token_id,
                repetition_penalty=sampling.repetition_penalty,
                streamer=_Listener(pieces),
                stopping_criteria=StoppingCriteriaList([_Gone(gone)]),
                **_drawing(sampling),
            )
        return pieces.end(len(ids), cancelled=gone())

    @cached_property
    def _tuned(self) -> Any:
        model = self._load()
        if self.artifact is None:
            return model
        tuned = load_artifact(model, self.artifact.folder).eval()
        cast_adapter(tuned, torch_dtype(self.dtype))  # as evaluation does: it answers as it was scored
        settle(tuned)
        return tuned

    @cached_property
    def _untouched(self) -> Any:
        return self._load()

    def _load(self) -> Any:
        return load_base(
            self.source,
            device=self.kind,
            dtype=self.dtype,
            quantization=self.profile.quantization,
            double_quant=self.profile.model.double_quant,
            attention="eager" if self.profile.model.attention == "eager" else "sdpa",
            trust_remote_code=self.profile.model.trust_remote_code,
        )

    @contextlib.contextmanager
    def _speaking(self, who: str) -> Iterator[Any]:
        """Give the model that is asked; where adapters alone make the difference, they are passed over meanwhile."""
        if who == TUNED or self.artifact is None:
            yield self._tuned
        elif self._beside:
            with self._tuned.disable_adapter():
                yield self._tuned
        else:
            yield self._untouched

    @property
    def _beside(self) -> bool:
        """Tell whether all that was trained lies beside the base's weights, nothing in them."""
        artifact = self.artifact
        while artifact is not None:
            if artifact.kind != "adapter" or (artifact.earlier is not None and artifact.earlier.mode != "stack"):
                return False
            artifact = artifact.before()
        return True

    @cached_property
    def _stops(self) -> frozenset[int]:
        configured = self._tuned.generation_config.eos_token_id
        several = configured if isinstance(configured, list) else [configured]
        return frozenset([*stop_ids(self.template), *(token for token in several if token is not None)])

    @property
    def _longest(self) -> int | None:
        return getattr(self._tuned.config.get_text_config(), "max_position_embeddings", None)


class _Listener:
    """What transformers streams to: the prompt first, then each token."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces, self._prompt = pieces, True

    def put(self, value: torch.Tensor) -> None:
        if self._prompt:
            self._prompt = False
            return
        for token in value.reshape(-1).tolist():
            self._pieces.take(token)

    def end(self) -> None:
        """Nothing is kept back."""


class _Gone(StoppingCriteria):
    """Ends an answer that nobody waits for."""

    def __init__(self, gone: Callable[[], bool]) -> None:
        self._gone = gone

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **_: Any) -> torch.BoolTensor:
        return torch.full((input_ids.shape[0],), self._gone(), dtype=torch.bool, device=input_ids.device)


def _drawing(sampling: Sampling) -> dict[str, Any]:
    if sampling.temperature == 0.0:
        return {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
    return {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
