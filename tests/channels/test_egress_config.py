from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergo_cli.channels.egress_config import ConfigForm, EgressConfig, Route, load_egress_config, parse_egress_config
from ergo_cli.core.diagnostics import Notice
from ergo_cli.errors import EgressError, exit_code

SECOND = 10**9
BROKER = """
default_ack_timeout = "5s"

[channels.broker]
type = "process"
command = ["python3", "broker.py"]

[routes.place_order]
channel = "broker"
ack_timeout = "10s"

[routes.cancel_order]
channel = "broker"
"""


def parsed(text: str, form: ConfigForm = ConfigForm.TOML) -> EgressConfig:
    return parse_egress_config(text, "egress.toml", form)[0]


def refused(text: str, form: ConfigForm = ConfigForm.TOML) -> EgressError:
    with pytest.raises(EgressError) as caught:
        parsed(text, form)
    assert caught.value.code == "cli.egress_config_parse_failed"
    assert caught.value.fix
    return caught.value


def test_json_says_the_same_as_toml() -> None:
    document = {
        "default_ack_timeout": "5s",
        "channels": {"broker": {"type": "process", "command": ["python3", "broker.py"]}},
        "routes": {
            "cancel_order": {"channel": "broker", "ack_timeout": None},
            "place_order": {"channel": "broker", "ack_timeout": "10s"},
        },
    }
    assert parsed(json.dumps(document), ConfigForm.JSON) == parsed(BROKER)


def test_the_canonical_text_is_a_configuration_itself() -> None:
    config = parsed(BROKER)
    assert parsed(config.canonical().decode(), ConfigForm.JSON) == config


@pytest.mark.parametrize(("name", "text"), [("egress.toml", BROKER), ("egress.json", None), ("egress", BROKER)])
def test_the_suffix_tells_the_form(tmp_path: Path, name: str, text: str | None) -> None:
    file = tmp_path / name
    file.write_text(text or parsed(BROKER).canonical().decode())
    assert load_egress_config(file) == (parsed(BROKER), ())


def test_unknown_keys_are_noticed_with_their_paths() -> None:
    text = 'colour = "red"\n' + BROKER + "ack_timeuot = \"1s\"\n[channels.broker.env]\nA = '1'\n"
    config, notices = parse_egress_config(text, "egress.toml", ConfigForm.TOML)
    assert config == parsed(BROKER)
    assert notices == (
        Notice("unknown key 'channels.broker.env' is ignored", "egress.toml channels.broker.env"),
        Notice(
            "unknown key 'routes.cancel_order.ack_timeuot' is ignored; did you mean 'ack_timeout'?",
            "egress.toml routes.cancel_order.ack_timeuot",
        ),
        Notice("unknown key 'colour' is ignored", "egress.toml colour"),
    )


def test_shape_comes_before_sense_and_every_fault_is_told() -> None:
    text = 'default_ack_timeout = "5d"\n[channels.box]\ntype = "socket"\ncommand = []\n[routes.a]\nchannel = ""\n'
    error = refused(text)
    assert "unsupported duration '5d'" in error.message
    assert [cause.where for cause in error.causes] == [
        "egress.toml channels.box.type",
        "egress.toml routes.a.channel",
    ]


def test_sense_is_judged_in_order() -> None:
    text = """
        default_ack_timeout = "5s"
        [channels.b]
        type = "process"
        command = ["  "]
        [channels.a]
        type = "process"
        command = []
        [channels.""]
        type = "process"
        command = ["x"]
        [routes.""]
        channel = "a"
        [routes.z]
        channel = "nowhere"
    """
    error = refused(text)
    assert "empty process command (channel 'a')" in error.message
    assert [cause.message.partition("': ")[2] for cause in error.causes] == [
        "key 'channels.b.command' has a blank process executable (channel 'b')",
        "key 'channels' holds a channel with an empty id",
        "key 'routes' holds a route with an empty intent kind",
        "key 'routes.z.channel' references unknown channel 'nowhere' (intent kind 'z')",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"default_ack_timeout":"1s","channels":{},"channels":{},"routes":{}}', "channels"),
        ('{"default_ack_timeout":null,"channels":{},"routes":{}}', "'default_ack_timeout' is missing"),
        ('{"default_ack_timeout":5,"channels":{},"routes":{}}', "must be a duration string, got the number 5"),
        ('{"default_ack_timeout":"1s","channels":null,"routes":{}}', "'channels' is missing"),
        ('{"default_ack_timeout":"1s","channels":[],"routes":{}}', "'channels' must be a table"),
        ("[]", "not a JSON object"),
        ("", "found the end of the text"),
        ("[" * 1000, "nest"),
        ('{"default_ack_timeout":"1s","channels":{"a":{"type":"process","command":["x",1]}},"routes":{}}', "command"),
    ],
)
def test_bad_json_is_refused(text: str, words: str) -> None:
    assert words in refused(text, ConfigForm.JSON).message


@pytest.mark.parametrize("text", ["default_ack_timeout = ", "a." * 200 + "b = 1", "x = " + "[" * 2000, "x = 1" * 5000])
def test_bad_toml_is_refused(text: str) -> None:
    assert refused(text).message.startswith("failed to parse egress configuration 'egress.toml'")


@pytest.mark.parametrize(("literal", "normal"), [("0ms", "0s"), ("999ms", "999ms"), ("61m", "3660s"), ("+1h", "3600s")])
def test_durations_are_normalised(literal: str, normal: str) -> None:
    config = parsed(BROKER.replace('"5s"', f'"{literal}"'))
    assert config.canonical().startswith(f'{{"default_ack_timeout":"{normal}"'.encode())


@given(st.integers(0, 10**15))
def test_a_fraction_of_a_millisecond_is_cut_off(ns: int) -> None:
    whole = EgressConfig(ns // 10**6 * 10**6, {}, {})
    assert EgressConfig(ns, {}, {}).canonical() == whole.canonical()


def test_a_route_without_timeout_takes_the_default() -> None:
    config = parsed(BROKER)
    assert config.ack_timeout("cancel_order") == 5 * SECOND
    assert config.ack_timeout("place_order") == 10 * SECOND
    assert config.kinds_of("broker") == ["cancel_order", "place_order"]


def test_the_builder_gives_what_the_file_gives() -> None:
    built = (
        EgressConfig.builder(5 * SECOND)
        .channel("broker", ["python3", "broker.py"])
        .route("place_order", "broker", ack_timeout=10 * SECOND)
        .route("cancel_order", "broker")
        .build()
    )
    assert built == parsed(BROKER)
    assert built.routes["cancel_order"] == Route("broker")


def test_the_builder_judges_like_the_file() -> None:
    builder = EgressConfig.builder(SECOND).channel("box", []).route("a", "bix")
    with pytest.raises(EgressError) as caught:
        builder.build()
    assert caught.value.code == "egress.config_invalid"
    assert caught.value.where == "channels.box.command"
    assert [cause.where for cause in caught.value.causes] == ["routes.a.channel"]


def test_what_the_codes_lead_to() -> None:
    codes = ("cli.egress_config_read_failed", "cli.egress_config_parse_failed", "egress.start_failed")
    assert {exit_code(code) for code in codes} == {3}
