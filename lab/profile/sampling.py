"""How answers are drawn in a conversation. The defaults are those of a study assistant (temperature 0.3, top-p 0.9)."""

from __future__ import annotations

from pydantic import Field

from lab.profile.schema import Section


class Sampling(Section):
    """How the next token is chosen."""

    temperature: float = Field(default=0.3, ge=0.0, le=5.0)
    """0 is greedy; above it answers are drawn."""
    top_p: float = Field(default=0.9, gt=0.0, le=1.0)
    """Draw from the smallest set of tokens with this probability."""
    repetition_penalty: float = Field(default=1.15, gt=0.0, le=10.0)
    """Above 1 repeated tokens are less likely."""
    max_new_tokens: int = Field(default=512, ge=1, le=1_000_000)
    """Longest answer in tokens."""
    seed: int = Field(default=42, ge=0, lt=1 << 63)
    """Seed of the draw: the same conversation gets the same answer."""
