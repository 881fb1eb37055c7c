"""Page 3: one run as it goes: where it is, its curves, what the machine does, what has happened."""

from __future__ import annotations

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Grid

from lab.console.charts import MIN_SHARE, SMOOTHINGS, Chart
from lab.console.feed import Snapshot, chosen
from lab.console.keys import bindings
from lab.console.live import Live
from lab.console.liveparts import all_notes, facts, identity, note_lines, progress_line
from lab.console.request import View
from lab.console.rows import RunRow
from lab.console.runparts import DEMO
from lab.console.screens.runkeys import RunKeys
from lab.console.screens.textpanel import TextPanel
from lab.console.widgets.chart import HEADING, ChartView
from lab.console.widgets.parts import Facts, Line, Part

CHARTS = ("loss", "power", "grad_norm", "lr", "memory")
NOTE_LINES = 3
TAIL_SHARE = 0.25
EMPTY: list[Part] = [("No run to watch yet.", "bold")]
EMPTY_HINT: list[Part] = [("1", "bold $primary"), ("  picks a profile to start", "$quiet")]


class LivePage(RunKeys):
    NAME = "live"
    BINDINGS = bindings("live")

    def body(self) -> ComposeResult:
        yield Line("identity")
        yield Line("progress")
        yield Facts("facts")
        with Grid(id="charts"):
            for name in CHARTS:
                yield ChartView(name, plain=self.looks.plain)
        for index in range(NOTE_LINES):
            yield Line(f"note-{index}", classes="note")

    def on_mount(self) -> None:
        self._focus_chart("loss")

    @property
    def view(self) -> View:
        return self.lab.request.view

    @property
    def row(self) -> RunRow | None:
        live = self.lab.snapshot.live
        return live.row if live is not None else None

    def idle(self) -> set[str]:
        live = self.lab.snapshot.live
        found = super().idle()
        if live is None or not live.step:
            found |= {"smooth", "log_axis", "zoom"} | ({"why", "chart"} if live is None else set())
        if self.has_class("-tiny") or self.has_class("-flat"):  # numbers alone
            return found | {"log_axis", "zoom", "chart"}
        one = any(self.has_class(name) for name in ("-one", "-narrow", "-short"))
        return found if one else found | {"chart"}

    def show(self, snapshot: Snapshot) -> None:
        super().show(snapshot)
        live = snapshot.live
        wanted = chosen(snapshot.runs, self.lab.request.run)
        if live is not None and wanted is not None and self.lab.request.run and wanted.folder != live.row.folder:
            return  # another run has been chosen, and is being read
        self.set_class(live is None and snapshot.loaded, "-empty")
        if live is None:
            if snapshot.loaded:
                self.query_one("#identity", Line).put(EMPTY)
                self.query_one("#progress", Line).put(EMPTY_HINT)
                self.query_one(Facts).put([("or, in a shell:", DEMO, "bold")])
            return
        with self.app.batch_update():
            self._show(live)

    def _show(self, live: Live) -> None:
        width = self.size.width
        self.query_one("#identity", Line).put(*identity(live, self.looks))
        self.query_one("#progress", Line).put(*progress_line(live, width, self.looks))
        self.query_one(Facts).put(facts(live, self.view))
        if live.sizes and live.sizes == self.lab.request.chart_sizes:  # else they are being drawn
            for chart in live.charts:
                self._chart(chart.name).put(chart)
        lines = note_lines(live, self._note_count())
        for index, line in enumerate(lines):
            self.query_one(f"#note-{index}", Line).put(*line)

    def _note_count(self) -> int:
        return NOTE_LINES if self.has_class("-tall") else 1

    def _chart(self, name: str) -> ChartView:
        return self.query_one(f"#chart-{name.replace('_', '-')}", ChartView)

    @on(ChartView.Resized)
    def _measure(self) -> None:
        """Have the charts drawn, away from the screen, for the room that they have."""
        sizes = tuple(
            (str(chart.name), chart.size.width, chart.size.height - HEADING)
            for chart in self.query(ChartView)
            if chart.size.height > HEADING
        )
        if sizes != self.lab.request.chart_sizes:
            self.lab.want(chart_sizes=sizes)

    def on_resize(self) -> None:
        self.lab.change_view(columns=max(self.app.size.width, 20))

    # keys

    def _focus_chart(self, name: str) -> None:
        """Mark the chart that is shown where only one has room."""
        for chart in self.query(ChartView):
            chart.set_class(chart.name == name, "-focus")

    def action_smooth(self) -> None:
        place = SMOOTHINGS.index(self.view.smoothing) if self.view.smoothing in SMOOTHINGS else -1
        self.lab.change_view(smoothing=SMOOTHINGS[(place + 1) % len(SMOOTHINGS)])

    def action_log_axis(self) -> None:
        self.lab.change_view(log=not self.view.log)

    def action_zoom(self) -> None:
        self.lab.change_view(share=TAIL_SHARE if self.view.share >= 1 else 1.0)

    def action_narrower(self) -> None:
        self.lab.change_view(share=max(self.view.share / 2, MIN_SHARE))

    def action_wider(self) -> None:
        self.lab.change_view(share=min(self.view.share * 2, 1.0))

    def action_cursor(self, by: int) -> None:
        """Move the cursor by one cell of the loss chart; it begins at the newest step."""
        live = self.lab.snapshot.live
        if live is None or not live.charts or not live.step:
            return
        low, high = live.charts[0].x_range
        cell = max((high - low) / max(self._chart("loss").size.width - 8, 10), 1.0)
        here = live.step if self.view.cursor is None else self.view.cursor + round(by * cell)
        self.lab.change_view(cursor=int(min(max(here, low, 1), live.step)))

    def action_no_cursor(self) -> None:
        if self.view.cursor is not None:
            self.lab.change_view(cursor=None)
        elif self.has_class("-one"):
            self.remove_class("-one")

    def action_notes(self) -> None:
        live = self.lab.snapshot.live
        if live is not None:
            self.app.push_screen(TextPanel(all_notes(live)))

    def action_why(self) -> None:
        from lab.console.why import why_parts

        if self.row is not None:
            width = max(min(self.size.width * 96 // 100, 100) - 7, 30)
            self.app.push_screen(TextPanel(why_parts(self.row.run, self.row.title, width)))

    def action_chart(self) -> None:
        names = [chart.name for chart in self.query(ChartView)]
        here = next((i for i, chart in enumerate(self.query(ChartView)) if chart.has_class("-focus")), 0)
        self._focus_chart(str(names[(here + 1) % len(names)]))

    def action_enlarge(self) -> None:
        self.toggle_class("-one")

    def action_step_run(self, by: int) -> None:
        """Watch the run that stands `by` rows further down the list."""
        runs = self.lab.snapshot.runs
        here = chosen(runs, self.lab.request.run)
        if here is not None:
            place = min(max(runs.index(here) + by, 0), len(runs) - 1)
            self.lab.watch_run(runs[place].folder)

    def on_click(self, event: events.Click) -> None:
        """A click into a chart over steps puts the cursor there; a double click gives the chart the whole page."""
        widget = event.widget
        if not isinstance(widget, ChartView):
            return
        self._focus_chart(str(widget.name))
        if event.chain == 2:
            self.action_enlarge()
            return
        step = step_at(widget.chart, event.x, widget.size.width)
        live = self.lab.snapshot.live
        if step is not None and live is not None and live.step:
            self.lab.change_view(cursor=min(max(step, 1), live.step))

    def on_mouse_scroll_up(self) -> None:
        self.action_narrower()

    def on_mouse_scroll_down(self) -> None:
        self.action_wider()


def step_at(chart: Chart, x: int, width: int) -> int | None:
    """Return the step under column `x` of a chart; None on its labels, or where x is time."""
    from lab.console.plot import LABEL_WIDTH

    inner = width - LABEL_WIDTH - 1
    place = x - LABEL_WIDTH - 1
    if chart.clock or place < 0 or inner < 2:
        return None
    low, high = chart.x_range
    return round(low + (high - low) * place / (inner - 1))
