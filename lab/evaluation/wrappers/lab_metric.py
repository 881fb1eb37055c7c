"""An `evaluate.Metric` over `lab.scoring`: `evaluate.load(MODULE, name)`, with a metric's name as its configuration.

`evaluate` copies this file into its own cache and runs it there; everything that it computes stays in `lab`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate

from lab.errors import UsageError
from lab.evaluation.bertscore import with_bertscores
from lab.evaluation.encoder import BUNDLED
from lab.scoring.answers import Answer
from lab.scoring.names import LIKELIHOOD, METRIC_NAMES
from lab.scoring.score import score
from lab.text import did_you_mean

NAMES = [name for name in METRIC_NAMES if name not in LIKELIHOOD]

INPUTS = """
Args:
    predictions: the answers.
    references: for each answer its reference, or a list of references of which the best counts.
    groups: rows that share one are resampled together; as many as answers.
    resamples, seed: of the bootstrap.
    model, device: of bertscore only; "bundled:all-minilm-l6-v2", a hub id or a folder.
Returns:
    {name: value, "low", "high", "signature", "rows"}: fractions of 1, the 95 % interval, what the value depends on.
"""


class LabMetric(evaluate.Metric):
    """One metric of `lab.scoring`; `config_name` says which."""

    def _info(self) -> evaluate.MetricInfo:
        if self.config_name not in NAMES:
            hint = did_you_mean(str(self.config_name), NAMES)
            raise UsageError(
                f"There is no metric '{self.config_name}'.{hint}", f"Load it with one of {', '.join(NAMES)}."
            )
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=f"{METRIC_NAMES[self.config_name].label} as LoRA Lab defines it.",
            citation="",
            inputs_description=INPUTS,
            features=[
                datasets.Features({"predictions": text, "references": datasets.List(text)}),
                datasets.Features({"predictions": text, "references": text}),
            ],
        )

    def _compute(
        self,
        predictions: Sequence[str],
        references: Sequence[Any],
        groups: Sequence[str] = (),
        resamples: int = 1000,
        seed: int = 0,
        model: str = BUNDLED,
        device: str = "cpu",
    ) -> dict[str, Any]:
        wanted = [(one,) if isinstance(one, str) else tuple(one) for one in references]
        rows = zip(wanted, predictions, groups or [""] * len(predictions), strict=True)
        answers = [Answer(str(n), refs, text, "stop", group) for n, (refs, text, group) in enumerate(rows)]
        if self.config_name == "bertscore":
            answers = with_bertscores(answers, model, device)
        found = score(answers, [self.config_name], resamples=resamples, seed=seed)
        if self.config_name in found["absent"]:
            reason = found["absent"][self.config_name]
            raise UsageError(f"{self.config_name} has no value: {reason}.", "Give other answers or references.")
        record = found["metrics"][self.config_name]
        return {self.config_name: record["value"], **{key: record[key] for key in ("low", "high", "signature", "rows")}}
