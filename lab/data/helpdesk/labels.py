"""What an answer of the help desk is: its keys, their values, and the system prompt that states them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

PRODUCTS = ("kettle", "coffee maker", "vacuum", "headphones", "watch", "router", "lamp", "heater")
CATEGORIES = ("delivery", "defect", "billing", "account", "warranty", "how-to")
URGENCIES = ("low", "medium", "high")

SYSTEM_PROMPT = f"""\
Answer the customer with one line of JSON: {{"product": "", "category": "", "urgency": "", "refund": false}}
product: {", ".join(PRODUCTS)}
category: delivery (parcel), defect (broken), billing (invoice, payment), account (login), warranty, how-to
urgency: high (danger, anger, today), low (no hurry), else medium
refund: true if money back is wanted, else false"""


@dataclass(frozen=True)
class Answer:
    """The four labels of one message."""

    product: str
    category: str
    urgency: str
    refund: bool

    def json(self) -> str:
        """Return the one line that the model is trained to write; the keys keep the order of the fields."""
        return json.dumps(asdict(self))
