"""A PostgreSQL server of the tests' own: on loopback, in a folder that goes with it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_ACCOUNT = "postgres"  # whom the server runs as where the tests run as root, which it refuses
_TRIES = 3
_START_SECONDS = 60


@contextmanager
def running_server() -> Generator[str]:
    """The connection string of a server that runs until the end; skips the test where none can be had."""
    programs = _programs()
    options = _unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="ergo-postgres-"))
    try:
        if options:
            shutil.chown(folder, _ACCOUNT, _ACCOUNT)
        options |= {"cwd": folder, "stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
        _initialise(programs, folder, options)
        process, dsn = _start(programs, folder, options)
        try:
            yield dsn
        finally:
            process.send_signal(signal.SIGQUIT)
            process.wait(_START_SECONDS)
    finally:
        shutil.rmtree(folder)


def _programs() -> Path:
    pytest.importorskip("psycopg", reason="psycopg is not installed (extra 'postgres')")
    places = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    found = shutil.which("initdb")
    places += [Path(found).resolve().parent] if found else []
    for place in places:
        if (place / "initdb").exists() and (place / "postgres").exists():
            return place
    pytest.skip("PostgreSQL's programs are not installed")


def _unprivileged() -> dict[str, Any]:
    """How to start a process that is not root's: nothing to do where the tests are not."""
    if os.geteuid() != 0:
        return {}
    import pwd

    try:
        account = pwd.getpwnam(_ACCOUNT)
    except KeyError:
        pytest.skip(f"PostgreSQL does not run as root, and there is no account '{_ACCOUNT}'")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _initialise(programs: Path, folder: Path, options: dict[str, Any]) -> None:
    command = [programs / "initdb", "-D", "data", "-U", "ergo", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    done = subprocess.run(command, **options, stdout=subprocess.PIPE, timeout=_START_SECONDS)
    assert done.returncode == 0, done.stdout.decode()


def _start(programs: Path, folder: Path, options: dict[str, Any]) -> tuple[subprocess.Popen[bytes], str]:
    for _ in range(_TRIES):  # somebody else may take the port that was free
        port = _free_port()
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": "40",
            "shared_buffers": "16MB",
        }
        command = [str(programs / "postgres"), "-D", "data"]
        command += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, **options, stdout=log)
        dsn = f"postgresql://ergo@127.0.0.1:{port}"
        if _answers(process, dsn):
            return process, dsn
    raise AssertionError((folder / "log").read_text())


def _answers(process: subprocess.Popen[bytes], dsn: str) -> bool:
    import psycopg

    give_up = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < give_up:
        try:
            psycopg.connect(f"{dsn}/postgres").close()
            return True
        except psycopg.OperationalError:
            time.sleep(0.05)
    process.kill()
    process.wait()
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
