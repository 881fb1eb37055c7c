"""What people say about a run comes back, and comes back clean."""

from __future__ import annotations

import json
from collections.abc import Callable

from lab.runs.labels import Labels, read_labels, write_labels
from lab.runs.paths import RunPaths

Make = Callable[..., RunPaths]


def test_labels_come_back(make: Make) -> None:
    run = make()
    assert read_labels(run) == Labels()
    labels = Labels("best", ("a", "b"), "two\nlines", True, "ranks", "rank 8")
    write_labels(run, labels)
    assert read_labels(run) == labels


def test_labels_from_elsewhere_are_cleaned(make: Make) -> None:
    run = make()
    poison = "x\x1b[31my\nz\u202e"
    run.labels.write_text(
        json.dumps({"name": poison, "tags": [poison, 3], "notes": poison, "study": poison, "row": poison, "new": 1})
    )
    assert read_labels(run) == Labels("xy z", ("xy z", "3"), "xy\nz", False, "xy z", "xy z")


def test_half_a_file_is_no_label(make: Make) -> None:
    run = make()
    run.labels.write_text('{"name": "x"')
    assert read_labels(run) == Labels()
