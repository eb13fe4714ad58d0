"""Why a run ended before its events did (spec 30 §13.1)."""

from __future__ import annotations

from msgspec import Struct

HOST_STOP_REQUESTED = "host_stop_requested"
DRIVER_TERMINATED = "driver_terminated"
PROTOCOL_VIOLATION = "protocol_violation"
DRIVER_IO = "driver_io"
EGRESS_ACK_TIMEOUT = "egress_ack_timeout"
EGRESS_PROTOCOL_VIOLATION = "egress_protocol_violation"
EGRESS_IO = "egress_io"
HOST_STEP_FAILED = "host_step_failed"


class Interruption(Struct, frozen=True, omit_defaults=True):
    """One reason, by its code; egress reasons name the channel, an acknowledgement that never came also its intent."""

    code: str
    channel: str | None = None
    intent_id: str | None = None
