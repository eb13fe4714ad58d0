"""Spec 30, checklist lines of the egress configuration: C-67 to C-70."""

from __future__ import annotations

from pathlib import Path

import pytest

from ergo_cli.channels.egress_config import ConfigForm, EgressConfig, Route, load_egress_config, parse_egress_config
from ergo_cli.errors import EgressError

MS = 1_000_000
SECOND = 1000 * MS
EXAMPLE = """
default_ack_timeout = "5s"          # required

[channels.broker]                   # required table "channels" (may be empty)
type = "process"                    # the only type
command = ["python3", "broker.py"]  # argv, required, non-empty

[routes.place_order]                # required table "routes" (may be empty); key = intent kind
channel = "broker"                  # required, must exist in channels
ack_timeout = "10s"                 # optional, overrides the default

[routes.cancel_order]
channel = "broker"
"""
CANONICAL = (
    '{"default_ack_timeout":"5s","channels":{"broker":{"type":"process","command":["python3","broker.py"]}},'
    '"routes":{"cancel_order":{"channel":"broker","ack_timeout":null},'
    '"place_order":{"channel":"broker","ack_timeout":"10s"}}}'
)


def parse(text: str) -> EgressConfig:
    return parse_egress_config(text, "egress.toml", ConfigForm.TOML)[0]


def refused(text: str) -> str:
    with pytest.raises(EgressError) as caught:
        parse(text)
    assert caught.value.code == "cli.egress_config_parse_failed"
    return caught.value.message


def test_c30_67_the_example_and_its_canonical_text() -> None:
    config = parse(EXAMPLE)
    assert config.default_ack_timeout == 5 * SECOND
    assert config.channels == {"broker": ("python3", "broker.py")}
    assert config.routes == {"place_order": Route("broker", 10 * SECOND), "cancel_order": Route("broker", None)}
    assert config.canonical().decode() == CANONICAL


@pytest.mark.parametrize(("literal", "normal"), [("1m", "60s"), ("2h", "7200s"), ("1500ms", "1500ms")])
def test_c30_68_durations_are_normalised(literal: str, normal: str) -> None:
    config = parse(EXAMPLE.replace('"10s"', f'"{literal}"'))
    assert f'"ack_timeout":"{normal}"' in config.canonical().decode()


@pytest.mark.parametrize("literal", ["5d", "xs"])
def test_c30_68_other_durations_are_refused_by_name(literal: str) -> None:
    assert f"'{literal}'" in refused(EXAMPLE.replace('"10s"', f'"{literal}"'))


def test_c30_69_the_provenance_vectors() -> None:
    build = EgressConfig.builder
    outbox = ["python3", "channels/egress/sample_outbox.py"]
    vectors = {
        "8f2d35f5153bc1e0f3e2e0309762c599bd22d14dfa7837f6b96a44934ec79d6e": parse(EXAMPLE),
        "3645763e2ad57a1dd485126048d024aaccc626233653d2eb1670567da4d16350": build(5 * SECOND)
        .channel("box", ["python3", "box.py"])
        .route("publish", "box", 2 * SECOND)
        .build(),
        "28589e6c483db49114761ab8933ed8be2798c875fe3402c53dff8003e3fa7b11": build(5 * SECOND)
        .channel("sample_outbox", outbox)
        .route("publish_sample", "sample_outbox", 5 * SECOND)
        .build(),
        "14578c36793488dc06023c6f60b25792d4e34b691c49b094bff529f99d957a50": parse(
            'default_ack_timeout = "1m"\n[channels]\n[routes]\n'
        ),
        "91679de45efdc81559d80464a3821cf2e962a1f9d533b00a3995ef89f2d48110": build(1500 * MS)
        .channel("a", ["./x", 'é "q"'])
        .channel("B", ["y"])
        .route("k", "a", 90 * SECOND)
        .route("j", "B", 0)
        .build(),
    }
    assert {config.provenance for config in vectors.values()} == {f"epv1:sha256:{digest}" for digest in vectors}
    for digest, config in vectors.items():
        assert config.provenance == f"epv1:sha256:{digest}"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"5s"', '"6s"'),
        ('ack_timeout = "10s"', 'ack_timeout = "11s"'),
        ("[routes.cancel_order]", "[routes.amend_order]"),
        ('"broker.py"', '"broker.py", "-v"'),
    ],
)
def test_c30_69_provenance_tells_timeouts_routes_and_commands_apart(old: str, new: str) -> None:
    assert parse(EXAMPLE.replace(old, new)).provenance != parse(EXAMPLE).provenance


def test_c30_69_provenance_knows_nothing_of_the_file(tmp_path: Path) -> None:
    toml, other = tmp_path / "a.toml", tmp_path / "b.json"
    toml.write_text(EXAMPLE)
    other.write_text(CANONICAL)
    assert load_egress_config(toml)[0].provenance == load_egress_config(other)[0].provenance


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('default_ack_timeout = "5s"\n[routes]\n', ["'channels' is missing"]),
        ('default_ack_timeout = "5s"\n[channels]\n', ["'routes' is missing"]),
        ("[channels]\n[routes]\n", ["'default_ack_timeout' is missing"]),
        (EXAMPLE.replace('"process"', '"socket"'), ["socket"]),
        (EXAMPLE.replace('["python3", "broker.py"]', "[]"), ["empty process command", "'broker'"]),
        (EXAMPLE.replace('"python3"', '" \\t"'), ["blank process executable", "'broker'"]),
        (EXAMPLE + '[routes.publish]\nchannel = "bus"\n', ["unknown channel 'bus'", "'publish'"]),
    ],
)
def test_c30_70_broken_configurations_are_refused(text: str, words: list[str]) -> None:
    message = refused(text)
    for word in words:
        assert word in message


def test_c30_70_the_builder_refuses_repeated_names() -> None:
    builder = EgressConfig.builder(SECOND).channel("box", ["x"]).route("publish", "box")
    with pytest.raises(EgressError, match=r"channels\.box"):
        builder.channel("box", ["y"])
    with pytest.raises(EgressError, match=r"routes\.publish"):
        builder.route("publish", "box")
