"""``ergo accept`` of programs that fail, or ask for what was never recorded: what it says."""

from __future__ import annotations

from pathlib import Path

from prompts import asked

from tests.conftest import Ergo


def project(ergo: Ergo, folder: Path, kind: str, file: str, old: str, new: str) -> Path:
    """A new project of a kind, with its program edited since."""
    home = folder / kind
    assert ergo("init", str(home), "--kind", kind, cwd=folder).exit_code == 0
    text = (home / file).read_text()
    assert text.count(old) == 1, text.count(old)
    (home / file).write_text(text.replace(old, new))
    return home


def test_a_program_that_fails_is_accepted_with_its_failures(ergo: Ergo, tmp_path: Path) -> None:
    home = project(ergo, tmp_path, "kernel", "agent.py", "{state['customer']}\"", "{state['custmer']}\"")
    waiting = ergo("accept", cwd=home)
    assert waiting.stderr.splitlines()[:3] == [
        "  2  KeyError: 'custmer'",
        "     agent.py:32 in step",
        "     first e1, last e2",
    ]
    report = ergo("accept", "--all", "--format", "json", cwd=home)
    [failure] = report.report["accept"]["bundles"][0]["failures"]
    assert (report.exit_code, failure["count"], failure["place"]["line"]) == (0, 2, 32)


def test_a_program_that_fails_is_asked_about_with_its_failures(
    ergo: Ergo, tmp_path: Path, environment: dict[str, str]
) -> None:
    home = project(ergo, tmp_path, "kernel", "agent.py", "{state['customer']}\"", "{state['custmer']}\"")
    ran = asked(["accept"], environment, home, lambda screen: "n")
    assert ran.exit_code == 0
    [screen] = ran.screens
    assert "\nfails      episodes of today's program that did not fail\n  2  KeyError: 'custmer'\n" in screen
    assert screen.index("agent.py:32 in step") < screen.index("accept?")


def test_a_flow_that_fails_is_not_said_to_be_undeterministic(ergo: Ergo, tmp_path: Path) -> None:
    home = project(ergo, tmp_path, "pipeline", "stock.py", 'stock["left"].get', 'stock["lef"].get')
    ran = ergo("accept", "--all", cwd=home)
    assert (ran.exit_code, ran.stdout) == (3, "")
    assert "the recorded flow failed, or was given up" in ran.stderr
    assert "fix: mend the program; ergo replay says how its episodes end" in ran.stderr


def test_what_was_never_asked_names_the_command_that_asks(ergo: Ergo, tmp_path: Path) -> None:
    home = project(ergo, tmp_path, "kernel", "agent.py", '"hello"', '"hi"')
    ran = ergo("accept", "--all", cwd=home)
    assert (ran.exit_code, ran.stdout) == (3, "")
    assert (
        'never recorded: {"CallTool":{"input":{"language":"en","text":"hi, anna","to":"anna"},"tool":"send"}}'
        in ran.stderr
    )
    assert "fix: capture the events again, with ergo capture -p historical: only the world can answer" in ran.stderr
    assert ergo("capture", "-p", "historical", cwd=home).exit_code == 0
    assert ergo("replay", "--strict", cwd=home).exit_code == 0


def test_another_request_under_a_recorded_key_is_said_to_be_one(ergo: Ergo, tmp_path: Path) -> None:
    home = project(ergo, tmp_path, "plan", "parcels.py", 'ctx.read("grams")', 'ctx.read("gram")')
    ran = ergo("accept", "--all", cwd=home)
    assert ran.exit_code == 3
    assert "carrier.price under the fact key 'price', with another request than the recorded one" in ran.stderr
