"""What comes in from outside to a run that waits (spec 40 §3.7)."""

from __future__ import annotations

from ergo_cli.programs.kernel.wire import FreeValue, Variant, Wrapper


class Initial(Variant, frozen=True):
    """Nothing came in: the first step."""


class Resume(Wrapper, frozen=True):
    """Go on with this value."""

    value: FreeValue


class Signal(Variant, frozen=True):
    """Go on with the value of a named signal. Without built-in waits the driver does not look at the name."""

    name: str
    value: FreeValue


ResumeSignal = Resume | Signal
