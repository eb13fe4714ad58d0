"""``ergo why`` of plans: the state that made an event, what it read, and the states and facts that wrote that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.plan_projects import BUNDLE, KEPT, Home, edit, settlement
from tests.conftest import Ergo


@pytest.fixture
def project(ergo: Ergo, tmp_path: Path) -> Path:
    """The example, captured here, so that the program store has its texts."""
    folder = settlement(tmp_path)
    assert ergo("capture", cwd=folder).exit_code == 0
    return folder


def lines(ergo: Ergo, project: Path, *arguments: str) -> list[str]:
    ran = ergo("why", KEPT, *arguments, cwd=project)
    assert (ran.exit_code, ran.stderr) == (0, ""), ran.stderr
    return ran.stdout.splitlines()


def steps(cause: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield cause
    for source in cause["sources"]:
        yield from steps(source)


def chain(ergo: Ergo, project: Path, *arguments: str, bundle: str = KEPT) -> list[dict[str, Any]]:
    """All steps, from the top."""
    ran = ergo("why", bundle, *arguments, "--format", "json", cwd=project)
    assert ran.exit_code == 0, ran.stderr
    assert (ran.report["command"], ran.report["outcome"]) == ("why", "ok")
    return list(steps(ran.report["why"]["chain"]))


def of(found: list[dict[str, Any]], part: str, role: str | None = None) -> dict[str, Any]:
    return next(each for each in found if each["part"] == part and role in (None, each["role"]))


def sides(step: dict[str, Any]) -> tuple[Any, Any]:
    return step["recorded"], step["today"]


# --- what differs


def test_another_write_is_followed_to_the_code_of_its_state_and_to_the_payload(ergo: Ergo, project: Path) -> None:
    edit(project / "settlement" / "plan.py", "* FEE).quantize", "* FEE + 1).quantize")
    found = lines(ergo, project)
    assert found[:4] == [
        "event f-0900  record 8",
        "  StateCompleted settlement.main.fee",
        '  writes  fee  "0.26" -> "1.26"',
        "  by  settlement.main.fee#0  settlement/plan.py:41",
    ]
    [change] = [line for line in found if line.endswith("<- the change")]
    assert change.startswith("    in fee  ")
    assert change.endswith("  :43  <- the change")
    assert '      reads  amount  "120.5"  amount of the payload' in found
    assert not any(len(word) > 60 for line in found for word in line.split()), "no digest is shown"


def test_the_report_holds_both_sides_of_every_step(ergo: Ergo, project: Path) -> None:
    edit(project / "settlement" / "plan.py", "* FEE).quantize", "* FEE + 1).quantize")
    found = chain(ergo, project)
    assert sides(of(found, "fee", "writes")) == ('"0.26"', '"1.26"')
    [change] = [step for step in found if step["is_change"]]
    assert (change["part"], change["file"], change["line"]) == ("in fee", "settlement/plan.py", 43)
    euros, rate = of(found, "euros"), of(found, "rate", "reads")
    assert (sides(euros), euros["made"]) == (('"128.33"', '"128.33"'), "settlement.main.convert#0, record 6")
    assert sides(rate) == ('"1.0650"', '"1.0650"')
    assert of(found, "rate", "asks")["made"] == "answer of quotes.rate, record 3"


def test_a_constant_that_a_state_names_is_the_change(ergo: Ergo, project: Path) -> None:
    edit(project / "settlement" / "plan.py", 'Decimal("0.002")', 'Decimal("0.003")')
    [change] = [step for step in chain(ergo, project) if step["is_change"]]
    assert (change["part"], *sides(change), change["line"]) == ("FEE", "'0.002'", "'0.003'", 23)


def test_a_helper_of_another_file_is_the_change(ergo: Ergo, tmp_path: Path) -> None:
    home = Home(tmp_path / "own")
    (home.root / "own" / "rates.py").write_text("LIMIT = 3\n\ndef doubled(n):\n    return n * 2\n")
    handler = "from own import rates\ndef one(ctx, io, rec):\n    ctx.write('n', rates.doubled(4))"
    home.program(handler, 'State("own.main.one", one, StateMeta()),').capture(ergo)
    edit(home.root / "own" / "rates.py", "n * 2", "n * 3")
    found = chain(ergo, home.root, bundle=BUNDLE)
    assert sides(of(found, "n")) == ("8", "12")
    [change] = [step for step in found if step["is_change"]]
    assert (change["part"], change["file"], change["line"]) == ("in doubled", "own/rates.py", 4)


def test_a_key_that_differs_upstream_is_followed_and_equal_ones_are_not(ergo: Ergo, project: Path) -> None:
    edit(project / "settlement" / "plan.py", 'answer.response["rate"])', 'answer.response["rate"] + "1")')
    found = chain(ergo, project, "f-0900", "settlement.main.convert")
    assert sides(of(found, "rate", "reads")) == ('"1.0650"', '"1.06501"')
    assert [step["part"] for step in found if step["is_change"]] == ["in quote"]
    assert of(found, "amount")["sources"] == []


def test_a_state_of_a_child_run_is_named_with_its_operation_and_the_state_that_spawned_it(
    ergo: Ergo, project: Path
) -> None:
    edit(project / "settlement" / "screening.py", "is not None", "is None")
    found = chain(ergo, project)
    assert found[0]["part"] == "record 4 of screening"
    assert sides(of(found, "listed")) == ("false", "true")
    assert of(found, "supplier")["made"] == "given by settlement.main.screen#0"
    assert of(found, "entry")["recorded"] == "null"


def test_the_first_context_of_a_child_differs_member_by_member(ergo: Ergo, project: Path) -> None:
    edit(project / "settlement" / "plan.py", '{"supplier": ctx.read("supplier")}', '{"supplier": "otto"}')
    found = chain(ergo, project)
    assert (found[0]["part"], found[0]["recorded"]) == ("record 1 of screening", 'RunStarted {"op_id":"screening"}')
    assert sides(of(found, "supplier", "writes")) == ('"anna"', '"otto"')
    assert of(found, "settlement.main.screen#0")["role"] == "spawned by"
    assert [step["part"] for step in found if step["is_change"]] == ["in screen"]


def test_a_request_that_is_queued_is_shown_on_both_sides(ergo: Ergo, project: Path) -> None:
    edit(project / "settlement" / "plan.py", '"euros": str(total)', '"euros": str(total + 1)')
    request = of(chain(ergo, project), "request")
    assert sides(request) == (
        '{"euros":"128.59","invoice":"i-1","to":"anna"}',
        '{"euros":"129.59","invoice":"i-1","to":"anna"}',
    )


def test_of_a_request_that_was_sent_the_recording_has_no_more_than_a_digest(ergo: Ergo, project: Path) -> None:
    edit(project / "settlement" / "plan.py", '{"currency": ctx.read("currency")}', '{"currency": "EUR"}')
    request = of(chain(ergo, project), "request")
    assert (sides(request), request["is_unknown"]) == ((None, '{"currency":"EUR"}'), True)


def test_a_fact_under_another_key_is_one_that_is_not_recorded(ergo: Ergo, project: Path) -> None:
    edit(project / "settlement" / "plan.py", '"rate")\n', '"quote")\n')
    found = chain(ergo, project)
    assert found[0]["recorded"] == 'fact_recorded rate {"currency":"CHF","rate":"1.0650"}'
    assert found[0]["today"] == "fact_recorded quote"
    assert of(found, "quote")["made"] == "not recorded"


def test_another_first_context_leads_to_its_function_and_the_payload(ergo: Ergo, tmp_path: Path) -> None:
    home = Home(tmp_path / "own")
    home.events({"n": 1})
    first = "def first(payload):\n    return {'m': payload['n'] + 1}\n"
    one = "def one(ctx, io, rec):\n    ctx.write('k', ctx.read('m'))"
    home.program(first + one, 'State("own.main.one", one, StateMeta()),', "initial_context=first,").capture(ergo)
    edit(home.root / "own" / "program.py", "+ 1", "+ 5")
    found = chain(ergo, home.root, bundle=BUNDLE)
    assert (found[0]["part"], sides(of(found, "m"))) == ("record 1", ("2", "6"))
    assert sides(of(found, "payload")) == ('{"n":1}', '{"n":1}')
    assert [step["part"] for step in found if step["is_change"]] == ["in first"]


def test_a_state_that_today_fails_leaves_nothing(ergo: Ergo, project: Path) -> None:
    edit(project / "settlement" / "plan.py", 'ctx.write("fee",', 'raise ValueError("broken", ')
    found = chain(ergo, project)
    assert found[0]["recorded"] == "StateCompleted settlement.main.fee"
    assert found[0]["today"].startswith("StateFailed settlement.main.fee")
    behind = chain(ergo, project, "f-0900", "settlement.main.pay")
    assert sides(of(behind, "fee", "reads")) == ('"0.26"', None)


# --- parts by their names


@pytest.mark.parametrize(
    ("path", "top"),
    [
        ("rate", "rate"),
        ("settlement.main.quote", "record 4"),
        ("screening.main.look_up", "record 4 of screening"),
        ("transfer", "record 16"),
        ("3", "record 3"),
    ],
)
def test_a_path_names_a_key_a_state_a_fact_or_a_record(ergo: Ergo, project: Path, path: str, top: str) -> None:
    found = chain(ergo, project, "f-0900", path)
    assert found[0]["part"] == top
    assert not any(step["differs"] or step["is_change"] for step in found)
    assert any(step["part"] == "currency" for step in found) or path == "screening.main.look_up"


def test_a_part_that_is_not_there_is_refused_with_the_nearest(ergo: Ergo, project: Path) -> None:
    ran = ergo("why", KEPT, "f-0900", "settlement.main.quot", cwd=project)
    assert ran.exit_code == 2
    assert "has no part 'settlement.main.quot'" in ran.stderr
    assert "did you mean 'settlement.main.quote'?" in ran.stderr


def test_where_nothing_differs_there_is_nothing_to_say(ergo: Ergo, project: Path) -> None:
    assert ergo("why", KEPT, cwd=project).exit_code == 5
    assert ergo("why", KEPT, "f-0900", cwd=project).exit_code == 5


def test_without_the_texts_of_the_capture_no_change_is_marked(ergo: Ergo, project: Path, tmp_path: Path) -> None:
    edit(project / "settlement" / "plan.py", "* FEE).quantize", "* FEE + 1).quantize")
    ran = ergo("why", KEPT, cwd=project, XDG_DATA_HOME=str(tmp_path / "elsewhere"))
    assert ran.exit_code == 0
    assert "<- the change" not in ran.stdout
    assert '  writes  fee  "0.26" -> "1.26"' in ran.stdout


def test_what_looks_like_a_secret_is_not_shown(ergo: Ergo, tmp_path: Path) -> None:
    home = Home(tmp_path / "own")
    body = (
        "def one(ctx, io, rec):\n    ctx.write('api', 1)\ndef two(ctx, io, rec):\n    ctx.write('b', ctx.read('api'))"
    )
    states = 'State("own.main.one", one, StateMeta()), State("own.main.two", two, StateMeta()),'
    home.program(body, states, 'edges=(("own.main.one", "own.main.two"),),').capture(ergo)
    edit(home.root / "own" / "program.py", "'api', 1", "'api', {'password': '22222retnuh'[::-1]}")
    for path in ("own.main.two", "own.main.one", "api"):
        ran = ergo("why", BUNDLE, "e1", path, "--format", "json", cwd=home.root)
        assert ran.exit_code == 0
        assert "hunter" not in ran.stdout


def test_states_that_run_at_once_are_followed_through_their_joined_contexts(ergo: Ergo, tmp_path: Path) -> None:
    home = Home(tmp_path / "own")
    handlers = (
        "def one(ctx, io, rec):\n    ctx.write('a', 1)\n"
        "async def two(ctx, io, rec):\n    ctx.write('b', 2)\n"
        "def both(ctx, io, rec):\n    ctx.write('sum', ctx.read('a') + ctx.read('b'))"
    )
    states = "".join(f'State("own.main.{name}", {name}, StateMeta()), ' for name in ("one", "two", "both"))
    edges = 'edges=(("own.main.one", "own.main.both"), ("own.main.two", "own.main.both")), parallel=True, '
    more = edges + "run_config=run_config(execution_mode=FanOutJoin(2)),"
    home.program(handlers, states, more).capture(ergo)
    edit(home.root / "own" / "program.py", "'b', 2", "'b', 3")
    found = chain(ergo, home.root, "e1", "own.main.both", bundle=BUNDLE)
    assert sides(of(found, "b", "reads")) == ("2", "3")
    assert of(found, "b", "reads")["made"].startswith("own.main.two#0")
    assert of(found, "a", "reads")["made"].startswith("own.main.one#0")


# --- the screens of replay and diff


def test_replay_and_diff_show_what_stands_behind_ids_of_artifacts(ergo: Ergo, project: Path) -> None:
    edit(project / "settlement" / "plan.py", '{"supplier": ctx.read("supplier")}', '{"supplier": "otto"}')
    assert '  ~ supplier  "anna" -> "otto"\n' in ergo("replay", KEPT, cwd=project).stdout
    edit(project / "settlement" / "world.py", '"CHF": "1.0650"', '"CHF": "1.0700"')
    assert ergo("capture", "-o", "b.json", cwd=project).exit_code == 0
    text = ergo("diff", KEPT, "b.json", cwd=project).stdout
    assert '  ~ rate.rate  "1.0650" -> "1.0700"\n' in text
