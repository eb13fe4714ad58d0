"""Journals in memory that go on where others ended."""

from __future__ import annotations

from ergo_cli.stores.memory import MemoryJournal
from ergo_cli.testing.stores import refused


def test_a_journal_may_begin_with_the_records_before() -> None:
    prior = ['"a"', '"b"']
    journal = MemoryJournal.starting_at({"r": prior, "empty": []})
    assert journal.append("r", ['"c"'], 2) == 3
    assert list(journal.scan("r")) == [(1, '"a"'), (2, '"b"'), (3, '"c"')]
    assert journal.runs() == ["r"]
    assert prior == ['"a"', '"b"']


def test_a_journal_may_begin_behind_records_that_are_elsewhere() -> None:
    journal = MemoryJournal.starting_at({"r": 5})
    assert journal.head("r") == 5
    assert journal.append("r", ['"f"', '"g"'], 5) == 7
    assert list(journal.scan("r", 6)) == [(6, '"f"'), (7, '"g"')]
    assert list(journal.scan("r", 6, 6)) == [(6, '"f"')]
    assert list(journal.scan("r", 7, 3)) == []
    with refused("store.not_found", "1 to 5", "run 'r' seq 5"):
        list(journal.scan("r", 5))


def test_what_was_appended_and_what_was_scanned_is_nobodys_to_change() -> None:
    journal, texts = MemoryJournal(), ['"a"']
    journal.append("r", texts)
    scanned = journal.scan("r")
    texts.append('"b"')
    journal.append("r", ['"c"'])
    assert list(scanned) == [(1, '"a"')]
    assert journal.head("r") == 2


def test_records_that_are_forgotten_keep_their_numbers() -> None:
    journal = MemoryJournal()
    journal.append("r", ["1", "2", "3"])
    journal.forget("r", 2)
    assert list(journal.scan("r", 3)) == [(3, "3")]
    with refused("store.not_found", "1 to 2", "run 'r' seq 1"):
        list(journal.scan("r"))
    journal.forget("r", 1)
    journal.forget("r", 9)
    journal.forget("unknown", 1)
    assert (journal.head("r"), journal.append("r", ["4"], 3)) == (3, 4)
    assert list(journal.scan("r", 4)) == [(4, "4")]
    assert journal.runs() == ["r"]
