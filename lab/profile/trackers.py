"""Trackers that a profile names and this Python lacks: refused before a run starts, by the front and the worker."""

from __future__ import annotations

import importlib.util

from lab.errors import ProfileError
from lab.profile.schema import Profile


def refuse_missing_trackers(profile: Profile) -> None:
    """Raise ProfileError for the first tracker of `train.report_to` that is not installed; nothing is imported."""
    for name in profile.train.report_to:  # each is called as its package is
        if importlib.util.find_spec(name) is None:
            raise ProfileError(
                f"train.report_to names {name}, which is not installed here.",
                f"Install it with `pip install {name}`, or take it out of train.report_to.",
            )
