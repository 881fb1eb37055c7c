"""What became of the rows of each source: read, dropped and why. Filled by `read` and `prepare`, told by `report`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from lab.data.meta import Cuts
from lab.data.rows import Row

NOT_A_ROW = "not a row"
NO_ASSISTANT = "no assistant turn"
EMPTY_ANSWER = "empty answer"
DUPLICATE = "duplicate"
HELD_OUT = "copy of a held-out row"
GROUPED = "of a held-out group"
LEAKED = "also in another split"
OVERLONG = "overlong"
REFUSED = "refused by the template"
CONTROL = "control token in the text"
UNSUPERVISED = "nothing supervised"

ASKED = {DUPLICATE, HELD_OUT, GROUPED}
"""Reasons that do not count against the gate: the profile asks for the first, the draw of the splits for the others."""

REMEDIES = {
    NOT_A_ROW: "mend those rows, or name their columns in data.source.N.columns",
    NO_ASSISTANT: "check data.source.N.format, or remove those rows",
    EMPTY_ANSWER: "remove those rows from the source",
    LEAKED: "remove those rows from one of the sources",
    OVERLONG: 'raise data.max_length or set data.overlong = "truncate"',
    REFUSED: "set data.template or change data.system_prompt",
    CONTROL: "remove those tokens from the source",
    UNSUPERVISED: "raise data.max_length",
}


@dataclass
class Tally:
    """The count of one source.

    Attributes:
        label: what its rows call it.
        saw: by what its format was chosen.
        read: raw rows.
        dropped: rows by reason.
        first: an example for each reason, in a few words.
        cuts: what cleaning took from the rows, where the profile asks for it.
        commit: of a hub data set, where the hub told it.
    """

    label: str
    name: str
    format: str
    saw: str
    read: int
    dropped: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    cuts: Cuts | None = None
    commit: str | None = None

    def drop(self, reason: str, example: str) -> None:
        self.dropped[reason] += 1
        self.first.setdefault(reason, example)

    @property
    def told(self) -> str:
        """The reasons with their counts and first examples, for messages."""
        return "; ".join(f"{n:,} {reason} (first: {self.first[reason]})" for reason, n in self.dropped.most_common())

    @property
    def unasked(self) -> int:
        return sum(count for reason, count in self.dropped.items() if reason not in ASKED)


@dataclass(frozen=True)
class Drawn:
    """The rows of each split before they are tokens.

    Attributes:
        splits: rows by split name.
        tallies: one a source, in the profile's order.
        read_lost: rows that were dropped unasked before the draw.
        count: rows drawn.
    """

    splits: dict[str, list[Row]]
    tallies: list[Tally]
    read_lost: int
    count: int

    def tally(self, row: Row) -> Tally:
        return next(tally for tally in self.tallies if tally.label == row.source)
