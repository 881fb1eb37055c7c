"""How customers say how much it hurries and whether they want their money back.

`clauses` are whole and can be joined ("..., so please refund the full price"); `tags` are the fragments of terse
writers ("refund please"). Medium urgency and no refund can also go unsaid.
"""

from __future__ import annotations

from lab.data.helpdesk.problems import Bank

URGENCY_CLAUSES: dict[str, Bank] = {
    "high": Bank(
        (
            "this is urgent",
            "I need this solved today",
            "this must be settled by tomorrow morning",
            "I need an answer today because we leave tomorrow",
            "I need help right now",
            "please act immediately",
        ),
        (
            "this is an emergency",
            "the deadline is tomorrow at nine",
            "I need an urgent answer",
            "please help me at once",
        ),
    ),
    "angry": Bank(
        (
            "I am furious",
            "this is an outrage",
            "I have had enough of your excuses",
            "I am fed up with you",
            "your service is a disgrace",
        ),
        ("I am really angry", "I am absolutely furious", "I am truly fed up"),
    ),
    "medium": Bank(
        (
            "please get back to me this week",
            "I would be glad of an answer in a few days",
            "please let me know within a few days",
            "I would like to hear from you this week",
            "an answer this week would be nice",
        ),
        (
            "I look forward to your answer this week",
            "it would help to hear from you in a few days",
            "please reply this week",
        ),
    ),
    "low": Bank(
        (
            "there is no hurry",
            "please take your time",
            "this can wait",
            "I am in no rush",
            "there is no need to hurry",
            "I am happy to wait",
        ),
        ("this can easily wait a month", "I have plenty of time", "please do not hurry", "there is no rush at all"),
    ),
}

URGENCY_TAGS: dict[str, Bank] = {
    "high": Bank(("urgent", "needed today", "very urgent", "emergency"), ("need it right now", "needed immediately")),
    "medium": Bank(("answer this week please", "reply in a few days please"), ("please reply this week",)),
    "low": Bank(("no rush", "no hurry", "can wait"), ("take your time", "no need to hurry")),
}

REFUND_CLAUSES: dict[bool, Bank] = {
    True: Bank(
        (
            "I want my money back",
            "please refund the full price",
            "please send my money back",
            "I would like a refund",
            "please pay me back",
            "I ask for a full refund",
        ),
        ("please return my money", "I expect a refund", "I would like my money back", "please give me my money back"),
    ),
    False: Bank(
        (
            "I do not want a refund",
            "I am not asking for my money back",
            "a refund is not necessary",
            "there is no need to pay me back",
            "I do not want my money back",
        ),
        ("I do not need a refund", "I am not asking for a refund", "there is no need for a refund"),
    ),
}

REFUND_TAGS: dict[bool, Bank] = {
    True: Bank(("refund please", "money back please", "want a refund"), ("full refund please", "want my money back")),
    False: Bank(("no refund needed", "not asking for money back"), ("do not need a refund",)),
}
