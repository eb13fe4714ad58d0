"""Files in another form than expected: byte order marks and compression are named, or read where they may be."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.refusals import PROJECT, refused
from tests.conftest import Ergo, Ran

GRAPH, ADAPTER, EVENTS = "graphs/order_threshold.yaml", "adapters/order_desk.yaml", "events/monday.jsonl"
RUN = ["run", EVENTS, "-g", GRAPH, "-a", ADAPTER]

WITHOUT_MARK = "save it as UTF-8 without byte order mark"
UTF_8 = "it begins with a byte order mark of UTF-8"

Form = Callable[[bytes], bytes]


def marked(content: bytes) -> bytes:
    return b"\xef\xbb\xbf" + content


def utf_16(content: bytes) -> bytes:
    return content.decode().encode("utf-16")


def utf_16_be(content: bytes) -> bytes:
    return b"\xfe\xff" + content.decode().encode("utf-16-be")


def utf_32(content: bytes) -> bytes:
    return content.decode().encode("utf-32")


def zstandard(content: bytes) -> bytes:
    return b"\x28\xb5\x2f\xfd" + content


FORMS: list[tuple[Form, str, str]] = [
    (utf_16, "it begins with a byte order mark of UTF-16", WITHOUT_MARK),
    (utf_16_be, "it begins with a byte order mark of UTF-16", WITHOUT_MARK),
    (utf_32, "it begins with a byte order mark of UTF-32", WITHOUT_MARK),
    (gzip.compress, "it is compressed with gzip", "decompress it"),
    (zstandard, "it is compressed with Zstandard", "decompress it"),
]
FILES = ["ergo.toml", "egress.toml", "egress.json", GRAPH, ADAPTER, "graph.json", "primitive.yaml"]
MARKED = ["ergo.toml", "egress.toml", "egress.json", "graph.json"]
"""YAML may begin with a mark, JSON and TOML may not."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(PROJECT, folder)
    (folder / "egress.toml").write_text('default_ack_timeout = "5s"\n')
    (folder / "egress.json").write_text('{"default_ack_timeout": "5s"}\n')
    (folder / "graph.json").write_text('{"kind": "cluster"}\n')
    (folder / "primitive.yaml").write_text("kind: compute\n")
    return folder


def used(ergo: Ergo, project: Path, name: str) -> Ran:
    """Use a file as the kind of file it is."""
    if name in ("graph.json", "primitive.yaml"):
        return ergo("validate", name, "--format", "json", cwd=project)
    egress = ["--egress-config", name] if name.startswith("egress") else []
    return ergo(*RUN, *egress, "--format", "json", cwd=project)


def named(ran: Ran, name: str, why: str, fix: str) -> bool:
    """Whether the refusal names the file, its form and the remedy."""
    report = ran.report
    error = report["error"] if "error" in report else report["files"][0]["errors"][0]
    return (
        ran.exit_code == 3
        and name in error["message"]
        and why in error["message"]
        and error["fix"] == fix
        and error["where"].removesuffix(":1:1").endswith(name)
    )


@pytest.mark.parametrize(("form", "why", "fix"), FORMS)
@pytest.mark.parametrize("name", FILES)
def test_an_authored_file_in_another_form(ergo: Ergo, project: Path, name: str, form: Form, why: str, fix: str) -> None:
    (project / name).write_bytes(form((project / name).read_bytes()))
    ran = used(ergo, project, name)
    assert named(ran, name, why, fix), ran.stdout + ran.stderr


@pytest.mark.parametrize("name", MARKED)
def test_a_mark_where_none_may_be(ergo: Ergo, project: Path, name: str) -> None:
    (project / name).write_bytes(marked((project / name).read_bytes()))
    ran = used(ergo, project, name)
    assert named(ran, name, UTF_8, WITHOUT_MARK), ran.stdout + ran.stderr


def test_marks_that_may_be_there(ergo: Ergo, project: Path) -> None:
    """YAML allows a mark, and event files are read without it."""
    for name in (GRAPH, ADAPTER, EVENTS):
        (project / name).write_bytes(marked((project / name).read_bytes()))
    ran = ergo(*RUN, "--format", "json", cwd=project)
    assert (ran.exit_code, ran.report["run"]["events"]) == (0, 8)


@pytest.mark.parametrize("through", ["file", "standard input"])
def test_events_in_another_encoding(ergo: Ergo, project: Path, through: str) -> None:
    events = utf_16((project / EVENTS).read_bytes())
    (project / "wide.jsonl").write_bytes(events)
    source, stdin = ("wide.jsonl", None) if through == "file" else ("-", events)
    ran = ergo("run", source, "-g", GRAPH, "-a", ADAPTER, "--format", "json", cwd=project, stdin=stdin)
    refused(ran, 3, "driver.input_invalid")
    assert "byte order mark of UTF-16" in ran.report["error"]["message"]
    assert ran.report["error"]["fix"] == WITHOUT_MARK


@pytest.mark.parametrize("name", ["prices.csv", "prices.txt", "prices"])
def test_a_compressed_table_under_another_name(ergo: Ergo, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(b"time,close\nnoon,7\n"))
    ran = ergo("fixture", "from-csv", name, "-", "-q")
    assert ran.exit_code == 0, ran.stderr
    assert '"payload":{"close":7.0,"timestamp":"noon","x":7.0}' in ran.stdout


def test_a_table_in_another_encoding(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_bytes(utf_16(b"time,close\nnoon,7\n"))
    ran = ergo("fixture", "from-csv", "prices.csv", "f.jsonl", "--format", "json")
    refused(ran, 3, "fixture.csv_invalid")
    assert "byte order mark of UTF-16" in ran.report["error"]["message"]
    assert not (tmp_path / "f.jsonl").exists()


@pytest.mark.parametrize("form", [marked, utf_16])
def test_a_bundle_with_a_mark(ergo: Ergo, project: Path, form: Form) -> None:
    file = project / "captures" / "monday.json"
    file.write_bytes(form(file.read_bytes()))
    ran = ergo("inspect", file, "--format", "json", cwd=project)
    refused(ran, 3, "bundle.parse_failed")
    assert "save it as UTF-8" in ran.report["error"]["message"]
