"""The control channel's codec."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawercam.protocol import messages as control

VOCABULARIES = {
    "camera": control.FROM_CAMERA,
    "player": control.FROM_PLAYER,
    "wall": control.FROM_WALL,
}

GOOD: list[tuple[str, dict[str, Any], control.Message]] = [
    (
        "camera",
        {"type": "stream", "stream": 1, "mime": "video/webm"},
        control.Stream(1, "video/webm"),
    ),
    ("camera", {"type": "stream", "stream": 8, "mime": "", "at": -5}, control.Stream(8, "", -5)),
    ("camera", {"type": "end", "stream": 2}, control.End(2)),
    (
        "camera",
        {"type": "state", "state": "paused", "reason": "background"},
        control.CameraState("paused", "background"),
    ),
    ("camera", {"type": "state", "state": "live"}, control.CameraState("live")),
    (
        "camera",
        {"type": "state", "state": "live", "sound": "muted"},
        control.CameraState("live", sound="muted"),
    ),
    ("camera", {"type": "ping", "t": 1, "level": 0}, control.CameraPing(1, level=0)),
    ("camera", {"type": "ping", "t": 1, "level": 0.0125}, control.CameraPing(1, level=0.0125)),
    (
        "camera",
        {"type": "stream", "stream": 1, "mime": "", "delay": 0},
        control.Stream(1, "", delay=0),
    ),
    (
        "camera",
        {"type": "stream", "stream": 1, "mime": "", "delay": control.MAX_DELAY},
        control.Stream(1, "", delay=control.MAX_DELAY),
    ),
    (
        "camera",
        {"type": "stream", "stream": 1, "mime": "", "at": 7, "keyframes": True},
        control.Stream(1, "", 7, keyframes=True),
    ),
    (
        "camera",
        {"type": "stream", "stream": 1, "mime": "", "keyframes": None},
        control.Stream(1, ""),
    ),
    (
        "camera",
        {"type": "stream", "stream": 1, "mime": "", "interval": 33_333},
        control.Stream(1, "", interval=33_333),
    ),
    (
        "camera",
        {"type": "stream", "stream": 1, "mime": "", "sound": False},
        control.Stream(1, "", sound=False),
    ),
    (
        "camera",
        {"type": "stream", "stream": 1, "mime": "", "label": " Дверь\u202e"},
        control.Stream(1, "", label="Дверь"),
    ),
    (
        "camera",
        {"type": "stream", "stream": 1, "mime": "", "label": "\ud800\u2028"},
        control.Stream(1, ""),
    ),
    (
        "camera",
        {"type": "stream", "stream": 1, "mime": "", "label": "x" * 9000},
        control.Stream(1, "", label="x" * 40),
    ),
    (
        "camera",
        {"type": "stream", "stream": 1, "mime": "", "rotation": 270},
        control.Stream(1, "", rotation=270),
    ),
    (
        "camera",
        {"type": "stream", "stream": 1, "mime": "", "rotation": 0, "flip": True},
        control.Stream(1, "", flip=True),
    ),
    (
        "camera",
        {"type": "stream", "stream": 1, "mime": "", "rotation": None, "flip": None},
        control.Stream(1, ""),
    ),
    ("camera", {"type": "ping", "t": 12.5}, control.CameraPing(12.5)),
    ("camera", {"type": "ping", "t": 0, "encode": 8_300}, control.CameraPing(0, 8_300)),
    ("player", {"type": "ping", "t": 0, "encode": "ignored"}, control.Ping(0)),
    ("player", {"type": "pause", "reason": "overflow"}, control.Pause("overflow")),
    ("player", {"type": "pause"}, control.Pause()),
    ("player", {"type": "resume"}, control.Resume()),
    ("player", {"type": "rest"}, control.Rest()),
    (
        "camera",
        {"type": "state", "state": "paused", "reason": "unwatched"},
        control.CameraState("paused", "unwatched"),
    ),
    ("player", {"type": "keyframe"}, control.Keyframe()),
    ("player", {"type": "join", "unknown": "ignored"}, control.Join()),
    ("wall", {"type": "ping", "t": 0}, control.Ping(0)),
]

BAD: list[tuple[str, str, str]] = [
    ("camera", "", "JSON object"),
    ("camera", "null", "JSON object"),
    ("camera", "[1]", "JSON object"),
    ("camera", "[" * 20_000, "JSON object"),
    ("camera", "9" * 5_000, "JSON object"),
    ("camera", "{}", "message type"),
    ("camera", '{"type": ["stream"]}', "message type"),
    ("camera", '{"type": "pause"}', "message type"),
    ("player", '{"type": "stream", "stream": 1, "mime": "x"}', "message type"),
    ("wall", '{"type": "join"}', "message type"),
    ("camera", '{"type": "stream", "mime": "x"}', "needs the field 'stream'"),
    ("camera", '{"type": "stream", "stream": 0, "mime": "x"}', "'stream'"),
    ("camera", '{"type": "stream", "stream": 9, "mime": "x"}', "'stream'"),
    ("camera", '{"type": "stream", "stream": true, "mime": "x"}', "'stream'"),
    ("camera", '{"type": "stream", "stream": 1, "mime": 5}', "'mime'"),
    ("camera", json.dumps({"type": "stream", "stream": 1, "mime": "x" * 300}), "'mime'"),
    ("camera", '{"type": "stream", "stream": 1, "mime": "x", "at": 1.5}', "'at'"),
    ("camera", '{"type": "stream", "stream": 1, "mime": "x", "delay": -1}', "'delay'"),
    ("camera", '{"type": "stream", "stream": 1, "mime": "x", "delay": 10000001}', "'delay'"),
    ("camera", '{"type": "stream", "stream": 1, "mime": "x", "interval": 33333.3}', "'interval'"),
    ("camera", '{"type": "stream", "stream": 1, "mime": "x", "interval": 10000001}', "'interval'"),
    ("camera", '{"type": "stream", "stream": 1, "mime": "x", "sound": 1}', "'sound'"),
    ("camera", '{"type": "stream", "stream": 1, "mime": "x", "delay": true}', "'delay'"),
    ("camera", '{"type": "stream", "stream": 1, "mime": "x", "delay": 0.5}', "'delay'"),
    ("camera", '{"type": "stream", "stream": 1, "mime": "x", "keyframes": 1}', "'keyframes'"),
    ("camera", '{"type": "stream", "stream": 1, "mime": "x", "rotation": 45}', "'rotation'"),
    ("camera", '{"type": "stream", "stream": 1, "mime": "x", "rotation": 360}', "'rotation'"),
    ("camera", '{"type": "stream", "stream": 1, "mime": "x", "rotation": -90}', "'rotation'"),
    ("camera", '{"type": "stream", "stream": 1, "mime": "x", "rotation": 90.0}', "'rotation'"),
    ("camera", '{"type": "stream", "stream": 1, "mime": "x", "rotation": "90"}', "'rotation'"),
    ("camera", '{"type": "stream", "stream": 1, "mime": "x", "rotation": false}', "'rotation'"),
    ("camera", '{"type": "stream", "stream": 1, "mime": "x", "rotation": [90]}', "'rotation'"),
    ("camera", '{"type": "stream", "stream": 1, "mime": "x", "flip": 1}', "'flip'"),
    ("camera", '{"type": "stream", "stream": 1, "mime": "x", "flip": "true"}', "'flip'"),
    ("camera", '{"type": "ping", "t": 0, "encode": -1}', "'encode'"),
    ("camera", '{"type": "ping", "t": 0, "encode": "8"}', "'encode'"),
    ("camera", '{"type": "ping", "t": 0, "level": 1.001}', "'level'"),
    ("camera", '{"type": "ping", "t": 0, "level": -0.001}', "'level'"),
    ("camera", '{"type": "ping", "t": 0, "level": NaN}', "'level'"),
    ("camera", '{"type": "ping", "t": 0, "level": true}', "'level'"),
    ("camera", '{"type": "state", "state": "live", "sound": "loud"}', "'sound'"),
    ("camera", '{"type": "state", "state": "live", "sound": ["on"]}', "'sound'"),
    ("camera", '{"type": "state", "state": "gone"}', "'state'"),
    ("camera", '{"type": "state", "state": "paused", "reason": "because"}', "'reason'"),
    ("player", '{"type": "ping", "t": NaN}', "'t'"),
    ("player", '{"type": "ping", "t": 1e400}', "'t'"),
    ("player", '{"type": "ping", "t": "1"}', "'t'"),
    ("player", json.dumps({"type": "pause", "reason": "x" * 65}), "'reason'"),
]


@pytest.mark.parametrize(("who", "value", "message"), GOOD)
def test_good_messages(who: str, value: dict[str, Any], message: control.Message) -> None:
    assert control.parse(json.dumps(value), VOCABULARIES[who]) == message


@pytest.mark.parametrize(("who", "text", "complaint"), BAD)
def test_bad_messages_get_a_sentence(who: str, text: str, complaint: str) -> None:
    with pytest.raises(control.ControlError, match=complaint):
        control.parse(text, VOCABULARIES[who])


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
FIELDS = [
    "stream",
    "mime",
    "at",
    "delay",
    "keyframes",
    "rotation",
    "flip",
    "state",
    "reason",
    "t",
    "encode",
]
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4))


@given(
    st.sampled_from([*VOCABULARIES.values()]),
    st.dictionaries(st.sampled_from(FIELDS), JSON),
    st.sampled_from([*control.FROM_CAMERA, *control.FROM_PLAYER, "x"]),
)
def test_any_json_is_a_message_or_the_typed_error(
    vocabulary: control.Vocabulary, fields: dict[str, Any], kind: str
) -> None:
    try:
        message = control.parse(json.dumps({"type": kind, **fields}), vocabulary)
    except control.ControlError:
        return
    assert message.type == kind
    assert control.parse(control.encode(message), vocabulary) == message


def test_fields_that_are_none_are_left_out() -> None:
    assert control.encode(control.ChannelState("live")) == '{"type":"state","state":"live"}'
    pong = control.PlayerPong(1, 2, encode=None, uplink=None, relay=90, drops=0, idle=None)
    assert json.loads(control.encode(pong)) == {
        "type": "pong",
        "t": 1,
        "time": 2,
        "relay": 90,
        "drops": 0,
    }
    begins = control.TrackBegins(2, "audio", "opus", "audio/webm", sampleRate=48000, channels=1)
    assert json.loads(control.encode(begins)) == {
        "type": "track",
        "number": 2,
        "kind": "audio",
        "codec": "opus",
        "mime": "audio/webm",
        "sampleRate": 48000,
        "channels": 1,
    }
