"""How a broken rule of adapters is told: one shape for ADP and COMP errors (spec 10 §10, §14)."""

from __future__ import annotations

from ergo_cli.errors import AdapterError


def violation(
    rule: str, name: str, message: str, /, *, path: str | None, fix: str, where: str | None = None, **data: object
) -> AdapterError:
    """The error for ``rule``; ``details`` are the error's name, then its data as ``key=value``."""
    details = (name, *(f"{key}={value}" for key, value in data.items()))
    return AdapterError(rule, message, path=path, where=where, fix=fix, rule=rule, details=details)
