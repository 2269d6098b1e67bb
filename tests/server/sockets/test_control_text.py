"""Texts from peers, without a session; how late frames may be, without a viewer."""

from __future__ import annotations

from itertools import product

import pytest

from drawercam.live.hub import Hub
from drawercam.protocol import messages
from drawercam.protocol.close_reasons import Reason, Refused
from drawercam.server.sockets.control_text import MAX_OTHER_MESSAGE, heard
from drawercam.server.sockets.patience import MAX_PATIENCE, MAX_WAIT, SETTLED, patience
from tests.live.test_channel import Clock


def test_what_may_be_said_is_heard() -> None:
    assert heard('{"type": "ping", "t": 7}', messages.FROM_WALL) == messages.Ping(7)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"type": "pause"}',
        '{"type": "ping"}',
        '{"type": "ping", "t": 7}' + " " * MAX_OTHER_MESSAGE,
    ],
)
def test_what_may_not_be_said_ends_the_socket_with_a_sentence(text: str) -> None:
    with pytest.raises(Refused) as error:
        heard(text, messages.FROM_WALL)
    assert error.value.closing.reason is Reason.BAD_MESSAGE and str(error.value).endswith(".")


def test_frames_wait_for_as_long_as_the_next_keyframe_is_away() -> None:
    channel = Hub(Clock()).channel("porch")

    def each() -> list[float | None]:
        return [
            patience(channel, *given)
            for given in product((True, False), (False, True), (False, True))
        ]

    channel.keyframes = True
    assert each() == [MAX_WAIT] * 2 + [SETTLED] * 2 + [MAX_PATIENCE] * 4
    channel.keyframes = False
    assert each() == [MAX_PATIENCE, None] * 4
