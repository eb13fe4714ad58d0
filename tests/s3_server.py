"""An S3 server of the tests' own: on loopback, in a process that goes with it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

_START_SECONDS = 60


@contextmanager
def running_s3_server(**environment: str) -> Generator[str]:
    """The address of a server that runs until the end; skips the test where moto is not installed."""
    pytest.importorskip("obstore", reason="obstore is not installed (extra 'cloud')")
    program = Path(sys.executable).with_name("moto_server")
    if not program.exists():
        pytest.skip("moto's server is not installed")
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [program, "-H", "127.0.0.1", "-p", "0"],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield _address(process, log.fileno())
        finally:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: int) -> str:
    """Where the server listens, as it says itself."""
    give_up = time.monotonic() + _START_SECONDS
    said = ""
    while process.poll() is None and time.monotonic() < give_up:
        said = os.pread(log, 4096, 0).decode()
        found = [word for word in said.split() if word.startswith("http://127.0.0.1:")]
        if found and _answers(found[0]):
            return found[0]
        time.sleep(0.05)
    raise AssertionError(said)


def _answers(address: str) -> bool:
    try:
        urlopen(address, timeout=_START_SECONDS).close()
    except HTTPError as error:
        error.close()  # an answer all the same
    except URLError:
        return False
    return True


class Bucket(NamedTuple):
    """A bucket, and what a process must know to use it."""

    address: str
    name: str

    @property
    def url(self) -> str:
        """Where artifacts are kept in it."""
        return f"s3://{self.name}/of/runs"

    @property
    def environment(self) -> dict[str, str]:
        """Endpoint and credentials, as clients of S3 read them."""
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIDOFTESTS",
            "AWS_SECRET_ACCESS_KEY": "hunter2hunter2",
        }

    def object(self, artifact: str, data: bytes | None = None) -> bytes:
        """The bytes of an artifact as the server keeps them, past ergo; with ``data`` they are replaced."""
        import obstore
        from obstore.store import from_url

        store, name = from_url(f"s3://{self.name}"), f"of/runs/{artifact[:2]}/{artifact}"
        if data is not None:
            obstore.put(store, name, data)
        return bytes(obstore.get(store, name).bytes())


def make_bucket(address: str, name: str) -> Bucket:
    """Make an empty bucket."""
    urlopen(Request(f"{address}/{name}", method="PUT"), timeout=_START_SECONDS).close()
    return Bucket(address, name)
