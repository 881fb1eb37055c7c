"""Meta-instructions: fragments of user turns that say how to answer and then leak into answers. Called by `read`.

Models that are trained on turns such as "Explain pooling. Include an example from industry." write the fragment
themselves. So it is cut from what the user says, never from an answer, and never is a whole turn cut. Three shapes are
known: a clause at the beginning ("In your own words, ..."), a sentence after another one ("Relate it to ..."), and a
clause at the end ("... and include an example"). "Briefly" goes, what it stands before stays.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from lab.data.rows import Message

EXAMPLES = 5
"""Rows that the report shows as they were and as they are."""

_EXAMPLE = (
    r"(?:(?:an?|one|two|some|at least one)\s+)?(?:(?!me\b|us\b)\w+(?:-\w+)?\s+){0,3}"
    r"(?:examples?|analog(?:y|ies)|use[- ]cases?)"
)
_SHORT = r"(?:brief|short|concise|succinct|simple|clear)"
_LENGTH = r"(?:in|using|with|within)\s+(?:no more than|at most|less than|about|a|one|two|three|\d+)\b[^.!?\n]*?"
_UNITS = r"(?:sentences?|words?|paragraphs?|bullet points?|lines?)"

_LEADING = re.compile(
    rf"^\s*(?:in your own words|(?:very\s+)?briefly|in (?:brief|short)|in (?:simple|plain|layman's) (?:terms|words)"
    rf"|{_LENGTH}{_UNITS}|for an? (?:exam|beginner|student)|,)\s*,\s*|^\s*,\s*",
    re.IGNORECASE,
)
_BRIEFLY = re.compile(r"^(\s*)(?:very\s+)?(?:briefly|concisely|succinctly)\s+(?=[a-z])", re.IGNORECASE)
_SENTENCE = re.compile(
    rf"^(?:please\s+|also,?\s+|and\s+|then\s+)*(?:"
    rf"(?:include|provide|add|give|mention|use)\s+{_EXAMPLE}\b.*"
    rf"|(?:briefly\s+)?(?:relate|connect|link|compare|contrast)\s+(?:it|this|that|them|these)\b.*"
    rf"|(?:briefly|concisely|succinctly)\s+(?:compare|contrast|relate|mention|explain why|justify|discuss)\b.*"
    rf"|(?:be|keep (?:it|this|the answer|your answer))\s+{_SHORT}\b.*"
    rf"|(?:answer|respond|reply|explain(?: it| this)?)\s+(?:{_LENGTH}{_UNITS}|briefly|concisely|{_SHORT}ly)\b.*"
    rf"|limit (?:it|this|the answer|your answer)\s+to\b.*"
    rf"|(?:explain|show|justify)\s+your\s+(?:reasoning|answer|thinking)\b.*"
    rf")[.!?]*$",
    re.IGNORECASE | re.DOTALL,
)
_TRAILING = re.compile(
    rf",?\s+(?:and|with)\s+(?:please\s+|also\s+)?(?:(?:include|provide|add|give|mention)\s+{_EXAMPLE}"
    rf"(?:\s+(?:from|of how|in)\s+[^.?!,;]+)?"
    rf"|relate\s+(?:it|this)\s+to\s+[^.?!,;]+)(?=[.?!]*\s*$)",
    re.IGNORECASE,
)
_AFTER_SENTENCE = re.compile(r"(?<=[.!?])[ \t]+|\n+")


@dataclass
class Cuts:
    """What was cut from the rows of a source.

    Attributes:
        fragments: how often each was cut, as it was written.
        examples: the first rows: id, the turn before and after.
    """

    rows: int = 0
    fragments: dict[str, int] = field(default_factory=dict)
    examples: list[dict[str, str]] = field(default_factory=list)

    def note(self, key: str, before: str, after: str, cut: Sequence[str]) -> None:
        for fragment in cut:
            self.fragments[fragment] = self.fragments.get(fragment, 0) + 1
        if len(self.examples) < EXAMPLES:
            self.examples.append({"id": key, "before": before, "after": after})

    def as_json(self) -> dict[str, object]:
        common = sorted(self.fragments.items(), key=lambda item: (-item[1], item[0]))
        return {
            "rows": self.rows,
            "fragments": sum(self.fragments.values()),
            "most_common": dict(common[: 4 * EXAMPLES]),
            "examples": self.examples,
        }


def without_meta(messages: Sequence[Message], key: str, cuts: Cuts) -> list[Message]:
    """Return a conversation whose user turns hold no meta-instructions; `cuts` notes what went.

    Args:
        key: the row's id, for the report.
    """
    cleaned = []
    changed = False
    for message in messages:
        after, cut = strip(message.content) if message.role == "user" else (message.content, [])
        if cut:
            cuts.note(key, message.content, after, cut)
            changed = True
        cleaned.append(Message(message.role, after))
    cuts.rows += changed
    return cleaned


def strip(text: str) -> tuple[str, list[str]]:
    """Return `text` without its meta-instructions, and the fragments that were cut, in their order."""
    cut: list[str] = []
    kept = _sentences(text, cut)
    for pattern in (_TRAILING, _LEADING, _BRIEFLY):
        found = pattern.search(kept)
        rest = kept[: found.start()] + kept[found.end() :] if found else ""
        if found and re.search(r"\w", rest):
            cut.append(found.group().strip())
            kept = rest if pattern is _TRAILING else rest[:1].upper() + rest[1:]
    return (kept, cut) if cut else (text, [])


def _sentences(text: str, cut: list[str]) -> str:
    """Drop the sentences that are meta-instructions; the first with words stays, whatever it says."""
    kept, start, said = "", 0, False
    ends = [*(match.end() for match in _AFTER_SENTENCE.finditer(text)), len(text)]
    for end in ends:
        sentence, start = text[start:end], end
        if said and _SENTENCE.match(sentence.strip()):
            cut.append(sentence.strip())
            continue
        kept += sentence
        said = said or bool(re.search(r"\w", sentence))
    return kept.rstrip() if cut else kept
