"""Call own primitives under the determinism guard, for the tests of a project."""

from __future__ import annotations

from typing import Any, ParamSpec, TypeVar

from ergo_cli.primitives import OwnPrimitive
from ergo_cli.project.guard import watching

P = ParamSpec("P")
R = TypeVar("R")


def call_guarded(primitive: OwnPrimitive[Any, Any, P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call the primitive's function as ``--guard`` does and return its result.

    Raises PrimitiveError ``primitive.nondeterministic`` if it uses something that is forbidden under guard.
    """
    with watching(primitive.manifest.id, primitive.place, roots=(primitive,)):
        return primitive(*args, **kwargs)
