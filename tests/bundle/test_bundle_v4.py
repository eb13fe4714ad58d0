"""The framing of v4: order of members, payload texts, digest (spec 00 §5, §12.6, §13.4)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from ergo_cli.bundle.decoding import decode_event
from ergo_cli.bundle.encoding import encode_event
from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.bundle.reader import open_bundle
from ergo_cli.bundle.schema import ProgramRecord, TextDigest, Version
from ergo_cli.bundle.writer import BundleWriter
from ergo_cli.core.documents import ProgramSource
from ergo_cli.errors import BundleError, CaptureWriteError, ProgramError, exit_code
from ergo_cli.testing.bundles import bundle_of, completed, event_record, rewrite_bundle

VECTOR = Path(__file__).parents[1] / "conformance" / "data" / "spec11" / "v4.json"
DIGEST = "sha256:0bf509cab4a6f93270538cbd359308146c2290f5841185941b67c2191213d9bb"


def reopen(folder: Path, text: bytes) -> CaptureBundle:
    path = folder / "b.json"
    path.write_bytes(text)
    return open_bundle(str(path)).load()


def refusal(folder: Path, text: bytes) -> str:
    with pytest.raises(BundleError) as caught:
        reopen(folder, text)
    return caught.value.code


def redigested(text: bytes) -> bytes:
    """The text with the digest that belongs to it."""
    covered = text[: text.index(b',"digest"')]
    return covered + b',"digest":"sha256:' + hashlib.sha256(covered).hexdigest().encode() + b'"}\n'


def test_the_vector_is_rewritten_to_the_byte(tmp_path: Path) -> None:
    original = VECTOR.read_bytes()
    assert len(original) == 2169
    assert hashlib.sha256(original).hexdigest() == "53f1e04c46a12f311991dc8ae4578d393eab4034a347e1a1c52ce89f5f662edf"
    rewrite_bundle(str(VECTOR), str(tmp_path / "again.json"))
    assert (tmp_path / "again.json").read_bytes() == original
    assert open_bundle(str(VECTOR)).load().encode() == original


def test_what_the_vector_holds() -> None:
    reader = open_bundle(str(VECTOR))
    bundle = reader.load()
    assert bundle.capture_version == "v4"
    assert bundle.events[0].payload == b'{"amount":5}'
    assert bundle.events[0].payload_hash == hashlib.sha256(b'{"amount":5}').hexdigest()
    assert bundle.program == ProgramRecord("kernel", "agent.program:program")
    assert [json.loads(text)["run_id"] for text in bundle.journals] == ["approve/e1"]
    assert bundle.artifacts == {bundle.events[0].payload_hash: b'{"json":{"amount":5}}'}


def test_the_digest_is_the_same_in_both_styles(tmp_path: Path) -> None:
    rewrite_bundle(str(VECTOR), str(tmp_path / "pretty.json"), pretty=True)
    pretty = (tmp_path / "pretty.json").read_bytes()
    assert pretty.endswith(b'  },\n  "digest": "' + DIGEST.encode() + b'"\n}\n')
    assert reopen(tmp_path, pretty).encode() == VECTOR.read_bytes()


def test_members_come_in_order_and_empty_ones_are_written() -> None:
    sources = (ProgramSource.of("graph.yaml", "kind: cluster\n"),)
    bundle = bundle_of([event_record("e", b"")], [completed("e")])
    text = CaptureBundle(
        bundle.header, bundle.events, bundle.decisions, "epv1:x", ProgramRecord("graph", "g@1.0.0", sources)
    ).encode()
    assert list(json.loads(text)) == [
        "capture_version",
        "graph_id",
        "config",
        "events",
        "decisions",
        "adapter_provenance",
        "runtime_provenance",
        "egress_provenance",
        "program",
        "journals",
        "artifacts",
        "digest",
    ]
    assert b'"payload":""' in text
    assert b'"program":{"kind":"graph","ref":"g@1.0.0","sources":[{"path":"graph.yaml","sha256":"' in text
    assert b'"journals":[],"artifacts":{},"digest":"sha256:' in text


def test_a_payload_is_its_text_in_v4() -> None:
    record = event_record("e", '{"é":"\\n\u2028"}'.encode())
    text = encode_event(record, Version.V4)
    assert '"payload":"{\\"é\\":\\"\\\\n\u2028\\"}"'.encode() in text
    assert decode_event(text, Version.V4) == record
    with pytest.raises(BundleError):
        decode_event(text, Version.V3)
    with pytest.raises(BundleError):
        decode_event(encode_event(record, Version.V3), Version.V4)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"Completed","retry', b'"Aborted","retry'),
        (b'"payload":"{\\"amount\\":5', b'"payload":"{\\"amount\\":6'),
        (b'"score":0.5', b'"score":0.50'),
        (b'"graph_id":"approve"', b'"graph_id":"approve "'),
        (b'"kind":"Command"', b'"kind":"Commander"'),
        (b'"artifacts":{', b'"artifacts":{"x":1,'),
        (b'"runtime_provenance":"kpv1:', b'"runtime_provenance":"rpv1:'),
        (DIGEST.encode(), b"sha256:" + b"0" * 64),
        (b',"digest"', b',"egress_provenance":"x","digest"'),
        (b"sha256:0bf5", b"sha256:\\u0030bf5"),
    ],
)
def test_an_edited_bundle_is_refused_before_anything_else(tmp_path: Path, old: bytes, new: bytes) -> None:
    text = VECTOR.read_bytes()
    assert text.count(old) == 1
    assert refusal(tmp_path, text.replace(old, new)) == "bundle.digest_mismatch"


def test_a_bundle_without_its_last_event_is_refused(tmp_path: Path) -> None:
    document = json.loads(VECTOR.read_bytes())
    document["events"].pop()
    assert refusal(tmp_path, json.dumps(document, separators=(",", ":")).encode()) == "bundle.digest_mismatch"


def test_white_space_outside_strings_is_no_edit(tmp_path: Path) -> None:
    document = json.loads(VECTOR.read_bytes())
    for text in (json.dumps(document, indent="\t").replace("\n", "\r\n\r\n"), json.dumps(document)):
        assert reopen(tmp_path, text.encode()).encode() == VECTOR.read_bytes()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b',"program":{"kind":"kernel","ref":"agent.program:program"}', b"", "missing field `program`"),
        (b',"journals"', b',"diaries":[],"journals"', "unknown field `diaries`"),
        (b'"retry_count":0', b'"retry_count":0,"note":1', "unknown field `note`"),
        (b'"max_retries":0', b'"max_retries":0,"note":1', "unknown field `note`"),
        (b'"kind":"Command"', b'"kind":"Command","note":1', "unknown field `note`"),
        (b'"kind":"tool_call","writes"', b'"kind":"tool_call","note":1,"writes"', "unknown field `note`"),
        (b'{"kind":"kernel"', b'{"note":1,"kind":"kernel"', "unknown field `note`"),
        (b'"payload":"{\\"amount\\":5}"', b'"payload":[1]', "expected `str`, got `array`"),
        (b'"graph_id":"approve",', b"", "missing field `graph_id`"),
    ],
)
def test_v4_is_closed_everywhere(tmp_path: Path, old: bytes, new: bytes, message: str) -> None:
    text = VECTOR.read_bytes()
    assert old in text
    with pytest.raises(BundleError) as caught:
        reopen(tmp_path, redigested(text.replace(old, new, 1)))
    assert caught.value.code == "bundle.parse_failed"
    assert message in caught.value.message


@pytest.mark.parametrize("kind", ["kennel", "", "Kernel"])
def test_a_kind_that_nothing_knows_is_refused(tmp_path: Path, kind: str) -> None:
    text = VECTOR.read_bytes()
    with pytest.raises(ProgramError) as caught:
        reopen(tmp_path, redigested(text.replace(b'{"kind":"kernel"', b'{"kind":"%b"' % kind.encode(), 1)))
    assert (caught.value.code, exit_code(caught.value.code)) == ("program.unknown_kind", 3)
    assert f"'{kind}'" in caught.value.message
    assert caught.value.where == f"{tmp_path / 'b.json'} program.kind"


def test_reordered_members_are_refused_even_with_their_own_digest(tmp_path: Path) -> None:
    document = json.loads(VECTOR.read_bytes())
    reordered = {"capture_version": "v4", "config": document["config"], **document}
    text = redigested(json.dumps(reordered, separators=(",", ":")).encode())
    with pytest.raises(BundleError, match="field `config` stands where `graph_id` belongs"):
        reopen(tmp_path, text)


def test_the_version_must_come_first(tmp_path: Path) -> None:
    document = json.loads(VECTOR.read_bytes())
    text = json.dumps({"graph_id": document["graph_id"], **document}).encode()
    assert refusal(tmp_path, text) == "bundle.parse_failed"


def test_a_bundle_cut_in_two_is_refused(tmp_path: Path) -> None:
    text = VECTOR.read_bytes()
    assert {refusal(tmp_path, text[:size]) for size in (30, 700, 1500, len(text) - 3)} == {"bundle.parse_failed"}


def test_the_digest_of_a_text_does_not_depend_on_how_it_is_cut() -> None:
    text = rb'{ "a b" : [ 1 , "q\"u o\\" , "\\\\" ] , "c" : "\\\" x" }'
    wanted = "sha256:" + hashlib.sha256(rb'{"a b":[1,"q\"u o\\","\\\\"],"c":"\\\" x"}').hexdigest()
    for size in range(1, len(text) + 1):
        digest = TextDigest()
        for start in range(0, len(text), size):
            digest.update(text[start : start + size])
        assert digest.text() == wanted


def test_a_payload_that_is_no_text_cannot_be_written(tmp_path: Path) -> None:
    program = ProgramRecord("graph", "g@1")
    with (
        BundleWriter(str(tmp_path / "b.json"), bundle_of([], []).header, program=program) as writer,
        pytest.raises(CaptureWriteError) as caught,
    ):
        writer.event(event_record("e", b"\xff"))
    assert caught.value.stage == "Serialize"
    assert list(tmp_path.iterdir()) == []
