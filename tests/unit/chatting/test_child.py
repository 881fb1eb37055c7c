"""The model's process goes on after an answer that failed, whatever the failure was."""

from __future__ import annotations

import pytest

from lab.errors import LabError
from lab.launching.chat import ChatProcess
from lab.profile.sampling import Sampling

CHILD = """
from lab.chatting import child
from lab.chatting.voice import Reply

class Voice:
    model, device, voices, failed = "m", "cpu", ("tuned",), False

    def reply(self, messages, sampling, who, piece, done):
        if not self.failed:
            self.failed = True
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB" + chr(10) + "a second line")
        piece("three")
        return Reply(prompt_tokens=4, tokens=1, seconds=0.1, first_token_seconds=0.1, finish="stop")

child.open_voice = lambda options, emit: Voice()
raise SystemExit(child.main())
"""
HELLO = [{"role": "user", "content": "Say number 3."}]


def test_memory_short_for_one_answer_does_not_cost_the_model() -> None:
    with ChatProcess(["run"], command=("-P", "-c", CHILD)) as process:
        process.wait_ready()
        with pytest.raises(LabError) as raised:
            process.ask(HELLO, Sampling(), "tuned", lambda text: None)
        assert raised.value.problem == (
            "The model failed while answering (RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB)."
        )
        assert process.ask(HELLO, Sampling(), "tuned", lambda text: None).text == "three"
