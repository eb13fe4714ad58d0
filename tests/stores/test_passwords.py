"""Passwords of connection strings, in every spelling."""

from __future__ import annotations

import pytest

from ergo_cli.errors import StoreError, without_passwords

SPELLINGS = [
    "postgres://u:s3cret@h/db",
    "postgresql+psycopg://u:s3cret@h:5432/db",
    "POSTGRES://u:s3cret@h",
    "postgres://u:a/b@s3cret@h/db",
    "postgres://u:a s3cret@h/db",
    "postgres://u:a's3cret@h/db",
    "postgres://u@h/db?password=s3cret&port=1",
    "postgres://u@h/db?sslpassword=s3cret",
    "user=u password=s3cret host=h",
    "user=u password='a s3cret' host=h",
    r"user=u password='a\'s3cret' host=h",
    r"user=u password=a\ s3cret",
    "user=u PASSWORD = s3cret",
    "user=u password='a s3cret",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_error_holds_a_password(spelling: str) -> None:
    error = StoreError("store.unreachable", f"'{spelling}' is down", where=spelling, fix="start it")
    assert "s3cret" not in error.message + str(error) + (error.where or "")
    assert "***" in error.message
    assert error.message.endswith(" is down") or "@" in spelling or spelling.endswith("'a s3cret")


@pytest.mark.parametrize("text", ["http://h:80/a", "a password is missing", "mail me at a@b.c: now", "password="])
def test_other_texts_stay(text: str) -> None:
    assert without_passwords(text) == text
