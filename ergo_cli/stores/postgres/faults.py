"""PostgreSQL's errors, told with the codes of stores (spec 00 §13.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ergo_cli.errors import StoreError

if TYPE_CHECKING:
    import psycopg

# by SQLSTATE, the longest prefix that is listed
_CODES = {
    "23505": "store.conflict",
    "25006": "store.read_only",
    "40": "store.locked",
    "42": "store.corrupt",  # what ergo asks is well-formed: a table or a column must be missing
    "42501": "store.read_only",
    "53": "store.full",
    "53300": "store.unreachable",
    "54": "store.full",
    "55": "store.locked",
    "57014": "store.locked",
    "XX001": "store.corrupt",
    "XX002": "store.corrupt",
}

_FIXES = {
    "store.conflict": "another process drives this run: wait until it is done, then run again",
    "store.corrupt": "name a database that ergo has written, or restore this one from a copy",
    "store.full": "free some space on the server, or name another store",
    "store.locked": "wait until the program that writes to it is done, then try again",
    "store.not_found": "use ASCII letters, digits and underscores only",
    "store.read_only": "give the user the right to create and write tables, or name another store",
    "store.schema_newer": "use the version of ergo that wrote it, or a newer one",
    "store.unreachable": "check that the server runs and that host, port, database and user of the store are right",
}


def postgres_fault(place: str, error: psycopg.Error) -> StoreError:
    """What the server or the driver said about the database ``place``, as an error of ergo."""
    state = error.sqlstate or ""
    code = next((_CODES[state[:end]] for end in (5, 2) if state[:end] in _CODES), "store.unreachable")
    why = error.diag.message_primary or " ".join(str(error).split())
    return store_fault(code, place, f"the store '{place}' cannot be used: {why}")


def store_fault(code: str, place: str, message: str) -> StoreError:
    """The error ``code`` about the database ``place``."""
    return StoreError(code, message, where=place, fix=_FIXES[code])
