"""The `lab` command and `python -m lab`."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    _open_streams()
    from lab.cli.app import run

    sys.exit(run(sys.argv[1:]))


def _open_streams() -> None:
    """Give every standard stream that was closed (`>&-`, some job schedulers) somewhere to go."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115


if __name__ == "__main__":
    main()
