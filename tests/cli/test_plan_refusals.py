"""Plans, payloads and configurations that are refused before the first event of a capture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.plan_projects import BUNDLE, Home, edit
from tests.conftest import Ergo

TRANSPORT = 'transports={"a": "own.world:ask"}'


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "own")


def refused(ergo: Ergo, home: Home, *arguments: str) -> Any:
    """The error of a capture that begins nothing."""
    ran = ergo("capture", "-o", "b.json", "--format", "json", *arguments, cwd=home.root)
    assert ran.exit_code == 3, ran.stdout
    assert "Traceback" not in ran.stderr
    assert not (home.root / "b.json").exists()
    assert not (home.root / "touched").exists()
    assert ran.report["error"]["fix"]
    return ran.report["error"]


def test_a_secret_in_a_payload_refuses_the_stream(ergo: Ergo, home: Home) -> None:
    home.one("open('touched', 'w')").events({}, {"deep": [{"api_key": "hunter2"}]})
    error = refused(ergo, home)
    assert error["code"] == "plan.secrets_detected"
    assert error["message"] == "the payload of event 'e2' holds what looks like a secret at '/deep/0/api_key'"
    assert error["where"].endswith("events.jsonl:3:1 event 'e2'")
    assert "hunter2" not in str(error)


def test_a_name_that_is_allowed_is_not_a_secret(ergo: Ergo, home: Home) -> None:
    home.one("pass", more='allowed_names=frozenset({"authorization_status"})').events({"authorization_status": "open"})
    assert "authorization_status" in str(home.capture(ergo)["artifacts"])


@pytest.mark.parametrize(
    ("transport", "code", "message"),
    [
        ('"own.nothing:ask"', "program.import_failed", "module 'own.nothing' was not found"),
        ('"own.world:nothing"', "program.import_failed", "module 'own.world' has no attribute 'nothing'"),
        ('"own.world:head"', "program.import_failed", "'own.world:head' is a int, which cannot be called"),
        ('"own.world"', "program.import_failed", "'own.world' names no attribute of a module"),
        ("5", "plan.program_invalid", "the transport of 'a' is a int, which cannot be called"),
        ("lambda: 5", "plan.program_invalid", "the transport of 'a' cannot be called with (call): "),
    ],
)
def test_a_transport_that_cannot_be_had(ergo: Ergo, home: Home, transport: str, code: str, message: str) -> None:
    home.one("open('touched', 'w')", more=f'transports={{"a": {transport}}}').world("return 1", "head = 5")
    error = refused(ergo, home)
    assert (error["code"], error["message"].startswith(message)) == (code, True), error["message"]
    assert error["where"]


def test_a_world_that_raises_on_import_is_named_with_its_line(ergo: Ergo, home: Home) -> None:
    home.one("open('touched', 'w')", more=TRANSPORT).world("return 1", "raise RuntimeError('no world')")
    error = refused(ergo, home)
    assert error["code"] == "program.import_failed"
    assert error["where"].endswith("own/world.py:4")


A, B = 'State("own.main.a", one)', 'State("own.main.b", one)'
BAD_PLANS = [
    (
        f"{A}, {B}",
        '(("own.main.a", "own.main.b"), ("own.main.b", "own.main.a"))',
        "invalid_plan",
        "wait for each other",
    ),
    (f"{A}, {A}", "", "invalid_plan", "two states have the id 'own.main.a'"),
    (
        f"{A},",
        '(("own.main.a", "own.main.b"),)',
        "invalid_plan",
        "names the state 'own.main.b', which it does not have",
    ),
    ("", "", "invalid_plan", "it has no states"),
    ('State("own.a", one),', "", "invalid_state_id", "'own.a' is not a state id"),
    ('State("own.main.A", one),', "", "invalid_state_id", "'own.main.A' is not a state id"),
    ("State(5, one),", "", "invalid_state_id", "5 is not a state id"),
    (
        'State("own.main.password", one),',
        "",
        "secrets_detected",
        "the state id 'own.main.password' looks like a secret",
    ),
    ('State("own.main.a", 5),', "", "handler_unfit", "is a int, which cannot be called"),
    ('State("own.main.a", lambda: 1),', "", "handler_unfit", "cannot be called with (ctx, io, rec)"),
    ("5,", "", "program_invalid", "states[0] is 5, not a State"),
    (f"{A},", '("own.main.a",)', "program_invalid", "edges[0] is 'own.main.a', not a pair of state ids"),
    (f"{A},", "run_config=5", "program_invalid", "run_config is 5, not a RunConfig"),
    (f"{A},", "run_config=run_config(max_attempts=-1)", "program_invalid", "the manifest is refused"),
    (f"{A},", 'input_params={"x": 1.5}', "manifest_not_canonical", "at '/input_params/x'"),
    (f"{A},", 'input_params={"api_key": 1}', "secrets_detected", "the manifest is refused"),
    (f"{A},", "transports=5", "program_invalid", "transports is 5, not a mapping of namespaces"),
    (f"{A},", 'effectful="pay"', "program_invalid", "effectful is 'pay', not a tuple"),
    (f"{A},", "children=(5,)", "program_invalid", "children[0] is 5, not a PlanProgram"),
    (f"{A},", 'children=(PlanProgram("kid", "1", ()),)', "invalid_plan", "the plan of 'kid' is invalid: it has no"),
]


@pytest.mark.parametrize(("states", "more", "code", "message"), BAD_PLANS)
def test_a_plan_that_cannot_run_is_refused_by_every_command(
    ergo: Ergo, home: Home, states: str, more: str, code: str, message: str
) -> None:
    home.one("pass").capture(ergo)
    home.program("def one(ctx, io, rec):\n    open('touched', 'w')", states, more)
    error = refused(ergo, home)
    assert error["code"] == f"plan.{code}"
    assert message in error["message"]
    assert error["where"]
    replayed = ergo("replay", BUNDLE, "--format", "json", cwd=home.root)
    assert (replayed.exit_code, replayed.report["error"]["code"]) == (3, f"plan.{code}")
    validated = ergo("validate", "ergo.toml", "--format", "json", cwd=home.root)
    [found] = validated.report["files"][0]["errors"]
    assert (validated.exit_code, found["code"]) == (3, f"plan.{code}")
    assert found["where"]


@pytest.mark.parametrize("id_", ["Own", "own-plan", "", "o" * 64])
def test_a_bad_operation_id_is_refused(ergo: Ergo, home: Home, id_: str) -> None:
    home.one("open('touched', 'w')")
    edit(home.root / "own" / "program.py", '"own", "1"', f'"{id_}", "1"')
    assert refused(ergo, home)["code"] == "plan.invalid_op_id"


def test_a_first_context_of_no_function_is_refused(ergo: Ergo, home: Home) -> None:
    home.one("open('touched', 'w')", more="initial_context=5")
    assert refused(ergo, home)["code"] == "program.unfit_function"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("execution_mode=FanOutJoin(2)", "plan.unsupported_execution_mode"),
        ("io_mode=IoMode.REPLAY", "plan.program_invalid"),
    ],
)
def test_a_configuration_that_cannot_be_driven_is_refused(ergo: Ergo, home: Home, text: str, code: str) -> None:
    home.one("open('touched', 'w')", more=f"run_config=run_config({text})")
    module = home.root / "own" / "program.py"
    module.write_text("from ergo_cli.programs.plan.manifest import FanOutJoin, IoMode\n" + module.read_text())
    assert refused(ergo, home)["code"] == code


@pytest.mark.parametrize(
    ("routes", "named"),
    [(["publish"], "not 'publish'"), (["io", "b", "a"], "not 'a', 'b'"), ([], "'io' is not routed")],
)
def test_only_io_can_be_routed(ergo: Ergo, home: Home, routes: list[str], named: str) -> None:
    home.one("open('touched', 'w')")
    text = 'default_ack_timeout = "1s"\n[channels.c]\ntype = "process"\ncommand = ["touch", "touched"]\n[routes]\n'
    (home.root / "egress.toml").write_text(text + "".join(f'{kind} = {{channel = "c"}}\n' for kind in routes))
    error = refused(ergo, home, "--egress-config", "egress.toml")
    assert error["code"] == "egress.route_unsupported"
    assert named in error["message"]


def test_run_ids_are_refused(ergo: Ergo, home: Home) -> None:
    home.one("open('touched', 'w')")
    with (home.root / "ergo.toml").open("a") as file:
        file.write('run_id = "one"\n')
    assert refused(ergo, home)["code"] == "PRJ-INVALID"
