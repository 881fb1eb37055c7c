"""What the pages ask of the feed: frozen values, changed by keys. Apart from what answers, which takes time to load."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class View:
    """How the reader wants to see the curves; changed by keys, kept while pages change.

    Attributes:
        smoothing: weight of the moving average drawn over the loss; 0 draws none.
        log: logarithmic y axis where the values allow it.
        share: part of the steps that is shown, counted from the newest: below 1 the view follows the tail.
        cursor: the step whose values are read out, or None.
        columns: width of the widest plot, in terminal columns.
    """

    smoothing: float = 0.9
    log: bool = False
    share: float = 1.0
    cursor: int | None = None
    columns: int = 80


@dataclass(frozen=True)
class SampleAsk:
    """How the rows are wanted: their order and what they must contain."""

    sort: str = "index"
    search: str = ""


@dataclass(frozen=True)
class Request:
    """What the visible page needs; the others get nothing new.

    Attributes:
        run: the run chosen for the Live page; None for the newest living one, or the newest.
        view: how the curves are wanted.
        marked: the runs chosen for comparison, in the order in which they were marked.
        study: what Results and Samples compare where nothing is marked; see `results.selected`.
        query: the filter of the Runs page.
        overlay: the Results page shows curves.
        samples: which answers, in which order.
        log: the run whose log is looked at.
        chart_sizes: (name, columns, lines) of the charts that the Live page shows.
        plain: draw with characters that no terminal lacks.
    """

    page: str = "runs"
    run: Path | None = None
    view: View = field(default_factory=View)
    marked: tuple[Path, ...] = ()
    study: str = ""
    query: str = ""
    overlay: bool = False
    samples: SampleAsk = field(default_factory=SampleAsk)
    log: Path | None = None
    chart_sizes: tuple[tuple[str, int, int], ...] = ()
    plain: bool = False
