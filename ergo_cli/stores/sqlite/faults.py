"""SQLite's errors, told with the codes of stores (spec 00 §13.8)."""

from __future__ import annotations

import sqlite3

from ergo_cli.errors import StoreError

_PRIMARY = 0xFF  # the rest of an error code only details it

_CODES = {
    sqlite3.SQLITE_IOERR_WRITE: "store.full",  # a quota or a limit of file sizes is not told apart from bad disks
    sqlite3.SQLITE_BUSY: "store.locked",
    sqlite3.SQLITE_LOCKED: "store.locked",
    sqlite3.SQLITE_PERM: "store.read_only",
    sqlite3.SQLITE_AUTH: "store.read_only",
    sqlite3.SQLITE_READONLY: "store.read_only",
    sqlite3.SQLITE_FULL: "store.full",
    sqlite3.SQLITE_TOOBIG: "store.full",
    sqlite3.SQLITE_CONSTRAINT: "store.conflict",
    sqlite3.SQLITE_CORRUPT: "store.corrupt",
    sqlite3.SQLITE_NOTADB: "store.corrupt",
    sqlite3.SQLITE_ERROR: "store.corrupt",  # what ergo asks is well-formed: a table or a column must be missing
    sqlite3.SQLITE_MISMATCH: "store.corrupt",
}

_FIXES = {
    "store.locked": "wait until the program that writes to it is done, then try again",
    "store.read_only": "make the file and its folder writable, or name another store",
    "store.full": "free some space, or name another store",
    "store.conflict": "another process drives this run: wait until it is done, then run again",
    "store.corrupt": "name a file that ergo wrote, or restore this one from a copy",
    "store.unreachable": "check that the path leads to a file that can be opened, or name another store",
}


def sqlite_fault(path: str, error: sqlite3.Error) -> StoreError:
    """What SQLite said about the database at ``path``, as an error of ergo."""
    number: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CANTOPEN)  # errors of the module itself have none
    code = _CODES.get(number) or _CODES.get(number & _PRIMARY, "store.unreachable")
    return store_fault(code, path, str(error))


def store_fault(code: str, path: str, why: str) -> StoreError:
    """The error ``code`` about the database at ``path``."""
    return StoreError(code, f"the store '{path}' cannot be used: {why}", where=path, fix=_FIXES[code])
