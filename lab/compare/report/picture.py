"""The report as a PNG, drawn by a browser that is installed anyway. Called by `lab report -o report.png`.

A browser's engine is the only thing that lays out the page as people see it, and the lab ships none.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from lab.errors import LabError, NotFoundError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
WIDTH = 1400
TALLEST = 16_000
"""Pixels: Chromium draws no higher picture on all machines."""

SECONDS = 120


def picture(document: str, out: Path, *, browser: str = "") -> None:
    """Draw the HTML `document` at its whole height and write it to `out` as PNG.

    Args:
        browser: the program; by default the first of `BROWSERS` on the search path.

    Raises:
        NotFoundError: no browser is installed.
        LabError: it drew nothing.
    """
    program = browser or find_browser()
    with tempfile.TemporaryDirectory(prefix="lab-report-") as folder:
        source, drawn = Path(folder) / "report.html", Path(folder) / "report.png"
        source.write_text(document, encoding="utf-8")
        height = _height(_run(program, folder, "--dump-dom", source))
        _run(program, folder, f"--screenshot={drawn}", source, height)
        if not drawn.is_file():
            raise LabError(f"{program} drew no picture of the report.", "Write it as .html, and print it from there.")
        shutil.copyfile(drawn, out)


def find_browser() -> str:
    """Return the path of an installed browser. Raises NotFoundError where there is none."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        raise NotFoundError(
            f"A PNG is drawn by a browser, and none of {', '.join(BROWSERS[:3])} is installed.",
            "Install one (Debian: `apt install chromium`), or write the report as .html or .md.",
        )
    return found


def _run(program: str, folder: str, action: str, source: Path, height: int = 1000) -> str:
    flags = ["--headless", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-background-networking"]
    if os.geteuid() == 0:
        flags.append("--no-sandbox")  # it refuses to run as root with one; the page may load and run nothing foreign
    place = [f"--user-data-dir={folder}/browser", f"--window-size={WIDTH},{height}", action, source.as_uri()]
    try:
        done = subprocess.run([program, *flags, *place], capture_output=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"{program} does not work ({type(error).__name__}).", "Write the report as .html.") from error
    return done.stdout.decode("utf-8", "replace")


def _height(dom: str) -> int:
    """Return the page's height as its own script measured it."""
    match = re.search(r'data-height="(\d+)"', dom[:4096])
    if match is None:
        raise LabError("The browser could not lay out the report.", "Write it as .html instead.")
    return min(int(match[1]) + 1, TALLEST)
