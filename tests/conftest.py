"""What all tests stand on: several run side by side, so none may keep a core busy while it waits."""

from __future__ import annotations

import os
import shutil
import tempfile

import pytest

# Torch's OpenMP threads spin while they wait; two processes that spin on the same cores slow each other ten-fold.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

os.environ.pop("COLUMNS", None)  # set in each of several test processes; tests that mean a width say so

# Runs of tests queue for devices among themselves, not behind whatever else this machine works on.
_LOCKS = tempfile.mkdtemp(prefix="lab-test-locks-")
os.environ["LAB_DEVICE_LOCKS"] = _LOCKS


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(_LOCKS, ignore_errors=True)
