from __future__ import annotations

import subprocess
import sys

import pytest

from lab.errors import UsageError
from lab.scoring.metrics import METRICS
from lab.scoring.names import FAMILIES, JUDGED, METRIC_NAMES, expand


def test_every_name_has_its_metric_and_every_metric_its_name() -> None:
    assert list(METRICS) == list(METRIC_NAMES)
    assert all(name == metric.name for name, metric in METRICS.items())
    assert all(set(members) <= set(METRICS) for members in FAMILIES.values())
    assert not set(JUDGED) & set(METRICS)


def test_lower_is_better_for_likelihoods_only() -> None:
    assert [name for name, metric in METRICS.items() if not metric.higher_is_better] == ["perplexity", "bits_per_byte"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], []),
        (["token_f1", "bleu", "token_f1"], ["token_f1", "bleu"]),
        (["rougeL", "rouge"], ["rougeL", "rouge1", "rouge2", "rougeLsum"]),
    ],
)
def test_families_open_and_each_metric_comes_once(names: list[str], expected: list[str]) -> None:
    assert expand(names) == expected


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rougel", "no metric 'rougel'. Did you mean 'rougeL'?"),
        ("BLEU", "no metric 'BLEU'. Did you mean 'bleu'?"),
        ("exact", "no metric 'exact'."),
        ("win_rate", "'win_rate' needs a judge"),
        ("\x1b[1mbleu4", "no metric 'bleu4'. Did you mean 'bleu'?"),
    ],
)
def test_other_names_are_refused(name: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        expand([name])
    assert message in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_what_fronts_import_loads_nothing_heavy() -> None:
    code = (
        "import sys, lab.scoring.names, lab.scoring.answers, lab.series.bootstrap, lab.compare.intervals;"
        "print([name for name in ('numpy', 'sacrebleu', 'rouge_score', 'torch') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
