"""What a text for a store means."""

from __future__ import annotations

from pathlib import Path

import pytest

from ergo_cli.errors import UsageError, exit_code
from ergo_cli.programs.kernel.tables import KERNEL_TABLES
from ergo_cli.stores.artifacts import artifact_id
from ergo_cli.stores.backends import open_store
from ergo_cli.stores.postgres import PostgresJournal
from ergo_cli.stores.sqlite import SqliteJournal
from ergo_cli.testing.stores import refused


def test_the_default_lies_in_the_users_folder(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "ergo"
    with open_store("default", folder, lambda: 0, KERNEL_TABLES) as store:
        assert not folder.exists()
        store.journal.append("r", ["1"])
        kept = store.artifacts.put(b"x")
    assert (folder / "runs.db").is_file()
    assert (folder / "artifacts" / kept[:2] / kept).read_bytes() == b"x"


def test_a_path_may_hold_anything(tmp_path: Path) -> None:
    path = tmp_path / "a:b c?mode=ro#ü.db"
    with open_store(f"sqlite:{path}", tmp_path, lambda: 0, KERNEL_TABLES) as store:
        store.journal.append("r", ["1"])
    assert path.is_file()


@pytest.mark.parametrize(
    "dsn", ["postgres://127.0.0.1:1/d", "postgresql://127.0.0.1:1/d", "postgres:host=127.0.0.1 port=1 dbname=d"]
)
def test_both_forms_of_connection_strings(tmp_path: Path, dsn: str) -> None:
    """``postgres:`` is the name of the kind of store; before ``//`` it is also the scheme of a URI."""
    store = open_store(dsn, tmp_path, lambda: 0, KERNEL_TABLES)
    assert isinstance(store.journal, PostgresJournal)
    with refused("store.unreachable", "postgres:127.0.0.1:1/d"):
        store.journal.head("r")


def test_a_database_in_memory_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_store("sqlite::memory:", tmp_path, lambda: 0, KERNEL_TABLES, create=False) as store:
        assert isinstance(store.journal, SqliteJournal)
        assert store.journal.append("r", ["1"]) == store.journal.head("r") == 1
        assert store.artifacts.put(b"x") == artifact_id(b"x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("named", ["default", "sqlite:{folder}/none.db"])
def test_a_store_that_must_be_there(tmp_path: Path, named: str) -> None:
    with refused("store.not_found", str(tmp_path)):
        open_store(named.format(folder=tmp_path), tmp_path, lambda: 0, KERNEL_TABLES, create=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("named", ["", "sqlite", "sqlite:", "mysql:x", "runs.db", "Default", "default:", "postgres"])
def test_no_kind_of_store(tmp_path: Path, named: str) -> None:
    with pytest.raises(UsageError) as raised:
        open_store(named, tmp_path, lambda: 0, KERNEL_TABLES)
    assert (raised.value.code, exit_code(raised.value.code)) == ("cli.invalid_option_value", 2)
    assert f"'{named}'" in raised.value.message
    assert raised.value.fix
