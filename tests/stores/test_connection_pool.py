"""Connections that threads share: lent one to a thread, kept open, closed together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from ergo_cli.stores.connection_pool import ConnectionPool, PoolExhausted


class Connection:
    def __init__(self) -> None:
        self.is_open = True

    def close(self) -> None:
        assert self.is_open, "closed twice"
        self.is_open = False


class Server:
    """Opens connections, unless it is down."""

    def __init__(self, size: int = 2, patience_s: float = 0.05) -> None:
        self.opened: list[Connection] = []
        self.is_down = False
        self.pool = ConnectionPool(self._open, size, patience_s)

    def _open(self) -> Connection:
        if self.is_down:
            raise OSError("down")
        self.opened.append(Connection())
        return self.opened[-1]


def test_one_connection_serves_one_use_after_the_other_in_any_thread() -> None:
    server = Server()
    for _ in range(3):
        with server.pool.lent() as connection:
            assert connection.is_open
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(_use, server).result() is server.opened[0]
    assert len(server.opened) == 1


def test_a_thread_that_holds_one_gets_it_again() -> None:
    server = Server(size=1)
    with server.pool.lent() as outer, server.pool.lent() as inner:
        assert outer is inner


def test_a_thread_waits_for_one_and_then_gives_up() -> None:
    server = Server(size=1)
    with ThreadPoolExecutor(1) as threads, server.pool.lent(), pytest.raises(PoolExhausted):
        threads.submit(_use, server).result()
    _use(server)


def test_a_thread_that_waits_gets_the_one_that_is_given_back() -> None:
    server, waits = Server(size=1, patience_s=60), Event()

    def use() -> Connection:
        waits.set()
        return _use(server)

    with ThreadPoolExecutor(1) as threads:
        with server.pool.lent() as connection:
            later = threads.submit(use)
            assert waits.wait(60)
        assert later.result() is connection


def test_closing_closes_what_is_idle_now_and_what_is_lent_when_it_comes_back() -> None:
    server = Server()
    with server.pool.lent() as lent:
        with ThreadPoolExecutor(1) as threads:
            idle = threads.submit(_use, server).result()
        server.pool.close()
        assert (idle.is_open, lent.is_open) == (False, True)
    assert not lent.is_open
    assert _use(server).is_open


def test_a_connection_that_cannot_be_opened_takes_no_place() -> None:
    server = Server(size=1)
    server.is_down = True
    for _ in range(3):
        with pytest.raises(OSError, match="down"):
            _use(server)
    server.is_down = False
    assert _use(server).is_open


def test_an_error_in_a_block_gives_the_connection_back() -> None:
    server = Server(size=1)
    with pytest.raises(ZeroDivisionError), server.pool.lent():
        _ = 1 / 0
    assert _use(server) is server.opened[0]


def _use(server: Server) -> Connection:
    with server.pool.lent() as connection:
        return connection
