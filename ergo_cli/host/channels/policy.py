"""How long the host waits for its channel processes (spec 30 §15.2, §18)."""

from __future__ import annotations

from msgspec import Struct

from ergo_cli.core.time import NANOS

_MILLIS = NANOS // 1000


class ChannelPolicy(Struct, frozen=True):
    """Graces and wake-ups in ns; programs cannot change them."""

    startup: int = 5 * NANOS
    """How long a program may take to say its first frame."""
    termination: int = 5 * NANOS
    """How long a driver may live on after its last word."""
    receive: int = 100 * _MILLIS
    """How long a wait for a driver may last before the stop is looked at again."""
    shutdown: int = 5 * NANOS
    """How long an egress channel may take to exit after its end frame."""
    settle: int = 20 * _MILLIS
    """How long an egress channel is listened to after the last acknowledgement."""
