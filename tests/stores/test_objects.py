"""What can be wrong with artifacts in an object store."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from s3_server import Bucket, running_s3_server

from ergo_cli.errors import StoreError, UsageError, exit_code
from ergo_cli.programs.kernel.tables import KERNEL_TABLES
from ergo_cli.stores.backends import open_store
from ergo_cli.stores.objects import ObjectArtifacts
from ergo_cli.testing.stores import refused

pytest.importorskip("obstore", reason="obstore is not installed (extra 'cloud')")

DATA = b'{"amount":5}'
ID = sha256(DATA).hexdigest()
SECRETS = ("AKIDOFTESTS", "hunter2hunter2")


def test_objects_are_named_as_files_are(s3: Bucket) -> None:
    assert ObjectArtifacts(s3.url).put(DATA) == ID
    assert s3.object(ID) == DATA
    assert ObjectArtifacts(s3.url + "/").get(ID) == DATA


def test_a_bucket_may_be_used_without_a_prefix(s3: Bucket) -> None:
    ObjectArtifacts(f"s3://{s3.name}/of/runs").put(DATA)
    whole = ObjectArtifacts(f"s3://{s3.name}")
    assert not whole.exists(ID)
    assert whole.put(DATA) == ID
    assert whole.get(ID) == DATA


def test_damage_is_found_in_both_directions(s3: Bucket) -> None:
    artifacts = ObjectArtifacts(s3.url)
    artifacts.put(DATA)
    s3.object(ID, DATA[:-1])
    with refused("store.corrupt", ID, f"{s3.url}/{ID[:2]}/{ID}"):
        artifacts.get(ID)
    with refused("store.corrupt", ID):
        artifacts.put(DATA)
    assert s3.object(ID) == DATA[:-1]


def test_writers_of_the_same_bytes_do_not_disturb_each_other(s3: Bucket) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: ObjectArtifacts(s3.url).put(DATA * 1000), range(32)))
    assert set(ids) == {sha256(DATA * 1000).hexdigest()}
    assert ObjectArtifacts(s3.url).get(ids[0]) == DATA * 1000


def test_ids_lead_nowhere_else(s3: Bucket) -> None:
    ObjectArtifacts(s3.url).put(DATA)
    assert not ObjectArtifacts(f"{s3.url}/deeper").exists(f"../{ID}")
    with refused("store.not_found"):
        ObjectArtifacts(f"{s3.url}/deeper").get(f"../../{ID[:2]}/{ID}")


def check_harmless(error: StoreError, address: str = "http://") -> None:
    """Credentials and addresses of requests are no part of an error."""
    shown = f"{error.message} {error.where} {error.fix} {error.__cause__!r}"
    assert not [secret for secret in (*SECRETS, address, "<?xml") if secret in shown]


def test_a_bucket_that_is_not_there(s3: Bucket) -> None:
    absent = ObjectArtifacts("s3://absent/of/runs")
    assert not absent.exists(ID)
    with refused("store.unreachable", "s3://absent/of/runs") as caught:
        absent.put(DATA)
    check_harmless(caught.error)
    with refused("store.not_found", ID):
        absent.get(ID)


def test_a_server_that_is_not_there(s3: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    artifacts = ObjectArtifacts(s3.url)
    for use in (lambda: artifacts.put(DATA), lambda: artifacts.get(ID), lambda: artifacts.exists(ID)):
        with refused("store.unreachable", s3.url) as caught:
            use()
        assert exit_code(caught.error.code) == 6
        check_harmless(caught.error)


class _Repeats(BaseHTTPRequestHandler):
    """A server that refuses, and repeats in its answer the key that it was asked with."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        words = "<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>AKIDOFTESTS</AWSAccessKeyId></Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(words)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(words.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_server_that_refuses(s3: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Repeats)
    serving = Thread(target=server.serve_forever)
    serving.start()
    try:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        with refused("store.unreachable", "403 Forbidden, SignatureDoesNotMatch", s3.url) as caught:
            ObjectArtifacts(s3.url).get(ID)
        check_harmless(caught.error)
        assert "credentials" in (caught.error.fix or "")
        with refused("store.unreachable", "403 Forbidden"):
            ObjectArtifacts(s3.url).put(DATA)
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def test_credentials_are_checked_by_a_server_that_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto knows no key of these: it refuses all of them."""
    with running_s3_server(INITIAL_NO_AUTH_ACTION_COUNT="0") as address:
        for name, value in Bucket(address, "bucket").environment.items():
            monkeypatch.setenv(name, value)
        with refused("store.unreachable", "403 Forbidden") as caught:
            ObjectArtifacts("s3://bucket").put(DATA)
        check_harmless(caught.error)


def test_a_setting_of_the_environment_that_is_none(s3: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ALLOW_HTTP", "hunter2hunter2")
    with refused("store.unreachable", s3.url) as caught:
        ObjectArtifacts(s3.url).exists(ID)
    check_harmless(caught.error)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "bucket",
        "s3://",
        "s3:bucket",
        "s3:///prefix",
        "S3://bucket",
        "s3://key:hunter2hunter2@bucket",
        "s3://bucket?versionId=1",
        "s3://bucket/a#b",
        "s3://bucket/a b",
        "file:///tmp",
        "memory:///",
        "http://host/bucket",
    ],
)
def test_a_text_that_names_no_place(url: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        open_store("sqlite:runs.db", tmp_path, lambda: 0, KERNEL_TABLES, artifacts=url)
    assert caught.value.code == "cli.invalid_option_value"
    assert "s3://bucket/prefix" in (caught.value.fix or "")
    assert "hunter2" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_without_the_client(tmp_path: Path) -> None:
    """The extra is only missed where it is used, and named."""
    program = (
        "import sys; sys.modules['obstore'] = None\n"
        "from pathlib import Path\n"
        "from ergo_cli.errors import StoreError\n"
        "from ergo_cli.programs.kernel.tables import KERNEL_TABLES\n"
        "from ergo_cli.stores.backends import open_store\n"
        "open_store('sqlite::memory:', Path(), lambda: 0, KERNEL_TABLES).artifacts.put(b'x')\n"
        "try: open_store('sqlite::memory:', Path(), lambda: 0, KERNEL_TABLES, artifacts='s3://b')\n"
        "except StoreError as error: print(error.code, error.fix)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert (done.stdout, done.stderr) == ("store.unreachable pip install 'ergo-replay[cloud]'\n", "")


def test_the_client_is_imported_only_where_it_is_used(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from ergo_cli.programs.kernel.tables import KERNEL_TABLES\n"
        "from ergo_cli.stores.backends import open_store\n"
        "open_store('sqlite::memory:', Path(), lambda: 0, KERNEL_TABLES).artifacts.put(b'x')\n"
        "print('obstore' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert (done.stdout, done.stderr) == ("False\n", "")
