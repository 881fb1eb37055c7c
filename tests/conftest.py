"""What all tests stand on: several run side by side, so none may keep a core busy while it waits."""

from __future__ import annotations

import os

# Torch's OpenMP threads spin while they wait; two processes that spin on the same cores slow each other ten-fold.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

os.environ.pop("COLUMNS", None)  # set in each of several test processes; tests that mean a width say so
