"""The lab's scorers as modules of Hugging Face's `evaluate`, for whoever scores elsewhere with the same definitions.

    import evaluate
    from lab.evaluation.wrappers import MODULE
    evaluate.load(MODULE, "rougeL").compute(predictions=[...], references=[[...], ...])

`lab` itself never loads them: it calls `lab.scoring`.
"""

from __future__ import annotations

from pathlib import Path

MODULE = str(Path(__file__).with_name("lab_metric.py"))
"""What `evaluate.load` takes: a path, so that it needs no network."""
