"""Every refusal of a secret or a float in a plan names the place and never the value; names that are allowed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.plan_projects import BUNDLE, Home, failure
from tests.conftest import Ergo

PHRASE = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"
ASKED = 'transports={"a": "own.world:ask"}'
WRITES = {
    "a name": ('ctx.write("login", {"password": "hunter2"})', "secret at '/login/password'", "secret at '/login/…'"),
    "a text": ('ctx.write("note", ["x", "password=hunter2"])', "secret at '/note/1'", "secret at '/note/1'"),
    "a phrase as a name": (f'ctx.write("k", {{"{PHRASE}": "hunter2"}})', "secret at '/k/…'", "secret at '/k/…'"),
    "a float": ('ctx.write("x", {"y/z": [1, 0.25]})', "at '/x/y~1z/1'", "at '/x/y~1z/1'"),
    "an event": ('rec.emit("done", {"api_key": "hunter2"})', "secret at '/api_key'", "secret at '/…'"),
    "a float in an event": ('rec.emit("done", {"deep": [0.25]})', "at '/deep/0'", "at '/deep/0'"),
    "a value": ('io.record_value("k", {"api_key": "hunter2"})', "secret at '/api_key'", "secret at '/…'"),
    "a float as a value": ('io.record_value("k", [0.25])', "at '/0'", "at '/0'"),
    "an answer": ('io.call("a.b", {}, "k")', "secret at '/of/api_key'", "secret at '/of/…'"),
    "a request": ('io.call("e.f", {"to": {"password": "hunter2"}}, "k")', "at '/to/password'", "at '/to/…'"),
}
MORE = f'effectful=("e.f",), {ASKED}'


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "own")
    home.world('return {"of": {"api_key": "hunter2"}}')
    return home


def captured(ergo: Ergo, home: Home) -> Any:
    ran = ergo("capture", "--format", "json", cwd=home.root)
    assert ran.exit_code == 0, ran.stdout + ran.stderr
    for secret in ("hunter2", PHRASE, "0.25"):
        assert secret not in ran.stdout + ran.stderr
    return ran.report["run"]["failures"]


@pytest.mark.parametrize("case", WRITES)
def test_a_refused_write_is_reported_with_its_place_and_recorded_without_the_name(
    ergo: Ergo, home: Home, case: str
) -> None:
    body, reported, recorded = WRITES[case]
    home.one(body, meta='StateMeta(idempotency="i")', more=MORE)
    [found] = captured(ergo, home)
    assert reported in found["message"]
    bundle = home.kept()
    assert recorded in failure(bundle)["message"]
    journals = json.dumps([bundle["journals"], bundle["artifacts"]])
    assert [word for word in ("hunter2", "password", "api_key", PHRASE) if word in journals] == []
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 0


@pytest.mark.parametrize(
    ("params", "place"),
    [('{"x": {"password": 1}}', "/x/password"), ('{"x": ["Bearer abc"]}', "/x/0"), ('{"x": [0.25]}', "/x/0")],
)
def test_a_refused_manifest_names_the_place(ergo: Ergo, home: Home, params: str, place: str) -> None:
    home.one("pass", more=f"input_params={params}")
    ran = ergo("capture", "--format", "json", cwd=home.root)
    assert ran.exit_code == 3
    assert f"at '/input_params{place}'" in ran.report["error"]["message"]
    assert "abc" not in ran.stdout + ran.stderr


def test_a_refused_payload_hides_a_name_that_may_be_the_secret(ergo: Ergo, home: Home) -> None:
    home.one("pass").events({"deep": {PHRASE: 1}})
    ran = ergo("capture", "--format", "json", cwd=home.root)
    assert ran.exit_code == 3
    assert ran.report["error"]["message"].endswith("a secret at '/deep/…'")
    assert PHRASE not in ran.stdout + ran.stderr


ALLOWED = 'allowed_names = ["api_key", "password"]\n'


@pytest.mark.parametrize("where", ["top", "profile"])
def test_names_are_allowed_by_the_project(ergo: Ergo, home: Home, where: str) -> None:
    asked = 'rec.emit("password", io.call("a.b", {}, "api_key").response)'
    written = 'ctx.write("password", ctx.read("api_key"))'
    home.one(written, asked, more=f'input_params={{"password": 1}}, {ASKED}').events({"api_key": "blue"})
    assert ergo("capture", cwd=home.root).exit_code == 3
    config = home.root / "ergo.toml"
    text = config.read_text()
    config.write_text(ALLOWED + text if where == "top" else text + ALLOWED)
    bundle = home.capture(ergo)
    assert bundle["decisions"][0]["termination"] == "Completed"
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 0
    assert ergo("validate", "ergo.toml", "--strict", cwd=home.root).exit_code == 0


def test_allowed_names_are_a_list_of_texts(ergo: Ergo, home: Home) -> None:
    home.one("pass")
    with (home.root / "ergo.toml").open("a") as config:
        config.write('allowed_names = "api_key"\n')
    ran = ergo("capture", "--format", "json", cwd=home.root)
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "PRJ-PARSE")
    assert "must be a list of strings" in ran.report["error"]["message"]
