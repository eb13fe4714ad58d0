"""``ergo why`` of pipelines: the stage that made a row, and the rows that it was made of, back to the source."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.pipeline_projects import BUNDLE, KEPT, Home, edit, orders, records
from tests.conftest import Ergo


@pytest.fixture
def project(ergo: Ergo, tmp_path: Path) -> Path:
    """The example, captured here, so that the program store has its texts."""
    folder = orders(tmp_path)
    assert ergo("capture", cwd=folder).exit_code == 0
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "own")


def change(project: Path, old: str, new: str) -> None:
    edit(project / "orders" / "pipeline.py", old, new)


def steps(cause: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield cause
    for source in cause["sources"]:
        yield from steps(source)


def why(ergo: Ergo, project: Path, *arguments: str, bundle: str = KEPT) -> dict[str, Any]:
    ran = ergo("why", bundle, *arguments, "--format", "json", cwd=project)
    assert ran.exit_code == 0, ran.stderr
    assert (ran.report["command"], ran.report["outcome"]) == ("why", "ok")
    return ran.report["why"]


def chain(ergo: Ergo, project: Path, *arguments: str, bundle: str = KEPT) -> list[dict[str, Any]]:
    """All steps, from the top."""
    return list(steps(why(ergo, project, *arguments, bundle=bundle)["chain"]))


def of(found: list[dict[str, Any]], part: str, role: str | None = None) -> dict[str, Any]:
    return next(each for each in found if each["part"] == part and role in (None, each["role"]))


def sides(step: dict[str, Any]) -> tuple[Any, Any]:
    return step["recorded"], step["today"]


def changes(found: list[dict[str, Any]]) -> list[str]:
    return [step["part"] for step in found if step["is_change"]]


PRICED = 'article.payload["cents"] * order.payload["pieces"]'


# --- what differs


def test_a_member_called_state_is_a_member_like_any_other(ergo: Ergo, project: Path) -> None:
    change(project, f'"cents": {PRICED}', f'"cents": {PRICED}, "state": "open"')
    assert ergo("capture", cwd=project).exit_code == 0
    change(project, '"state": "open"', '"state": "paid"')
    assert sides(of(chain(ergo, project), "state", "member")) == ('"open"', '"paid"')


def test_a_row_of_a_join_leads_to_its_function_and_to_the_payload(ergo: Ergo, project: Path) -> None:
    change(project, PRICED, f"1 + {PRICED}")
    ran = ergo("why", KEPT, cwd=project)
    assert ran.exit_code == 0
    assert ran.stdout.splitlines()[:6] == [
        "event m-0905  price:1",
        '- line {"article":"pen","cents":1200,"customer":"anna","pieces":10}',
        '+ line {"article":"pen","cents":1201,"customer":"anna","pieces":10}',
        "  member  cents  1200 -> 1201",
        "  by  price  join, the first that differs, orders/pipeline.py:48",
        "    in priced  :51  <- the change",
    ]
    found = chain(ergo, project)
    assert sides(of(found, "cents")) == ("1200", "1201")
    assert of(found, "check:1")["made"] == "transform"
    assert of(found, "orders:1")["made"] == "source"
    assert of(found, "payload")["made"] == "of event m-0905"
    assert not any(step["differs"] for step in found if step["role"] in ("reads", "gathered"))


def test_a_reference_row_of_an_earlier_event_is_the_first_that_differs(ergo: Ergo, project: Path) -> None:
    change(project, '"cents": payload["cents"]}', '"cents": payload["cents"] + 1}')
    found = chain(ergo, project, "m-0905")
    assert found[0]["part"] == "price:1"
    first = of(found, "catalogue:1")
    assert sides(first) == ('article {"article":"pen","cents":120}', 'article {"article":"pen","cents":121}')
    assert (first["event"]["event_id"], "the first that differs" in first["made"]) == ("m-0800", True)
    assert changes(found) == ["in articles"]
    assert "the first that differs" not in of(found, "price")["made"]
    assert of(found, "check:1")["sources"] == [], "equal rows beside one that differs are not followed"


def test_what_a_stage_has_gathered_is_followed_where_it_differs(ergo: Ergo, project: Path) -> None:
    change(project, PRICED, f"1 + {PRICED}")
    found = chain(ergo, project, "m-0915", "baskets")
    assert sides(of(found, "cents")) == ("1650", "1652")
    gathered = [step for step in found if step["part"].startswith("price:")]
    assert [step["event"] and step["event"]["event_id"] for step in gathered] == ["m-0905", None]
    assert all(step["differs"] for step in gathered)


def test_a_transform_that_marks_an_event_has_the_unmarked_one_as_its_input(ergo: Ergo, project: Path) -> None:
    change(project, "MOST = 50", "MOST = 1")
    found = chain(ergo, project)
    assert (found[0]["part"], found[0]["today"].startswith("order Transform handler error")) == ("check:1", True)
    assert changes(found) == ["MOST"]
    assert of(found, "orders:1")["differs"] is False


def test_a_row_of_an_error_journal_has_its_journal_in_its_name(ergo: Ergo, project: Path) -> None:
    change(project, "is no number", "is not a number")
    found = chain(ergo, project)
    assert (found[0]["part"], changes(found)) == ("error:check:1", ["in check"])
    assert of(found, "orders:1")["role"] == "reads"


def test_a_row_that_today_is_not_made_has_one_side(ergo: Ergo, project: Path) -> None:
    change(project, "    return [event]\n", "    return []\n")
    found = chain(ergo, project)
    assert (found[0]["part"], found[0]["today"], changes(found)) == ("check:1", None, ["in check"])
    assert of(found, "orders:1")["recorded"].startswith('order {"article":"pen"')


def test_a_row_that_only_today_is_made_has_the_other(ergo: Ergo, home: Home) -> None:
    handlers = "def twice(event):\n    return [event] * 1\ndef eat(event):\n    pass"
    home.program('source("s")', 'transform("t", twice)', 'sink("k", eat)', handlers=handlers).capture(ergo)
    edit(home.root / "own.py", "* 1", "* 2")
    found = chain(ergo, home.root, bundle=BUNDLE)
    assert (found[0]["part"], *sides(found[0])) == ("t:2", None, 's {"n":1}')
    assert of(found, "s:1")["recorded"] == 's {"n":1}'
    assert of(found, "payload")["recorded"] == '{"n":1}'


# --- effects


def test_an_effect_that_is_asked_otherwise_shows_both_requests(ergo: Ergo, project: Path) -> None:
    change(project, 'perform("bank.charge", event.payload,', 'perform("bank.charge", {**event.payload, "x": 1},')
    found = chain(ergo, project)
    assert found[0]["part"] == "till:1"
    assert sides(of(found, "request")) == (
        '{"cents":1650,"customer":"anna","lines":2}',
        '{"cents":1650,"customer":"anna","lines":2,"x":1}',
    )
    assert of(found, "baskets:1")["role"] == "reads"
    assert changes(found) == ["in charge"]


def test_an_effect_that_was_not_recorded_shows_what_it_asks_for(ergo: Ergo, project: Path) -> None:
    asked = 'effects.perform("bank.charge", event.payload, key=f"morning-{customer}")'
    change(project, asked, f'{asked}\n        effects.perform("bank.charge", 7)')
    found = chain(ergo, project)
    assert (found[0]["part"], *sides(found[0])) == ("an effect of till", None, "bank.charge 7")
    assert of(found, "till")["made"] == "sink"
    assert of(found, "baskets:1")["role"] == "reads"


def test_an_effect_that_is_not_performed_any_more(ergo: Ergo, project: Path) -> None:
    change(project, 'event.event_type == "basket"', 'event.event_type == "none"')
    found = chain(ergo, project)
    assert (found[0]["part"], found[0]["today"]) == ("till:1", None)
    assert found[0]["recorded"].startswith('bank.charge {"outcome":"succeeded"')


def test_behind_an_output_stand_the_effects_that_its_stage_performed_for_it(ergo: Ergo, home: Home) -> None:
    handlers = (
        "def ask(given, call):\n    return given * 10\n"
        "def priced(event, effects):\n"
        "    return [Event('p', effects.perform('rate', event.payload['n']) + 1)]\n"
        "def eat(event):\n    pass"
    )
    stages = 'source("s")', 'transform("t", priced)', 'sink("k", eat)'
    home.program(*stages, handlers=handlers, more='effects={"rate": EffectType(ask)},').capture(ergo)
    edit(home.root / "own.py", "+ 1)]", "+ 2)]")
    found = chain(ergo, home.root, "e2", "t", bundle=BUNDLE)
    assert sides(found[0]) == ("p 21", "p 22")
    performed = of(found, "rate", "performs")
    assert sides(performed) == ('{"outcome":"succeeded","output":20}',) * 2
    assert of(found, "s:1")["recorded"] == 's {"n":2}'


# --- copies, several branches, the end


def test_copies_that_a_stage_passes_on_are_left_out(ergo: Ergo, home: Home) -> None:
    handlers = (
        "def check(event):\n    raise HandlerError('too large', 'Validation')\n"
        "def same(event):\n    return [event]\n"
        "def eat(event):\n    return Delivery(Delivered())"
    )
    stages = 'source("s")', 'transform("a", check)', 'transform("b", same)', 'sink("k", eat)'
    home.program(*stages, handlers=handlers).capture(ergo)
    edit(home.root / "own.py", "too large", "too big")
    found = chain(ergo, home.root, "e1", "k", bundle=BUNDLE)
    parts = [step["part"] for step in found]
    assert found[0]["part"] == "receipt:k:1"
    assert "a:1" in parts
    assert "b:1" not in parts, "stage b copied the marked event"
    assert "the first that differs" in of(found, "a:1")["made"]
    assert changes(found) == ["in check"]


def test_what_closing_recorded_has_no_event(ergo: Ergo, project: Path) -> None:
    change(project, 'Event("left_behind"', 'Event("left"')
    found = why(ergo, project)
    assert (found["event_id"], found["seq"], found["node"]) == (None, 8, "baskets:1")
    rows = list(steps(found["chain"]))
    assert changes(rows) == ["in leave"]
    assert of(rows, "price:1")["event"]["event_id"] == "m-0930"
    assert ergo("why", KEPT, cwd=project).stdout.startswith("the end  baskets:1\n- left_behind ")
    assert ergo("replay", KEPT, cwd=project).stdout.endswith(
        f"\ncloser     ergo why {KEPT}\nintended?  ergo accept {KEPT}\n"
    )


def test_without_the_texts_of_the_capture_the_first_stage_that_differs_is_named(
    ergo: Ergo, project: Path, tmp_path: Path
) -> None:
    change(project, PRICED, f"1 + {PRICED}")
    ran = ergo("why", KEPT, cwd=project, XDG_DATA_HOME=str(tmp_path / "elsewhere"))
    assert ran.exit_code == 0
    assert "<- the change" not in ran.stdout
    assert "  by  price  join, the first that differs, orders/pipeline.py:48\n" in ran.stdout


# --- parts by their names


@pytest.mark.parametrize(
    ("path", "top"),
    [("check", "check:1"), ("price:1", "price:1"), ("bank.charge", "till:1"), ("receipt:till:1", "receipt:till:1")],
)
def test_a_path_names_a_stage_a_row_or_an_effect(ergo: Ergo, project: Path, path: str, top: str) -> None:
    found = chain(ergo, project, "m-0915", path)
    assert found[0]["part"] == top
    assert not any(step["differs"] or step["is_change"] for step in found)
    assert of(found, "payload")["made"] == "of event m-0915"


def test_a_path_names_the_id_of_an_event_or_of_its_copy(ergo: Ergo, project: Path) -> None:
    entries = json.loads((project / KEPT).read_text())["journals"]
    [failed] = records(entries[5], "error:till")
    found = chain(ergo, project, "m-0920", failed["id"])
    assert (found[0]["part"], found[0]["differs"]) == ("error:till:1", False)
    assert found[0]["today"].startswith("basket Sink handler error")
    assert of(found, "payload")["made"] == "of event m-0920"


def test_a_stage_that_did_nothing_for_an_event_says_so(ergo: Ergo, project: Path) -> None:
    found = chain(ergo, project, "m-0800", "till")
    assert (found[0]["part"], found[0]["made"], len(found)) == ("till", "no record of this episode", 1)


def test_a_part_that_is_not_there_is_refused_with_the_nearest(ergo: Ergo, project: Path) -> None:
    ran = ergo("why", KEPT, "m-0905", "prize", cwd=project)
    assert ran.exit_code == 2
    assert "has no part 'prize'" in ran.stderr
    assert "did you mean 'price'?" in ran.stderr


def test_where_nothing_differs_there_is_nothing_to_say(ergo: Ergo, project: Path) -> None:
    assert ergo("why", KEPT, cwd=project).exit_code == 5
    assert ergo("why", KEPT, "m-0905", cwd=project).exit_code == 5


def test_the_same_chain_has_the_same_bytes(ergo: Ergo, project: Path) -> None:
    change(project, PRICED, f"1 + {PRICED}")
    first, second = (ergo("why", KEPT, "m-0915", "till", "--format", "json", cwd=project).stdout for _ in range(2))
    assert first == second
