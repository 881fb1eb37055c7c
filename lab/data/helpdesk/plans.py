"""Sentence plans: which facts a message carries, in which order, in which tone. Test plans are not used elsewhere.

Slots: `{P}` problem · `{U}` urgency, `{R}` refund (clauses) · `{u}` `{r}` (tags) · `{N}` full name · `{F}` first name ·
`{so}` "so", or "but" before a declined refund · `{and}` "and", or "but" before low urgency.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """One way to put the facts of a message into one to three sentences."""

    id: str
    tone: str
    text: str
    statement: bool = False
    """The problem is joined to other words and therefore may not be a question."""
    gives_reason: bool = False
    """The problem is named as the reason for wanting the money back."""

    @property
    def says_urgency(self) -> bool:
        return "{u" in self.text.lower()

    @property
    def says_refund(self) -> bool:
        return "{r" in self.text.lower()


PLANS_SEEN = (
    Plan("polite-problem-refund-urgency", "polite", "Dear team, {P}. {R}. {U}. Kind regards, {N}"),
    Plan("polite-named-problem", "polite", "My name is {N} and {P}. {R}, {and} {U}.", statement=True),
    Plan("polite-refund-urgency-problem", "polite", "Hello, {R}. {U}. {P}. Best regards, {N}"),
    Plan("plain-urgency-with-refund", "plain", "{P}. {U}, and {R}."),
    Plan("plain-problem-so-refund", "plain", "{P}, {so} {R}. {U}.", statement=True),
    Plan("plain-urgency-first", "plain", "{U}. {P}. {R}."),
    Plan("plain-urgency-refund-first", "plain", "{U}, and {R}. {P}."),
    Plan("plain-refund-because", "plain", "{R} because {P}. {U}.", statement=True, gives_reason=True),
    Plan("terse-two-tags", "terse", "{P}. {u}, {r}."),
    Plan("terse-tags-heading", "terse", "{u}, {r}: {P}."),
    Plan("terse-refund-heading", "terse", "{r}: {P}. {u}."),
    Plan("chatty-sorry", "chatty", "Hi, {F} here, sorry to bother you, but {P}. {R}, {and} {U}.", statement=True),
    Plan("chatty-hello-again", "chatty", "Hello again! {P}, {so} {R}. {U}. Cheers, {F}", statement=True),
    Plan("angry-problem-first", "angry", "{P}. {U}, and {R}!"),
    Plan("angry-outburst-first", "angry", "{U}! {P}. {R}!"),
    Plan("angry-refund-middle", "angry", "{U} and {R}! {P}."),
    Plan("polite-problem-urgency", "polite", "Dear support, {P}. {U}. Many thanks, {N}"),
    Plan("polite-urgency-problem", "polite", "Good afternoon, {U}. {P}. Kind regards, {N}"),
    Plan("plain-problem-and-urgency", "plain", "{P}, {and} {U}.", statement=True),
    Plan("plain-urgency-problem", "plain", "{U}. {P}."),
    Plan("terse-problem-tag", "terse", "{P}. {u}."),
    Plan("terse-tag-problem", "terse", "{u}: {P}."),
    Plan("chatty-fan", "chatty", "Hi, this is {F}. I like your shop a lot, but {P}. {U}.", statement=True),
    Plan("chatty-quick-note", "chatty", "Hello folks, a quick note from {F}: {P}. {U}, thanks!"),
    Plan("angry-problem-urgency", "angry", "{P}. {U}!"),
    Plan("angry-colon", "angry", "{U}: {P}!", statement=True),
    Plan("polite-problem-refund", "polite", "Good morning, {P}. {R}. Best wishes, {N}"),
    Plan("polite-concern", "polite", "To whom it may concern: {P}, {so} {R}. Sincerely, {N}", statement=True),
    Plan("plain-so-refund-only", "plain", "{P}, {so} {R}.", statement=True),
    Plan("plain-refund-first", "plain", "{R}. {P}."),
    Plan("plain-because-only", "plain", "{R} because {P}.", statement=True, gives_reason=True),
    Plan("terse-refund-tag", "terse", "{P}. {r}."),
    Plan("terse-refund-colon", "terse", "{r}: {P}."),
    Plan("chatty-thanks", "chatty", "Hi, {F} here. {P}, {so} {R}. Thanks a lot!", statement=True),
    Plan("polite-bare", "polite", "Dear team, {P}. Thank you, {N}"),
    Plan("plain-bare", "plain", "{P}."),
    Plan("chatty-bare", "chatty", "Hi, {F} here, {P}."),
    Plan("terse-bare", "terse", "{N}: {P}."),
)
PLANS_TEST = (
    Plan("polite-introduction", "polite", "Good evening, {N} writing: {P}. {R}. {U}."),
    Plan(
        "polite-writing-because",
        "polite",
        "I am writing to you because {P}. {R}, {and} {U}. Yours, {N}",
        statement=True,
    ),
    Plan("plain-requests-first", "plain", "{R}, {and} {U}. {P}."),
    Plan("plain-requests-colon", "plain", "{U}, and {R}. The matter is this: {P}."),
    Plan("plain-request-between", "plain", "{R}. {P}, {and} {U}.", statement=True),
    Plan("terse-tags-first", "terse", "{u}. {r}. {P}. {F}"),
    Plan("terse-slashes", "terse", "{r} / {u} / {P}"),
    Plan("chatty-guess-what", "chatty", "Hey, {F} here, guess what: {P}. {U}. {R}, as I told your colleague."),
    Plan("angry-refund-first", "angry", "{R}! {P}. {U}!"),
    Plan("polite-one-thing-first", "polite", "One thing first: {U}. {P}. Greetings from {F}"),
    Plan("chatty-hope-all-is-well", "chatty", "Hope all is well with you! {P}, {and} {U}.", statement=True),
    Plan("terse-name-first", "terse", "{F} here. {u}. {P}."),
    Plan("angry-once-more", "angry", "{U}. Once more: {P}!", statement=True),
    Plan("polite-could-you-help", "polite", "Could you please help me? {P}. {R}. Warm regards, {N}"),
    Plan("plain-here-is-why", "plain", "{R}, and here is why: {P}.", statement=True, gives_reason=True),
    Plan("plain-first-of-all", "plain", "First of all, {R}. {P}."),
    Plan("terse-short-version", "terse", "Short version: {r}. {P}"),
    Plan("chatty-speaking", "chatty", "Hey, {F} speaking: {P}."),
    Plan("plain-good-day", "plain", "Good day to all of you. {P}."),
)
