"""Computing BERTScore and storing it beside the answers. Called by `evaluation.run` and the `evaluate.Metric` wrapper.

Zhang et al., BERTScore: Evaluating Text Generation with BERT, ICLR 2020: each token of a text is matched with the most
similar one of the other; recall is the mean over the reference's tokens, precision over the answer's. No idf weights,
no rescaling. Scored by `lab.scoring.bertscore` from the stored file, where a score is found by its texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lab import atomic
from lab.compare.entry import answers_in
from lab.compare.floor import shuffled_references
from lab.evaluation.encoder import Encoder, fetch_encoder, find_encoder, load_encoder
from lab.profile.schema import Evaluate
from lab.runs.paths import EvaluationPaths
from lab.runs.reader import read_json
from lab.scoring.answers import Answer
from lab.scoring.bertscore import FILE, key_of, known, with_scores
from lab.text import plural

BATCH = 64
SIGNATURE = "bertscore:f1|model:{}|idf:no|rescale:no|refs:best|empty:0|max-tokens:512|agg:mean|version:1"


def prepare(decoding: Evaluate, progress: Callable[[str], None] = lambda line: None) -> None:
    """Fetch what scoring will need of models, before anything is answered: what cannot be had is refused early.

    Raises:
        LabError: as `fetch_encoder`.
    """
    if "bertscore" in decoding.metric_names:
        fetch_encoder(decoding.bertscore_model, progress)


def answers_for(
    paths: EvaluationPaths, decoding: Evaluate, device: str, progress: Callable[[str], None] = lambda line: None
) -> list[Answer]:
    """Return the evaluation's answers as `lab.scoring.score` wants them; with BERTScores where those are asked for.

    Raises:
        LabError: as `scored_answers`.
    """
    if "bertscore" in decoding.metric_names:
        return scored_answers(paths, decoding.bertscore_model, device, progress)
    return answers_in(paths)


@dataclass(frozen=True)
class _Pair:
    key: str
    text: str
    references: tuple[str, ...]


def scored_answers(
    paths: EvaluationPaths, model: str, device: str, progress: Callable[[str], None] = lambda line: None
) -> list[Answer]:
    """Return the evaluation's answers with their BERTScores, computing and storing those that are not there yet.

    The floor's answers (other rows' references) are scored too, so that no table needs a model.

    Args:
        model: as `evaluate.bertscore_model`.

    Raises:
        LabError: as `find_encoder`; a damaged line of the generations.
    """
    answers = answers_in(paths)
    stored = read_json(paths.folder / FILE) or {}
    source = find_encoder(model, progress)
    wanted = {pair.key: pair for pair in _pairs(answers, floor=True)}
    scores: dict[str, Any] = dict(stored.get("scores") or {}) if stored.get("model") == source.label else {}
    missing = [pair for key, pair in wanted.items() if key not in scores]
    if missing or not scores:
        progress(f"BERTScore of {plural(len(missing), 'text')}")
        encoder = load_encoder(source, device)
        scores |= pair_scores(encoder, missing)
        record = {"schema": 1, "model": source.label, "signature": SIGNATURE.format(encoder.label), "scores": scores}
        atomic.write_json(paths.folder / FILE, record)
    return answers_in(paths)


def with_bertscores(answers: Sequence[Answer], model: str, device: str) -> list[Answer]:
    """Return answers that lie in no folder with their scores. Raises as `find_encoder`."""
    encoder = load_encoder(find_encoder(model), device)
    scores = pair_scores(encoder, _pairs(answers, floor=False))
    return with_scores(answers, {"signature": SIGNATURE.format(encoder.label), "scores": scores})


def pair_scores(encoder: Encoder, pairs: Iterable[_Pair]) -> dict[str, float]:
    """Return each pair's F1 against its best reference, by key."""
    single = [(pair.key, pair.text, reference) for pair in pairs for reference in pair.references]
    single.sort(key=lambda one: len(one[1]) + len(one[2]))  # like lengths together: little padding
    found: dict[str, float] = {}
    for start in range(0, len(single), BATCH):
        batch = single[start : start + BATCH]
        values = f1_scores(encoder, [one[1] for one in batch], [one[2] for one in batch])
        for (key, _, _), value in zip(batch, values, strict=True):
            found[key] = max(found.get(key, value), value)
    return found


@torch.inference_mode()
def f1_scores(encoder: Encoder, texts: Sequence[str], references: Sequence[str]) -> list[float]:
    """Return BERTScore's F1 of each text against the reference at its place; 0 where either has no token.

    The marks that begin and end a text can be matched but are not averaged, as in the authors' code without idf.
    """
    ours, our_mask, our_own = encoder.encode(texts)
    theirs, their_mask, their_own = encoder.encode(references)
    similarity = torch.bmm(ours, theirs.transpose(1, 2))
    similarity = similarity.masked_fill(~(our_mask[:, :, None] & their_mask[:, None, :]), -torch.inf)
    precision = _mean(similarity.amax(dim=2), our_own)
    recall = _mean(similarity.amax(dim=1), their_own)
    f1 = 2 * precision * recall / (precision + recall)
    return [value if value == value else 0.0 for value in f1.double().tolist()]


def _mean(best: Tensor, counted: Tensor) -> Tensor:
    """Return the mean of the counted places of each row; NaN in a row without any."""
    return best.where(counted, torch.zeros(())).sum(dim=1) / counted.sum(dim=1)


def _pairs(answers: Sequence[Answer], *, floor: bool) -> Iterable[_Pair]:
    """Yield what takes a model to score: the answers, and with `floor` other rows' references in their place."""
    texts = [(answer, answer.scored) for answer in answers if answer.references]
    if floor and len(texts) == len(answers) > 1:
        texts += list(zip(answers, shuffled_references(answers), strict=True))
    for answer, text in texts:
        if known(text, answer.references) is None:
            yield _Pair(key_of(text, answer.references), text, answer.references)
