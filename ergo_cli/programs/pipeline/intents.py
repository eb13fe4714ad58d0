"""What an event asks for, as its author names it (spec 60 §6)."""

from __future__ import annotations

from ergo_cli.core.wire import Variant


class Command(Variant, frozen=True):
    """Do something."""

    action: str
    target: str


class Query(Variant, frozen=True):
    """Answer a question."""

    question: str


class Event(Variant, frozen=True):
    """Something has happened."""

    fact: str


class Document(Variant, frozen=True):
    """A content."""

    content: str


Intent = Command | Query | Event | Document
