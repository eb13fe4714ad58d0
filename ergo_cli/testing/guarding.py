"""Own primitives under the determinism guard, for a project's own tests."""

from __future__ import annotations

from typing import Any, ParamSpec, TypeVar

from ergo_cli.primitives import OwnPrimitive
from ergo_cli.project.guard import watching

P = ParamSpec("P")
R = TypeVar("R")


def call_guarded(primitive: OwnPrimitive[Any, Any, P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What the primitive's function returns, called as ``--guard`` calls it.

    Raises PrimitiveError ``primitive.nondeterministic`` where it uses clock, randomness, environment or files.
    """
    with watching(primitive.manifest.id):
        return primitive(*args, **kwargs)
