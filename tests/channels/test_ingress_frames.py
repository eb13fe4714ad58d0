"""The frames of a driver, one by one."""

from __future__ import annotations

import pytest

from ergo_cli.channels.frames import DriverEnd, DriverFrame, FrameError, Hello, decode_driver_frame
from ergo_cli.core.numbers import Numbers
from ergo_cli.events.external import EventKind, HostedEvent, encode_hosted

EVENT = HostedEvent("a", EventKind.COMMAND, 1, "tick", {"x": 1, "y": [2.5, {"z": ":"}]})
NESTED = b'{"type":"event","event":{"event_id":"a","kind":"Pump","at":[0,0],"payload":%s}}'


def frame(line: bytes, numbers: Numbers = Numbers.EXACT) -> DriverFrame:
    return decode_driver_frame(line, numbers)


def fault(line: bytes) -> str:
    with pytest.raises(FrameError) as refused:
        frame(line)
    return str(refused.value)


def test_what_a_driver_can_say() -> None:
    assert frame(b'{"type":"hello","protocol":"ergo-driver.v0"}') == Hello("ergo-driver.v0")
    assert frame(b'{"type":"event","event":' + encode_hosted(EVENT) + b"}") == EVENT
    assert frame(b'{"type":"end"}') == DriverEnd()


def test_members_may_stand_in_any_order_among_others() -> None:
    event = encode_hosted(EVENT)
    assert frame(b' {"more":{"a":[]},"event":' + event + b',"protocol":1,"type":"event"}\r') == EVENT
    assert frame(b'{"ty\\u0070e":"event","\\u0065vent":' + event + b"}") == EVENT
    assert frame(b'{"event":1,"event":2,"type":"end"}') == DriverEnd()


def test_a_payload_may_be_anything_until_it_is_stepped() -> None:
    assert frame(NESTED % b"[1]") == HostedEvent("a", EventKind.PUMP, 0, None, [1])
    assert frame(NESTED % b"null") == HostedEvent("a", EventKind.PUMP, 0)


def test_numbers_are_read_under_the_profile_of_the_run() -> None:
    line = NESTED % b'{"x":0.9385958677423489,"y":-0}'
    exact, original = frame(line), frame(line, Numbers.ORIGINAL)
    assert isinstance(exact, HostedEvent)
    assert isinstance(original, HostedEvent)
    assert repr(exact.payload) == "{'x': 0.9385958677423489, 'y': -0.0}"
    assert repr(original.payload) == "{'x': 0.9385958677423488, 'y': -0.0}"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"", "a blank line"),
        (b" \t\r", "a blank line"),
        (b"{", "not JSON at byte"),
        (b"{} {}", "not JSON at byte"),
        (b'\xef\xbb\xbf{"type":"end"}', "not JSON at byte 1"),
        (b"[]", "must be a JSON object, got array"),
        (b"null", "got null"),
        (b'{"type":"hello","protocol":"\xff"}', "invalid UTF-8 at byte 29"),
        (b'{"type":"event","event":{"event_id":"\xff","kind":"Pump","at":[0,0]}}', "invalid UTF-8"),
        (b'{"type":"end","x":"\xff"}', "invalid UTF-8"),
        (b'{"type":"end","x":"\\ud800"}', "surrogate"),
        (b"{}", "missing field `type`"),
        (b'{"type":1}', "`type` must be a string, got number"),
        (b'{"type":"ping"}', "unknown frame type 'ping'"),
        (b'{"type":"' + b"p" * 100 + b'"}', "unknown frame type '" + "p" * 60 + "…'"),
        (b'{"type":"end","type":"end"}', "duplicate field `type`"),
        (b'{"type":"hello"}', "missing field `protocol`"),
        (b'{"type":"hello","protocol":null}', "`protocol` must be a string, got null"),
        (b'{"type":"hello","protocol":"a","protocol":"a"}', "duplicate field `protocol`"),
        (b'{"type":"event"}', "missing field `event`"),
        (b'{"type":"event","event":null}', "`event` must be an object, got null"),
        (b'{"type":"event","event":{},"event":{}}', "duplicate field `event`"),
        (b'{"type":"event","event":{"kind":"Pump","at":[0,0]}}', "invalid event: missing field `event_id`"),
        (b'{"type":"event","event":{"event_id":"a","kind":"Zed","at":[0,0]}}', "Zed"),
        (b'{"type":"event","event":{"event_id":"a","event_id":"a","kind":"Pump","at":[0,0]}}', "duplicate"),
        (NESTED % b"1e400", "out of range"),
        (NESTED % (b"[" * 126 + b"]" * 126), "nesting deeper than 127 levels"),
    ],
)
def test_what_is_no_frame(line: bytes, told: str) -> None:
    assert told in fault(line)


def test_a_frame_may_nest_as_deep_as_any_text() -> None:
    assert isinstance(frame(NESTED % (b"[" * 125 + b"]" * 125)), HostedEvent)
