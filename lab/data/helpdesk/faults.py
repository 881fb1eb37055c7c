"""Problems that only one kind of product has: its usual defects, its dangerous ones, and what people ask about its use.

The format of a clause is described in `problems`. A dangerous defect makes a message urgent without another word.
"""

from __future__ import annotations

from lab.data.helpdesk.problems import Bank

DEFECTS: dict[str, Bank] = {
    "kettle": Bank(
        ("my {p} leaks at the bottom", "the lid of my {p} broke off", "my {p} switches off before the water boils"),
        ("water drips from the base of my {p}", "my {p} stays cold although the light is on"),
    ),
    "coffee maker": Bank(
        ("my {p} pours cold coffee", "the pump of my {p} is broken", "my {p} leaks coffee all over the counter"),
        ("the milk frother of my {p} gave up", "my {p} grinds the beans, yet no coffee comes out"),
    ),
    "vacuum": Bank(
        ("my {p} has lost all its suction", "the brush of my {p} no longer turns", "the hose of my {p} is torn"),
        ("the wheels of my {p} came off", "my {p} blows the dust back out"),
    ),
    "headphones": Bank(
        ("the left side of my {p} is silent", "my {p} crackle at any volume", "my {p} no longer hold a charge"),
        ("the sound of my {p} cuts out all the time", "the headband of my {p} snapped"),
    ),
    "watch": Bank(
        ("the screen of my {p} stays black", "the strap of my {p} snapped", "my {p} shows the wrong heart rate"),
        ("my {p} loses an hour every day", "the glass of my {p} broke on the first run"),
    ),
    "router": Bank(
        ("my {p} drops the connection every hour", "the Wi-Fi of my {p} fails", "my {p} restarts by itself all day"),
        ("the internet light of my {p} stays red because of a fault", "my {p} gives no signal at all any more"),
    ),
    "lamp": Bank(
        ("my {p} flickers all evening", "the dimmer of my {p} is broken", "the arm of my {p} will not stay up"),
        ("half of the LEDs in my {p} went dark", "the shade of my {p} arrived bent and will not fit"),
    ),
    "heater": Bank(
        ("my {p} only blows cold air", "the thermostat of my {p} is broken", "my {p} rattles loudly and stays cold"),
        ("my {p} turns itself off after a minute", "the fan of my {p} no longer spins"),
    ),
}

DANGERS: dict[str, Bank] = {
    "kettle": Bank(
        ("my {p} gave me an electric shock", "there are sparks under my {p}"),
        ("smoke comes from the plug of my {p}",),
    ),
    "coffee maker": Bank(
        ("my {p} burnt my hand with hot steam", "smoke comes out of my {p}"),
        ("my {p} sparks when I press the button",),
    ),
    "vacuum": Bank(
        ("the cable of my {p} is smoking", "my {p} gave me an electric shock"),
        ("there are sparks and a burning smell from my {p}",),
    ),
    "headphones": Bank(
        ("my {p} got so hot that they burnt my ear", "smoke comes out of the case of my {p}"),
        ("the battery of my {p} caught fire",),
    ),
    "watch": Bank(
        ("my {p} burnt the skin on my wrist", "the battery of my {p} is swelling and smells of burning"),
        ("smoke comes out of my {p}",),
    ),
    "router": Bank(
        ("the power plug of my {p} is smoking", "my {p} smells of burning plastic"),
        ("sparks fly out of the back of my {p}",),
    ),
    "lamp": Bank(
        ("my {p} gave me an electric shock", "the socket of my {p} is smoking"),
        ("my {p} burnt a hole in the curtain",),
    ),
    "heater": Bank(
        ("flames came out of my {p}", "my {p} smells of burning and scorched the wall"),
        ("sparks jump out of my {p}",),
    ),
}

USES: dict[str, Bank] = {
    "kettle": Bank(
        ("how do I descale my {p}?", "I cannot work out how to set my {p} to 80 degrees for green tea"),
        ("how much water may I boil in my {p}?", "I would like to learn how to keep tea warm in my {p}"),
    ),
    "coffee maker": Bank(
        ("how do I set the grind on my {p}?", "I cannot work out how to make milk foam with my {p}"),
        ("how do I get a stronger coffee from my {p}?", "I do not know how to program two cups on my {p}"),
    ),
    "vacuum": Bank(
        ("how do I change the bag of my {p}?", "I cannot work out how to wash the filter of my {p}"),
        ("which setting of my {p} is right for a thick carpet?", "I do not know how to empty the dust bin of my {p}"),
    ),
    "headphones": Bank(
        ("how do I pair my {p} with my laptop?", "I cannot work out how to mute the microphone of my {p}"),
        ("how do I turn on noise cancelling on my {p}?", "I do not know how to connect my {p} to the TV"),
    ),
    "watch": Bank(
        ("how do I change the strap of my {p}?", "I cannot work out how to set an alarm on my {p}"),
        ("how do I start a run on my {p}?", "I do not know how to set summer time on my {p}"),
    ),
    "router": Bank(
        ("how do I rename the Wi-Fi of my {p}?", "I cannot work out how to open a guest network on my {p}"),
        ("where do I find the network key on my {p}?", "I do not know how to add a second access point to my {p}"),
    ),
    "lamp": Bank(
        ("how do I change the bulb of my {p}?", "I cannot work out how to dim my {p} from the phone"),
        ("which bulb fits my {p}?", "I do not know how to set warmer light on my {p}"),
    ),
    "heater": Bank(
        ("how do I set the timer of my {p}?", "I cannot work out how to lock the thermostat of my {p}"),
        ("which mode of my {p} uses the least power?", "I do not know how to bleed the air out of my {p}"),
    ),
}
