"""A judge that runs here: any causal model, through transformers. Called by `pairs` through `JUDGES`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lab.errors import DataError
from lab.evaluation.judging.prompt import Pair
from lab.profile.schema import Evaluate
from lab.text import sanitize

TOKENS = 16
"""One word is asked for; a little room for those who say more."""


@dataclass(frozen=True)
class LocalJudge:
    """A hub id, a folder or a bundled model."""

    name: str

    @property
    def label(self) -> str:
        return sanitize(self.name.rstrip("/").rpartition("/")[2], newlines=False, limit=60)

    def replies(self, pairs: Sequence[Pair]) -> Iterator[tuple[Pair, str]]:
        """Yield each pair with what the model said of it, greedily.

        Raises:
            LabError: the model cannot be loaded.
            DataError: its template refuses the question.
        """
        from lab.modeling.cpu import limit_cpu

        limit_cpu()
        import torch

        from lab.data.masks import stop_ids
        from lab.data.template import choose_template
        from lab.evaluation.generate import Answerer, batch_size
        from lab.modeling.hardware import detect
        from lab.modeling.load import load_base, load_tokenizer
        from lab.modeling.source import resolve_model

        hardware = detect("cuda" if torch.cuda.is_available() else "cpu")
        dtype = "bf16" if hardware.bf16 else "fp16" if hardware.kind == "cuda" else "fp32"
        source = resolve_model(self.name)
        tokenizer = load_tokenizer(source)
        template = choose_template(tokenizer, "auto")
        model = load_base(source, device=hardware.kind, dtype=dtype)
        try:
            texts = [template.render([{"role": "user", "content": pair.text}], generation=True) for pair in pairs]
        except ValueError as error:
            problem = f"The chat template of the judge refuses the question: {error}."
            raise DataError(problem, "Choose another --judge model.") from error
        prompts = [tokenizer(text, add_special_tokens=False).input_ids for text in texts]
        decoding = Evaluate(max_new_tokens=TOKENS)
        answerer = Answerer(model, tokenizer, frozenset(stop_ids(template)), decoding)
        for batch in answerer.answers(prompts, batch_size(decoding, hardware.kind)):
            yield from ((pairs[one.index], one.text) for one in batch)
