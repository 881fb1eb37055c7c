"""The page in a real browser, where one is installed: its own script runs, and nothing of a run's text does."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from lab.compare.report.picture import BROWSERS, picture

BROWSER = next((path for name in BROWSERS if (path := shutil.which(name))), None)
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.skipif(BROWSER is None, reason="no browser is installed")
def test_the_page_is_drawn_at_its_own_height(document: str, tmp_path: Path) -> None:
    out = tmp_path / "report.png"
    picture(document, out)
    drawn = out.read_bytes()
    assert drawn.startswith(PNG)
    width, height = int.from_bytes(drawn[16:20], "big"), int.from_bytes(drawn[20:24], "big")
    assert width == 1400
    assert height > 3000


@pytest.mark.skipif(BROWSER is None, reason="no browser is installed")
def test_even_a_script_that_slipped_in_would_not_run(document: str, tmp_path: Path) -> None:
    evil = "<script>document.documentElement.dataset.height = '77'; document.title = 'taken'</script>"
    out = tmp_path / "report.png"
    picture(re.sub("</body>", f"{evil}</body>", document), out)
    assert int.from_bytes(out.read_bytes()[20:24], "big") > 3000
