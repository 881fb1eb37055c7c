"""`lab chat`: talk to what a run trained, its untouched base beside it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.options import Json
from lab.cli.output import columns, note, print_json

if TYPE_CHECKING:
    from lab.launching.chat import ChatProcess, Said
    from lab.profile.presets import Preset
    from lab.profile.sampling import Sampling
    from lab.runs.chats import Conversation

HELP = """/both  the base answers too     /tuned  only the tuned model     /system TEXT  set the system prompt
/new  begin anew     /quit  leave (or Ctrl-D)     Ctrl-C  end an answer"""


def chat(
    run: Annotated[
        str, typer.Argument(metavar="[RUN]", help="Id, name, any unique part of an id, or 'latest'.")
    ] = "latest",
    preset: Annotated[str, typer.Option("--preset", "-p", help="A tool of the assistant: see --list.")] = "",
    fields: Annotated[
        list[str] | None, typer.Option("--field", "-f", metavar="NAME=TEXT", help="Fill in a field of the preset.")
    ] = None,
    ask: Annotated[str, typer.Option("--ask", "-a", help="Ask this, print the answer, leave.")] = "",
    both: Annotated[bool, typer.Option("--both", "-b", help="The untouched base answers too.")] = False,
    system: Annotated[str, typer.Option("--system", help="The system prompt.")] = "",
    temperature: Annotated[float | None, typer.Option(help="0 is greedy. Default 0.3.")] = None,
    top_p: Annotated[float | None, typer.Option("--top-p", help="Default 0.9.")] = None,
    repetition_penalty: Annotated[float | None, typer.Option("--repetition-penalty", help="Default 1.15.")] = None,
    max_new_tokens: Annotated[int | None, typer.Option("--max-new-tokens", help="Default 512.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the draw. Default 42.")] = None,
    gguf: Annotated[Path | None, typer.Option("--gguf", help="Let this GGUF file answer, through llama.cpp.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    go_on: Annotated[str, typer.Option("--continue", help="Go on with an earlier conversation, by its name.")] = "",
    list_: Annotated[bool, typer.Option("--list", help="List presets, and the run's conversations.")] = False,
    json: Json = False,
) -> None:
    """Talk to what RUN trained; answers come as they are made, and the conversation is kept with the run."""
    from lab.errors import UsageError
    from lab.launching.chat import ChatProcess, chat_arguments, check_answers
    from lab.profile.presets import Preset, check_sampling, fill, load_preset
    from lab.runs.chats import Conversation
    from lab.runs.store import find_run

    if list_:
        _list(run, json=json)
        return
    if device not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--device {device} is no device.", "Choose auto, cpu or cuda.")
    tool = load_preset(preset) if preset else Preset(title="Chat")
    told = {"temperature": temperature, "top_p": top_p, "repetition_penalty": repetition_penalty}
    given = {**told, "max_new_tokens": max_new_tokens, "seed": seed}
    sampling = check_sampling({key: value for key, value in given.items() if value is not None}, tool.sampling)
    info = find_run(run)
    if gguf is None:
        check_answers(info)
    question = ask or (fill(tool, _fields(tool, fields or [])) if tool.prompt else "")
    conversation = Conversation(info.run, go_on)
    if go_on and not conversation.turns:
        raise UsageError(f"{info.id} has no conversation {go_on!r}.", "See `lab chat RUN --list`.")
    if (system or tool.system) and not conversation.turns:
        conversation.add("system", system or tool.system)
    with ChatProcess(chat_arguments(info.run.folder, gguf=gguf, device=device)) as process:
        ready = process.wait_ready(lambda line: note(f"{line} ..."))
        if both and "base" not in ready.voices:
            raise UsageError("--both needs the run's own weights; only the tuned model is here.", "Leave it out.")
        voices = list(ready.voices[:2] if both else ready.voices[:1])
        talk = Talk(process, conversation, sampling, voices, ready.voices, quiet=json)
        if question:
            said = talk.turn(question)
            if json:
                print_json({"run": info.id, "conversation": conversation.name, "question": question, "answers": said})
            if ask or not sys.stdin.isatty():
                return
        note(f"{ready.model} on {ready.device}. /help says what else can be typed.")
        talk.go_on()


def _fields(tool: Preset, given: list[str]) -> dict[str, str]:
    """Return the fields that were given, and ask for those that are missing where somebody is there to answer."""
    from lab.errors import UsageError

    values: dict[str, str] = {}
    for text in given:
        name, mark, value = text.partition("=")
        if not mark:
            raise UsageError(f"--field {text!r} has no '='.", "Write --field name='text'.")
        values[name.strip()] = value
    if sys.stdin.isatty():
        for blank in tool.field:
            if blank.name not in values:
                hint = f" [{blank.default}]" if blank.default else ""
                values[blank.name] = input(f"{blank.ask}{hint} ")
    return values


def _list(run: str, *, json: bool) -> None:
    from lab.errors import NotFoundError
    from lab.profile.presets import list_presets, load_preset
    from lab.runs.chats import list_conversations
    from lab.runs.store import find_run

    presets = [(name, load_preset(str(path))) for name, path in list_presets()]
    try:
        kept = list(list_conversations(find_run(run).run))
    except NotFoundError:
        kept = []
    if json:
        print_json({"presets": [{"name": n, **p.model_dump()} for n, p in presets], "conversations": kept})
        return
    rows = [(name, p.description, ", ".join(b.name for b in p.field) or "-") for name, p in presets]
    typer.echo(columns(("preset", "what it does", "fields"), rows))
    if kept:
        typer.echo("\nConversations: " + ", ".join(kept))


class Talk:
    """A conversation in the terminal.

    Args:
        voices: who answers each question, in order.
        known: who can answer.
        quiet: print no answers.
    """

    def __init__(
        self,
        process: ChatProcess,
        conversation: Conversation,
        sampling: Sampling,
        voices: list[str],
        known: tuple[str, ...],
        *,
        quiet: bool = False,
    ) -> None:
        self.process, self.conversation, self.sampling = process, conversation, sampling
        self.voices, self.known, self.quiet = voices, known, quiet

    def go_on(self) -> None:
        """Take questions and commands until the end of input."""
        while True:
            try:
                text = input("\n> ").strip()
            except (EOFError, KeyboardInterrupt):
                note("")
                return
            if text in ("/quit", "/exit"):
                return
            if text.startswith("/"):
                self._command(text)
            elif text:
                self.turn(text)

    def turn(self, question: str) -> list[dict[str, object]]:
        """Ask one question of everybody; an answer that fails is told, and the conversation goes on."""
        from lab.errors import LabError

        self.conversation.add("user", question)
        answers: list[dict[str, object]] = []
        for who in self.voices:
            if len(self.voices) > 1 and not self.quiet:
                typer.echo(f"\n[{who}]")
            try:
                said = self._ask(who)
            except LabError as error:
                note(f"lab: {error.problem}\n     {error.remedy}")
                continue
            facts = {"tokens": said.tokens, "seconds": said.seconds, "finish": said.finish}
            self.conversation.add(who, said.text, **facts, first_token_seconds=said.first_token_seconds)
            answers.append({"who": who, "text": said.text, **facts, "first_token_seconds": said.first_token_seconds})
        return answers

    def _ask(self, who: str) -> Said:
        import signal

        def cancel(*_: object) -> None:
            self.process.cancel()

        before = signal.signal(signal.SIGINT, cancel)
        try:
            said = self.process.ask(self.conversation.messages(who), self.sampling, who, self._print)
        finally:
            signal.signal(signal.SIGINT, before)
        if not self.quiet:
            typer.echo("")
            speed = f"{said.tokens_per_second:.1f} tok/s" if said.tokens_per_second else ""
            cut = {"length": "cut at the token limit", "cancelled": "ended by you"}.get(said.finish, "")
            note("  ".join(part for part in (f"{said.tokens} tokens", speed, cut) if part))
        return said

    def _print(self, piece: str) -> None:
        if not self.quiet:
            sys.stdout.write(piece)
            sys.stdout.flush()

    def _command(self, text: str) -> None:
        from lab.runs.chats import Conversation

        word, _, rest = text.partition(" ")
        if word in ("/both", "/tuned", "/base"):
            wanted = list(self.known) if word == "/both" else [word[1:]]
            if not set(wanted) <= set(self.known) or (word == "/both" and len(self.known) < 2):
                note("Only " + ", ".join(self.known) + " can answer here.")
            else:
                self.voices = wanted
        elif word in ("/new", "/system"):
            before = next((turn.text for turn in self.conversation.turns if turn.who == "system"), "")
            self.conversation = Conversation(self.conversation.run)
            if system := rest.strip() if word == "/system" else before:
                self.conversation.add("system", system)
            note("A new conversation.")
        else:
            note(HELP)
