"""How long the host waits for its channel processes (spec 30 §15.2, §18)."""

from __future__ import annotations

from msgspec import Struct

from ergo_cli.core.time import NANOS

STOP_LATENCY_NS = 100_000_000
"""How long a wait may last before it checks whether the run must stop."""

_MILLIS = NANOS // 1000


class ChannelPolicy(Struct, frozen=True):
    """Timeouts in ns; programs cannot change them."""

    startup: int = 5 * NANOS
    """How long a program may take to send its first frame."""
    termination: int = 5 * NANOS
    """How long a driver may run on after its last frame."""
    receive: int = STOP_LATENCY_NS
    """How long a wait for a driver may last before it checks whether the run must stop."""
    shutdown: int = 5 * NANOS
    """How long an egress channel may take to exit after its end frame."""
    settle: int = 20 * _MILLIS
    """How long the host waits for unexpected output after the last acknowledgement."""
