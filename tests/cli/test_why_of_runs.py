"""``ergo why`` of kernel programs: the record that differs, the state before it, the records behind that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ticket_desk import BUNDLE, edit, line_of, make_desk

from tests.conftest import Ergo, Ran


@pytest.fixture
def desk(ergo: Ergo, tmp_path: Path) -> Path:
    """The desk of tickets, captured here, so that the program store has its texts."""
    home = make_desk(tmp_path / "desk")
    captured = ergo("capture", cwd=home)
    assert captured.exit_code == 0, captured.stderr
    return home


def lines(ran: Ran) -> list[str]:
    assert ran.exit_code == 0, ran.stderr
    return ran.stdout.splitlines()


def test_a_constant_of_the_step_function_is_the_change_behind_another_record(ergo: Ergo, desk: Path) -> None:
    edit(desk, "LARGEST = 100", "LARGEST = 1000")
    step, constant = line_of(desk, "def step"), line_of(desk, "LARGEST = ")
    assert lines(ergo("why", BUNDLE, cwd=desk)) == [
        "event e2  record 4",
        '- Interrupted {"amount": 900, "ask": "approve refund?"}',
        '+ CallTool refund {"amount": 900, "ticket": "T-2"}',
        f"  by  step  support/agent.py:{step}",
        f"    LARGEST  100 -> 1000  :{constant}  <- the change",
        "  state  age  5",
        '    written by  record 2  ActionSucceeded {"output": {"age": 5}}',
        '      request  record 1  CallTool age {"ticket": "T-2"}',
        '  state  plan  "refund"',
        '    written by  record 3  StateUpdated plan "refund"',
        "      state  age  5  (above)",
        "      state  amount  900  first state",
        "  state  amount  900  first state",
        "  state  paid  (none)",
        '  state  ticket  "T-2"  first state',
    ]


def test_the_first_divergence_of_a_replay_has_the_state_that_was_looked_at(ergo: Ergo, desk: Path) -> None:
    edit(desk, "LARGEST = 100", "LARGEST = 1000")
    ran = ergo("replay", BUNDLE, cwd=desk)
    assert ran.exit_code == 1
    assert '  state before  age = 5, plan = "refund", amount = 900, paid = (none), …' in ran.stdout.splitlines()
    assert f"closer     ergo why {BUNDLE} e2" in ran.stdout
    assert all(len(line) <= 80 for line in ran.stdout.splitlines())


def test_a_label_of_the_reducer_is_shown_with_both_values(ergo: Ergo, desk: Path) -> None:
    edit(desk, '"late" if', '"delayed" if')
    changed = line_of(desk, "delayed")
    replayed = ergo("replay", BUNDLE, cwd=desk)
    assert (replayed.exit_code, '  ~ summary.label  "late" -> "delayed"' in replayed.stdout) == (1, True)
    assert lines(ergo("why", BUNDLE, cwd=desk)) == [
        "event e1  state after record 8",
        '  state  summary.label  "late" -> "delayed"',
        '    written by  record 2  ActionSucceeded {"output": {"age": 5}}',
        '      request  record 1  CallTool age {"ticket": "T-1"}',
        f"    by  reduce  'late' -> 'delayed'  support/agent.py:{changed}  <- the change",
    ]


@pytest.mark.parametrize(
    ("old", "new", "member"),
    [
        (', "age": age}}', "}}", "summary.age  5 -> (none)"),
        ('"label": label,', '"label": label, "open": True,', "summary.open  (none) -> true"),
        ('{**state, "paid": paid}', '{**state, "paid": paid + 1}', "paid  20 -> 21"),
        ('"summary": {"label"', '"summary": {"tag"', "summary.label"),
    ],
)
def test_a_member_that_the_reducer_makes_otherwise_is_found_by_the_digest(
    ergo: Ergo, desk: Path, old: str, new: str, member: str
) -> None:
    edit(desk, old, new)
    ran = ergo("replay", BUNDLE, "--format", "json", cwd=desk)
    assert ran.exit_code == 1
    text = ergo("replay", BUNDLE, cwd=desk).stdout
    assert f"~ {member}" in text
    assert "only a digest" not in text


def test_states_that_no_digest_gives_away_are_shown_with_the_values_of_today(ergo: Ergo, desk: Path) -> None:
    edit(desk, '"label": label, "age": age', '"label": label * 3, "age": age * 7 + 55')
    text = ergo("replay", BUNDLE, cwd=desk).stdout
    assert "~ the state, of which the recording holds only a digest" in text
    assert "today age = 5, paid = 20" in text
    shown = lines(ergo("why", BUNDLE, cwd=desk))
    assert shown[:2] == [
        "event e1  state after record 8",
        "  only a digest is recorded; last the same after record 0",
    ]
    assert '  state  summary.label  "latelatelate"  recorded value not kept' in shown
    report = ergo("why", BUNDLE, "--format", "json", cwd=desk).report["why"]
    assert report["knows_capture"] is False
    label = next(each for each in report["chain"]["sources"] if each["part"] == "summary.label")
    assert (label["recorded"], label["today"], label["differs"], label["is_unknown"]) == (
        None,
        '"latelatelate"',
        False,
        True,
    )


def test_another_first_state_has_its_members_and_its_function(ergo: Ergo, desk: Path) -> None:
    edit(desk, '{"amount": payload["amount"], ', '{"amount": payload["amount"] * 2, ')
    changed = line_of(desk, "* 2")
    assert lines(ergo("why", BUNDLE, cwd=desk)) == [
        "event e1  first state",
        "  state  amount  20 -> 40",
        f"  by  first  payload['amount'] -> payload['amount'] * 2  support/agent.py:{changed}  <- the change",
    ]


def test_a_prompt_in_another_module_is_named_below_the_step_function(ergo: Ergo, desk: Path) -> None:
    edit(desk, "is settled", "is done", "letters.py")
    shown = lines(ergo("why", BUNDLE, cwd=desk))
    assert shown[:3] == [
        "event e1  record 6",
        '- CallTool tell {"text": "Your ticket of 5 days is settled."}',
        '+ CallTool tell {"text": "Your ticket of 5 days is done."}',
    ]
    assert "    in letter  ' days is settled.' -> ' days is done.'  support/letters.py:2  <- the change" in shown


def test_another_order_of_tools(ergo: Ergo, desk: Path) -> None:
    edit(desk, '"refund" and "paid" not in state', '"refund" and "told" in state and "paid" not in state')
    shown = lines(ergo("why", BUNDLE, cwd=desk))
    assert shown[:2] == ["event e1  record 4", '- CallTool refund {"amount": 20, "ticket": "T-1"}']
    assert shown[2].startswith('+ CallTool tell {"text"')
    assert any(line.startswith("  by  step") and line.endswith("<- the change") for line in shown)
    assert "  state  told  (none)" in shown


def test_an_exception_of_a_function_comes_with_the_users_lines(ergo: Ergo, desk: Path) -> None:
    edit(desk, "{state['age']}", "{state['ages']}", "letters.py")
    called = line_of(desk, "letter(state)")
    ran = ergo("why", BUNDLE, cwd=desk)
    assert lines(ran)[:3] == [
        "event e1  record 6",
        '- CallTool tell {"text": "Your ticket of 5 days is settled."}',
        "today the call ends with kernel.driver: Driver error: KeyError: 'ages'",
    ]
    assert lines(ran)[-4:] == [
        "  1  KeyError: 'ages'",
        "     support/letters.py:2 in letter",
        f"     called at support/agent.py:{called} in step",
        "     event e1",
    ]
    [failure] = ergo("why", BUNDLE, "--format", "json", cwd=desk).report["why"]["failures"]
    assert failure["frames"] == [
        {"file": "support/letters.py", "line": 2, "function": "letter"},
        {"file": "support/agent.py", "line": called, "function": "step"},
    ]
    replayed = ergo("replay", BUNDLE, cwd=desk)
    assert f"     called at support/agent.py:{called} in step" in replayed.stderr.splitlines()


def test_a_reducer_that_raises_is_named_before_the_record_that_it_refused(ergo: Ergo, desk: Path) -> None:
    edit(desk, '{**state, "paid": paid}', '{**state, "paid": paid["x"]}')
    shown = lines(ergo("why", BUNDLE, cwd=desk))
    assert '- ActionSucceeded {"output": {"paid": 20}}' in shown
    assert f"  by  reduce  paid -> paid['x']  support/agent.py:{line_of(desk, 'paid[')}  <- the change" in shown
    assert '  request  record 4  CallTool refund {"amount": 20, "ticket": "T-1"}' in shown


@pytest.mark.parametrize("path", ["plan", "3"])
def test_a_path_names_a_record_a_step_or_a_member(ergo: Ergo, desk: Path, path: str) -> None:
    shown = lines(ergo("why", BUNDLE, "e1", path, cwd=desk))
    assert shown[:2] == ["event e1  record 3", '  StateUpdated plan "refund"']
    assert "  state  amount  20  first state" in shown


def test_what_an_earlier_event_recorded_names_that_event(ergo: Ergo, desk: Path) -> None:
    shown = lines(ergo("why", BUNDLE, "e3", "summary.label", cwd=desk))
    assert shown == [
        "event e3  summary.label",
        '  "late"',
        '  written by  record 2  ActionSucceeded {"output": {"age": 5}}  event e2',
        '    request  record 1  CallTool age {"ticket": "T-2"}  event e2',
    ]
    assert lines(ergo("why", BUNDLE, "e3", "amount", cwd=desk)) == ["event e3  amount", "  900  first state, event e2"]
    report = ergo("why", BUNDLE, "e3", "summary.label", "--format", "json", cwd=desk).report["why"]
    [written] = report["chain"]["sources"]
    assert (written["part"], written["event"]) == ("record 2", {"event_id": "e2", "seq": 1})


def test_depth_bounds_the_chain(ergo: Ergo, desk: Path) -> None:
    assert lines(ergo("why", BUNDLE, "e1", "told", "--depth", "0", cwd=desk)) == ["event e1  told", "  true"]
    assert len(lines(ergo("why", BUNDLE, "e1", "told", "--depth", "1", cwd=desk))) == 3


def test_the_change_is_not_marked_where_the_texts_of_the_capture_are_unknown(
    ergo: Ergo, desk: Path, tmp_path: Path
) -> None:
    edit(desk, "LARGEST = 100", "LARGEST = 1000")
    shown = lines(ergo("why", BUNDLE, cwd=desk, XDG_DATA_HOME=str(tmp_path / "elsewhere")))
    assert shown[0] == "event e2  record 4"
    assert not any("<- the change" in line for line in shown)


def test_where_nothing_differs_the_outcome_is_empty(ergo: Ergo, desk: Path) -> None:
    ran = ergo("why", BUNDLE, cwd=desk)
    assert (ran.exit_code, ran.stdout) == (5, f"empty: nothing of {BUNDLE} differs; name an event\n")
    ran = ergo("why", BUNDLE, "e1", cwd=desk)
    assert (ran.exit_code, ran.stdout) == (5, "empty: nothing of event 'e1' differs; name a part of it\n")


@pytest.mark.parametrize(
    ("arguments", "fix"),
    [
        (("e1", "summary.lable"), "did you mean 'summary.label'?"),
        (("e1", "9"), "name one of 1, 2, 3"),
        (("e9",), "give the id of an event of the bundle"),
        (("e1", "plan", "--occurrence", "1"), "leave --occurrence out"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is_near(
    ergo: Ergo, desk: Path, arguments: tuple[str, ...], fix: str
) -> None:
    ran = ergo("why", BUNDLE, *arguments, cwd=desk)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert fix in ran.stderr


def parts(step: dict[str, Any]) -> list[dict[str, Any]]:
    return [step, *(part for each in step["sources"] for part in parts(each))]


def test_the_values_of_the_chain_are_those_that_the_records_hold(ergo: Ergo, desk: Path) -> None:
    edit(desk, "LARGEST = 100", "LARGEST = 1000")
    chain = ergo("why", BUNDLE, "--format", "json", cwd=desk).report["why"]["chain"]
    journals = json.loads((desk / BUNDLE).read_text())["journals"]
    records = {each["seq"]: each["event"] for each in journals[1]["records"] if "seq" in each}
    named = [each for each in parts(chain)[1:] if each["part"].startswith("record ")]
    assert named
    for each in named:
        event = records[int(each["part"].removeprefix("record "))]
        [fields] = event.values()
        payload = fields.get("payload", fields.get("output"))
        name, _, text = each["today"].partition(" {")
        assert name.split()[0] in (*event, *payload)
        assert not text or json.loads("{" + text)
