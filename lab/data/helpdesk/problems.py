"""What customers write about: one clause per problem, by category and, for defects and how-to, by product.

A clause starts in lower case (the plan capitalises it) and ends in "?" if it is a question. `{p}` is the product's
name, `{when}` a time, and `{is} {has} {was} {them}` agree with the product's number. `fresh` clauses appear in the
test split only.
"""

from __future__ import annotations

from typing import NamedTuple


class Bank(NamedTuple):
    """Clauses of one meaning: `seen` serve every split, `fresh` the test split alone."""

    seen: tuple[str, ...]
    fresh: tuple[str, ...]


TIMES = (
    "last Monday", "two weeks ago", "ten days ago", "on Saturday", "in March", "a month ago", "on the 3rd", "in May",
    "over a week ago", "last Thursday", "in early June", "just before the holidays",
)  # fmt: skip

GENERAL: dict[str, Bank] = {
    "delivery": Bank(
        seen=(
            "my {p} {has} still not arrived",
            "the parcel with my {p} never turned up",
            "the courier left my {p} at the wrong address",
            "the tracking page for my {p} has not moved for eight days",
            "I ordered the {p} {when} and the delivery van has not come yet",
            "I would like to change the delivery address for my {p}",
            "the driver says that he handed over my {p}, yet nobody here got a parcel",
            "your mail promised delivery of my {p} for Tuesday, yet no parcel came",
            "the parcel that should have held my {p} was empty",
            "where {is} the {p} that I ordered {when}?",
            "when will you ship my {p}?",
        ),
        fresh=(
            "my {p} {is} stuck somewhere in the post",
            "the package with the {p} went to my old street",
            "I am still waiting for the {p} that {was} meant to ship {when}",
            "the shipment with my {p} got lost on the way",
            "can you tell me when my {p} will be delivered?",
        ),
    ),
    "defect": Bank(
        seen=(
            "my {p} will not switch on any more",
            "my {p} broke after two days",
            "the {p} stopped working {when}",
            "my {p} {has} been faulty since I unpacked {them}",
            "the power button on my {p} is broken",
            "the casing of my {p} came with a crack",
        ),
        fresh=(
            "the {p} {is} dead and nothing I press helps",
            "my {p} {has} a fault and will not start",
        ),
    ),
    "billing": Bank(
        seen=(
            "I was charged twice for my {p}",
            "the invoice for my {p} shows the wrong amount",
            "my card was billed for the {p} although I had cancelled the order",
            "the discount code was not taken off the price of my {p}",
            "the bill for my {p} lists a fee that I never agreed to",
            "I paid for my {p} {when}, yet you keep sending payment reminders",
            "I need a corrected invoice for my {p}",
            "the payment for my {p} was taken from my card a week early",
            "my credit card statement shows two payments for one {p} order",
            "I was billed for an extra with my {p} that I did not choose",
            "why is the invoice for my {p} higher than the price in the shop?",
            "can you send me the invoice for my {p} again?",
        ),
        fresh=(
            "you took the payment for my {p} two times",
            "my bank statement shows the wrong price for the {p}",
            "the receipt for my {p} has the wrong total on it",
            "the tax on the bill for my {p} looks wrong",
            "why does my bill for the {p} include an extra charge?",
        ),
    ),
    "account": Bank(
        seen=(
            "I cannot log in to the app of my {p}",
            "your site rejects my password, so I cannot see the page of my {p}",
            "the password reset mail for my {p} account does not come",
            "I want to change the e-mail address of the account that my {p} {is} linked to",
            "my account profile does not list the {p}",
            "I am locked out of my account and cannot reach the settings of my {p}",
            "I want you to delete the customer account that I opened for the {p}",
            "the login code for my {p} app never reaches my phone",
            "I want to change my user name in the profile of my {p}",
            "my account was blocked after I added the {p}",
            "how do I change the password of the account for my {p}?",
            "can you unlock the account that I use with my {p}?",
        ),
        fresh=(
            "signing in to my {p} profile fails every time",
            "I forgot the password of my {p} account",
            "my login for the {p} app is gone",
            "my account does not show the {p}",
            "can I close the account that I made for my {p}?",
        ),
    ),
    "warranty": Bank(
        seen=(
            "I would like to know whether my {p} {is} still under warranty",
            "I want to register the warranty for my {p}",
            "I lost the warranty card of my {p}",
            "I wish to extend the guarantee on my {p} by a year",
            "I bought my {p} second-hand and want the warranty in my name",
            "the shop says that the guarantee on my {p} ran out {when}",
            "I would like to make a warranty claim for my {p}",
            "the guarantee card of my {p} shows last year's date",
            "your form does not accept the warranty number of my {p}",
            "how long is the guarantee on my {p}?",
            "does the warranty of my {p} cover a fall from the table?",
            "{is} my {p} still covered by the guarantee?",
        ),
        fresh=(
            "I need proof of the warranty period for my {p}",
            "your website gives two different warranty dates for my {p}",
            "I am not sure if the guarantee on my {p} covers wear",
            "can the guarantee on my {p} be passed on to my sister?",
            "{is} my {p} covered after 20 months?",
        ),
    ),
    "how-to": Bank(
        seen=(
            "how do I clean my {p}?",
            "how do I reset my {p}?",
            "I cannot find out how to set up my {p}",
            "I do not understand the manual of my {p}",
            "what do the symbols on my {p} mean?",
            "I would like to know how to change the settings of my {p}",
        ),
        fresh=(
            "I need a few tips for using my {p} for the first time",
            "which button on my {p} do I press to get started?",
        ),
    ),
}
