"""Page 7: a conversation with what a run trained, its untouched base beside it; a child process answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input

from lab.console.chatparts import chat_lines, exchanges, invitation
from lab.console.feed import Snapshot
from lab.console.keys import bindings
from lab.console.rows import RunRow
from lab.console.screens.chatpanels import ask_preset, ask_sampling
from lab.console.screens.form import FieldLine, FormPanel, Values
from lab.console.screens.page import Page
from lab.console.screens.pick import PickPanel
from lab.console.widgets.lines import Lines
from lab.console.widgets.parts import Line, Part
from lab.console.widgets.search import Typed
from lab.text import sanitize

if TYPE_CHECKING:
    from lab.console.talk import Talk
    from lab.profile.presets import Preset
    from lab.profile.sampling import Sampling
    from lab.runs.chats import Conversation


class Ask(Typed):
    """The line that questions are typed into."""

    KEYS = (("enter", "ask"), ("esc", "end the answer or leave"), ("pgup pgdn", "scroll"))
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "screen.end_answer", show=False),
        Binding("pageup", "screen.scroll(-1)", show=False),
        Binding("pagedown", "screen.scroll(1)", show=False),
    ]


class ChatPage(Page):
    NAME = "chat"
    BINDINGS = bindings("chat")

    class Changed(Message):
        """The model or its answer has changed. A newer one replaces it while it still waits in the queue."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, ChatPage.Changed)

    def __init__(self) -> None:
        super().__init__()
        self._chosen: Path | None = None
        self._talk: Talk | None = None
        self._conversation: Conversation | None = None
        self._sampling: Sampling | None = None
        self._system = ""
        self._both = True

    def body(self) -> ComposeResult:
        yield Line("chat-heading", fill=self.looks.rule)
        yield Lines("chat", follow=True)
        line = Ask(placeholder="a question; enter asks it, esc leaves the line", compact=True, id="ask")
        line.cursor_blink = False
        yield line

    @property
    def row(self) -> RunRow | None:
        """The run whose model answers: the one that was chosen here, or is watched, or the newest that can."""
        rows = [row for row in self.lab.snapshot.runs if can_answer(row)]
        wanted = self._chosen or self.lab.request.run
        return next((row for row in rows if row.folder == wanted), None) or next(iter(rows), None)

    def show(self, snapshot: Snapshot) -> None:
        super().show(snapshot)
        if snapshot.loaded:
            self._show()

    def idle(self) -> set[str]:
        if self.row is None:
            return {"write", "both", "preset", "system_prompt", "sampling", "new", "pick_run"}
        return set() if self._conversation is not None else {"new"}

    def _show(self, *, to_end: bool = False) -> None:
        row, width = self.row, self.size.width
        self.query_one("#chat-heading", Line).put(*self._heading(row))
        said = exchanges(
            self._conversation.turns if self._conversation else (), self._talk.partial if self._talk else None
        )
        if not said:
            title, model = (row.title, row.model) if row is not None else ("", "")
            lines = invitation(title, model, self._kept(row), width)
        else:
            lines = chat_lines(said, width, self.looks)
        self.query_one("#chat", Lines).put(lines, to_top=to_end)
        self.show_keys()

    def _heading(self, row: RunRow | None) -> tuple[list[Part], ...]:
        left: list[Part] = [("chat  ", "bold"), (row.title if row is not None else "", "$primary")]
        talk = self._talk
        if talk is None:
            return (left,)
        style = "$error" if talk.phase == "ended" else "$warning" if talk.phase == "ready" else "$accent"
        if talk.phase == "answering":
            left.append(("  answering, esc ends it", "$accent"))
        elif talk.line:
            left.append((f"  {talk.line}", style))
        if talk.ready is None:
            return (left,)
        voices = " + ".join(self._voices())
        return left, [(sanitize(f"{voices} on {talk.ready.device}", newlines=False), "$quiet")], [(voices, "$quiet")]

    def _voices(self) -> tuple[str, ...]:
        voices = self._talk.ready.voices if self._talk is not None and self._talk.ready is not None else ()
        return tuple(sanitize(who, newlines=False) for who in (voices if self._both else voices[:1]))

    def _kept(self, row: RunRow | None) -> Sequence[str]:
        from lab.runs.chats import list_conversations

        return list_conversations(row.run) if row is not None else ()

    def on_resize(self) -> None:
        self.show(self.lab.snapshot)

    def on_chat_page_changed(self) -> None:
        self._show()

    def on_unmount(self) -> None:
        if self._talk is not None:
            self._talk.stop()

    # the model and the conversation

    def _load(self, row: RunRow) -> Talk:
        """Return the model of a run, which begins to load if it is not there."""
        from lab.console.talk import Talk

        if self._talk is None or self._talk.folder != row.folder or self._talk.phase == "ended":
            self._unload()
            self._chosen = row.folder
            self._talk = Talk(row.folder, lambda: self.post_message(self.Changed()))
        return self._talk

    def _unload(self) -> None:
        if self._talk is not None:
            self._talk.stop()
            self._talk = None

    def _begin(self, row: RunRow, name: str = "", *, system: str = "") -> Conversation:
        """Begin a conversation, or go on with the one of that name."""
        from lab.runs.chats import Conversation

        self._conversation = Conversation(row.run, name)
        if system and not self._conversation.turns:
            self._conversation.add("system", system)
        self._show()
        return self._conversation

    def _is_busy(self) -> bool:
        """Say whether an answer is under way, to the reader too."""
        busy = self._talk is not None and self._talk.busy
        if busy:
            self.lab.say("Wait for the answer, or end it with esc.")
        return busy

    def _ask(self, text: str) -> None:
        from lab.console.talk import Question
        from lab.profile.sampling import Sampling

        row = self.row
        if row is None:
            return
        talk = self._load(row)
        conversation = self._conversation or self._begin(row, system=self._system)
        talk.ask(Question(text, conversation, self._sampling or Sampling(), self._both))
        self._show(to_end=True)

    @on(Input.Submitted)
    def _asked(self, event: Input.Submitted) -> None:
        text = sanitize(event.value, limit=1 << 20).strip()
        if not text:
            return
        if self._is_busy():
            return
        event.input.value = ""
        self._ask(text)

    # keys

    def action_write(self) -> None:
        row = self.row
        if row is None:
            self.lab.say("No run can answer yet: one has to be completed first.")
            return
        self._load(row)
        self.add_class("-open")
        self.query_one(Ask).focus()
        self._show()

    def action_end_answer(self) -> None:
        """End the answer under way; where there is none, leave the line."""
        if self._talk is not None and self._talk.busy:
            self._talk.cancel()
            return
        self.remove_class("-open")
        self.set_focus(None)

    def action_both(self) -> None:
        self._both = not self._both
        self._show()

    def action_new(self) -> None:
        if self._is_busy():
            return
        self._conversation = None
        self._show()

    def action_system_prompt(self) -> None:
        fields = [FieldLine("system", "what the model is told before the first question", self._system)]
        self.app.push_screen(FormPanel("The system prompt of a new conversation", fields), self._told)

    def _told(self, values: Values | None) -> None:
        if values is not None:
            self._system = values["system"].strip()
            self.action_new()

    def action_sampling(self) -> None:
        ask_sampling(self.app, self._sampling, self._sampled)

    def _sampled(self, sampling: Sampling) -> None:
        self._sampling = sampling

    def action_preset(self) -> None:
        ask_preset(self.app, self._filled)

    def _filled(self, preset: Preset, question: str) -> None:
        """Begin the preset's conversation, with its question where it has one."""
        row = self.row
        if row is None or self._is_busy():
            return
        self._sampling = preset.sampling
        self._begin(row, system=preset.system)
        if question:
            self._ask(question)
        self.action_write()

    def action_conversations(self) -> None:
        kept = self._kept(self.row)
        if not kept:
            self.lab.say("This run has no earlier conversation.")
            return
        choices = [(name, sanitize(name, newlines=False), "") for name in kept]
        self.app.push_screen(PickPanel("Earlier conversations", choices), self._take_up)

    def _take_up(self, name: str | None) -> None:
        if name is not None and self.row is not None and not self._is_busy():
            self._begin(self.row, name)

    def action_pick_run(self) -> None:
        rows = [row for row in self.lab.snapshot.runs if can_answer(row)]
        if rows:
            choices = [(str(row.folder), row.title, f"{row.method}  {row.model}") for row in rows]
            self.app.push_screen(PickPanel("Talk to", choices), self._run_chosen)

    def _run_chosen(self, folder: str | None) -> None:
        if folder is not None and Path(folder) != (self.row.folder if self.row is not None else None):
            self._unload()
            self._chosen, self._conversation = Path(folder), None
            self._show()

    def action_unload(self) -> None:
        self._unload()
        self.action_end_answer()
        self._show()

    def action_scroll(self, by: int) -> None:
        self.query_one("#chat", Lines).page(by)

    def action_copy_answer(self) -> None:
        turns = self._conversation.turns if self._conversation is not None else []
        if turns:
            self.app.copy_to_clipboard(sanitize(turns[-1].text, limit=1 << 30))
            self.lab.say("Copied, if the terminal allows it (OSC 52).")


def can_answer(row: RunRow) -> bool:
    """Say whether a run has an end with weights to talk to."""
    return row.state == "completed" or (not row.live and row.usable.startswith("adapter"))
