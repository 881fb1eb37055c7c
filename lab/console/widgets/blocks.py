"""Lines in blocks under titles, which can be moved through block by block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from lab.console.widgets.lines import Lines, StyledLine


@dataclass(frozen=True)
class Block:
    """A block: its name, what people call it, and its lines."""

    name: str
    label: str
    lines: Sequence[StyledLine]


class Blocks(Lines):
    """Shows blocks one below the other."""

    def __init__(self, widget_id: str) -> None:
        super().__init__(widget_id)
        self._blocks: tuple[Block, ...] = ()
        self._starts: tuple[int, ...] = ()

    def put_blocks(self, blocks: Sequence[Block]) -> None:
        self._blocks = tuple(blocks)
        self._starts = tuple(accumulate((len(block.lines) for block in blocks[:-1]), initial=0))
        self.put([line for block in blocks for line in block.lines])

    def step(self, by: int) -> None:
        """Go to the block behind the one at the top, or to the beginning of that one, then to those before."""
        place = self.place
        others = [start for start in self._starts if (start > place if by > 0 else start < place)]
        self.move_to((min if by > 0 else max)(others, default=place))

    def reveal(self, name: str) -> None:
        """Go to the block of that name."""
        starts = (start for block, start in zip(self._blocks, self._starts, strict=True) if block.name == name)
        self.move_to(next(starts, self.place))

    @property
    def signs(self) -> list[str]:
        """What tells which block and which lines are in sight, the longest first; one that is empty where all are."""
        if not self._blocks or not self.span:
            return [""]
        at = sum(start <= self.place for start in self._starts)
        label = self._blocks[at - 1].label
        return [f"{label}, {at} of {len(self._blocks)} ← →   {self.span} ↑ ↓", f"{label}   {self.span}", self.span]
