"""Bundles, events and reports at URLs: real processes against an S3 server on loopback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from s3_server import Bucket

from tests.cli.refusals import files, refused
from tests.conftest import Ergo, Ran

pytest.importorskip("obstore", reason="obstore is not installed (extra 'cloud')")

FIXTURE = Path(__file__).parents[2] / "fixtures" / "order_threshold"


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FIXTURE, tmp_path / "desk"))


@pytest.fixture
def at(ergo: Ergo, desk: Path, s3: Bucket) -> Any:
    """Runs a command in the project, with the credentials of the bucket."""

    def run(*arguments: str, **environment: str) -> Ran:
        return ergo(*arguments, cwd=desk, **{**s3.environment, **environment})

    return run


def names(s3: Bucket) -> list[str]:
    """All objects of the bucket, past ergo."""
    import obstore
    from obstore.store import from_url

    return sorted(meta["path"] for page in obstore.list(from_url(f"s3://{s3.name}")) for meta in page)


def content(s3: Bucket, name: str, data: bytes | None = None) -> bytes:
    import obstore
    from obstore.store import from_url

    store = from_url(f"s3://{s3.name}")
    if data is not None:
        obstore.put(store, name, data)
    return bytes(obstore.get(store, name).bytes())


def test_a_bundle_is_captured_to_a_url_and_replayed_from_there(at: Any, desk: Path, s3: Bucket) -> None:
    url = f"s3://{s3.name}/day/monday.json"
    assert at("capture", "-o", url).stdout == f"done  8 events, 8 invoked\n  bundle  {url}\n"
    assert content(s3, "day/monday.json") == (desk / "captures" / "monday.json").read_bytes()
    assert at("replay", url, "--strict").stdout == f"match  {url}  8 events, 8 invoked\n"
    for words in (("inspect",), ("validate",), ("explain", "--event", "q-0910"), ("export",)):
        assert at(words[0], url, *words[1:]).exit_code == 0, words
    assert at("diff", url, "captures/monday.json").stdout.startswith("match  ")


def test_events_and_reports_are_at_urls_too(at: Any, desk: Path, s3: Bucket) -> None:
    content(s3, "in/monday.jsonl", (desk / "events" / "monday.jsonl").read_bytes())
    base = f"s3://{s3.name}"
    assert at("capture", f"{base}/in/monday.jsonl", "-o", "b.json", "-p", "default").exit_code == 0
    assert (desk / "b.json").read_bytes() == (desk / "captures" / "monday.json").read_bytes()
    ran = at("replay", "b.json", "--report", f"junit={base}/out/junit.xml", "--report", f"html={base}/out/page.html")
    assert ran.exit_code == 0, ran
    assert b'tests="1" failures="0"' in content(s3, "out/junit.xml")
    assert at("export", "b.json", "-o", f"{base}/rows.csv").exit_code == 0
    assert names(s3) == ["in/monday.jsonl", "out/junit.xml", "out/page.html", "rows.csv"]


def test_folders_and_patterns_are_prefixes(at: Any, desk: Path, s3: Bucket) -> None:
    bundle = (desk / "captures" / "monday.json").read_bytes()
    for name in ("day/a.json", "day/deep/b.json", "day/notes.txt", "day/.hidden/c.json", "daylight/d.json"):
        content(s3, name, bundle)
    base = f"s3://{s3.name}"

    def replayed(*arguments: str) -> list[str]:
        ran = at("replay", *arguments, "--format", "json")
        assert ran.exit_code == 0, ran
        return [each["path"].removeprefix(base) for each in ran.report["bundles"]]

    assert replayed(f"{base}/day") == replayed(f"{base}/day/") == ["/day/a.json", "/day/deep/b.json"]
    assert replayed(f"{base}/day/*.json") == ["/day/a.json"]
    assert replayed(f"{base}/**/b.json") == ["/day/deep/b.json"]
    assert replayed(f"{base}/day/**/*.json", "--jobs", "2") == ["/day/a.json", "/day/deep/b.json"]
    nothing = at("replay", f"{base}/night/")
    assert nothing.exit_code == 5


def test_a_bundle_that_differs_says_so_with_its_url(at: Any, desk: Path, s3: Bucket) -> None:
    url = f"s3://{s3.name}/b.json.gz"
    assert at("capture", "-o", url).exit_code == 0
    graph = desk / "graphs" / "order_threshold.yaml"
    graph.write_text(graph.read_text().replace("105.0", "104.0"))
    ran = at("replay", url)
    assert ran.exit_code == 1
    assert f"closer     ergo why {url} q-0910" in ran.stdout
    assert at("why", url, "q-0910").exit_code == 0


@pytest.mark.parametrize("arguments", [("replay", "{}"), ("capture", "-o", "{}"), ("capture", "{}", "-o", "b.json")])
@pytest.mark.parametrize(
    "url", ["s3://u:hunter2@b/x.json", "s3://b/x.json?X-Amz-Signature=hunter2", "s3://b/x#hunter2"]
)
def test_a_url_with_a_credential_is_refused_and_not_shown(at: Any, arguments: tuple[str, ...], url: str) -> None:
    ran = at(*(each.format(url) for each in arguments), "-v", "--format", "json")
    refused(ran, 2, "cli.invalid_option_value")
    assert "hunter2" not in ran.stdout + ran.stderr


def test_what_is_not_there_is_named(at: Any, desk: Path, s3: Bucket) -> None:
    before = files(desk)
    ran = at("replay", f"s3://{s3.name}/none.json", "--format", "json")
    assert (ran.exit_code, "there is no such object" in ran.report["bundles"][0]["error"]["message"]) == (3, True)
    ran = at("capture", "-o", "s3://no-such-bucket/x.json", "--format", "json")
    refused(ran, 6, "capture.write_failed")
    assert "NoSuchBucket" in ran.report["error"]["message"]
    ran = at("capture", f"s3://{s3.name}/none.jsonl", "-o", "b.json", "--format", "json")
    refused(ran, 3, "driver.input_invalid")
    assert (files(desk), names(s3)) == (before, [])


def test_nobody_answers(at: Any, desk: Path) -> None:
    ran = at("replay", "s3://bucket/x.json", "--format", "json", AWS_ENDPOINT_URL="http://127.0.0.1:1")
    error = ran.report["bundles"][0]["error"]
    assert (ran.exit_code, "check that the object store can be reached" in error["fix"]) == (3, True)
    assert "hunter2" not in ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code"),
    [
        (("accept", "{}/b.json", "--all"), 2, "cli.invalid_option_value"),
        (("capture", "-o", "b.json", "--journal", "{}/j"), 2, "cli.conflicting_options"),
        (("recover", "{}/j", "-o", "b.json"), 2, "cli.conflicting_options"),
        (("capture", "-o", "https://example.org/b.json"), 6, "capture.write_failed"),
        (("capture", "-o", "{}/"), 6, "capture.write_failed"),
    ],
)
def test_what_no_url_can_be(
    at: Any, desk: Path, s3: Bucket, arguments: tuple[str, ...], exit_code: int, code: str
) -> None:
    before = files(desk)
    ran = at(*(each.format(f"s3://{s3.name}") for each in arguments), "--format", "json")
    refused(ran, exit_code, code)
    assert (files(desk), names(s3)) == (before, [])


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/x.json", "S3://b/x.json", "ftp://h/x", "s3://b/a//x.json", "s3://b/../x"]
)
def test_a_url_that_would_be_taken_for_something_else_is_refused(at: Any, desk: Path, url: str) -> None:
    before = files(desk)
    writing = () if "a//x" in url else (("capture", "-o", url),)  # of an output, several slashes are one
    for arguments in (*writing, ("replay", url), ("capture", url, "-o", "b.json")):
        refused(at(*arguments, "--format", "json"), 2, "cli.invalid_option_value")
    assert files(desk) == before


def test_an_object_with_a_strange_name_is_refused_alone(at: Any, desk: Path, s3: Bucket) -> None:
    bundle = (desk / "captures" / "monday.json").read_bytes()
    for name in ("f/x y.json", "f/grün.json", "f/q?.json"):
        content(s3, name, bundle)
    ran = at("replay", f"s3://{s3.name}/f/", "--format", "json")
    found = {each["path"].rpartition("/")[2]: each["outcome"] for each in ran.report["bundles"]}
    assert (ran.exit_code, found) == (3, {"grün.json": "match", "x y.json": "match", "q?.json": "refused"})
    assert at("replay", f"s3://{s3.name}/f/x y.json").exit_code == 0


def test_a_file_url_is_a_file(at: Any, desk: Path) -> None:
    assert at("capture", "-o", f"file://{desk}/a%20b.json").exit_code == 0
    assert (desk / "a b.json").is_file()
    assert at("replay", f"file://{desk}/a%20b.json", "--strict").exit_code == 0


def test_without_the_client_the_remedy_is_named(desk: Path, s3: Bucket) -> None:
    script = "import sys; sys.modules['obstore'] = None; from ergo_cli.cli.app import main; main()"
    command = [sys.executable, "-c", script, "replay", "s3://bucket/b.json"]
    ran = subprocess.run(command, cwd=desk, env={**os.environ, **s3.environment}, capture_output=True, text=True)
    assert (ran.returncode, "pip install 'ergo-replay[cloud]'" in ran.stderr) == (3, True), ran


class Cut(BaseHTTPRequestHandler):
    """Passes requests on to a server until the first upload, in the middle of which it holds still."""

    server: Any
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b'<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self) -> None:
        self.rfile.read(100)
        self.server.begun.set()
        self.server.over.wait(60)
        self.close_connection = True

    def do_POST(self) -> None:
        self.do_PUT()

    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_an_upload_that_is_killed_leaves_nothing_visible(desk: Path, s3: Bucket) -> None:
    """The server has had a part of it when the process is killed, and is never asked for more."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Cut)
    server.begun, server.over = threading.Event(), threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {**os.environ, **s3.environment, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}"}
    ergo = str(Path(sys.executable).with_name("ergo"))
    before = files(desk)
    child = subprocess.Popen([ergo, "capture", "-o", f"s3://{s3.name}/b.json"], cwd=desk, env=environment)
    try:
        assert server.begun.wait(60)
        child.kill()
        assert child.wait(60) < 0
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
    assert (files(desk), names(s3)) == (before, [])


def test_a_report_and_its_json_name_the_url_as_it_was_given(at: Any, s3: Bucket) -> None:
    url = f"s3://{s3.name}/b.json"
    assert at("capture", "-o", url).exit_code == 0
    [bundle] = json.loads(at("replay", url, "--format", "json").stdout)["bundles"]
    assert bundle["path"] == url
