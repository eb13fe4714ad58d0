"""``ergo runs``: what it tells of the runs in a store, and what it does to them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from kept_runs import PAYLOAD, begin_run, log_of, make_project

from ergo_cli.programs.kernel.tables import KERNEL_TABLES
from ergo_cli.stores.backends import open_store
from tests.conftest import Ergo

BEGIN = '{"StateUpdated":{"step_id":"begin","payload":{"n":1}}}'
ASKED = '{"Interrupted":{"value":{"ask":"go?"}}}'
WORKED = [
    '{"ActionRequested":{"action_id":"run-4","payload":{"CallTool":{"input":null,"tool":"work"}}}}',
    '{"ActionSucceeded":{"action_id":"run-4","output":"run-4"}}',
    '"Completed"',
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the run ``run``, which asks."""
    make_project(tmp_path)
    begin_run(f"sqlite:{tmp_path}/runs.db", tmp_path)
    return tmp_path


@pytest.fixture
def with_broken_kind(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment with an installed package that adds a kind ``talk``, whose module cannot be imported."""
    site = tmp_path_factory.mktemp("site")
    info = site / "talk_kind-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: talk-kind\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ergo.kinds]\ntalk = talk_kind:KIND\n")
    (site / "talk_kind.py").write_text("KIND = 1 / 0\n")
    return {"PYTHONPATH": str(site)}


BROKEN = "the kind of program 'talk' of the package 'talk-kind' cannot be used: ZeroDivisionError: division by zero"


def test_a_broken_kind_is_a_warning_of_the_list(ergo: Ergo, project: Path, with_broken_kind: dict[str, str]) -> None:
    ran = ergo("runs", "list", "--format", "json", **with_broken_kind)
    assert (ran.exit_code, [run["run_id"] for run in ran.report["runs"]]) == (0, ["run"])
    [warning] = ran.report["warnings"]
    assert BROKEN in warning
    assert ran.stderr == f"warning: entry point 'talk = talk_kind:KIND' of ergo.kinds: {BROKEN}\n"


@pytest.mark.parametrize("command", [("show", "run"), ("timeline", "run"), ("resume", "run", "--value", "{}")])
def test_a_run_of_another_kind_needs_no_broken_kind(
    ergo: Ergo, project: Path, with_broken_kind: dict[str, str], command: tuple[str, ...]
) -> None:
    assert ergo("runs", *command, **with_broken_kind).exit_code == 0


@pytest.mark.parametrize("command", ["show", "timeline"])
def test_a_run_that_may_be_of_the_broken_kind_names_it(
    ergo: Ergo, project: Path, with_broken_kind: dict[str, str], command: str
) -> None:
    ran = ergo("runs", command, "other", "--format", "json", **with_broken_kind)
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "program.import_failed")
    assert ran.report["error"]["message"] == BROKEN


def log(project: Path, run: str = "run") -> list[str]:
    return log_of(f"sqlite:{project}/runs.db", project, run)


def test_a_run_that_asks_is_listed_shown_and_timed(ergo: Ergo, project: Path) -> None:
    listed = ergo("runs", "list", "--format", "json")
    assert listed.exit_code == 0
    assert listed.report == {
        "schema": "ergo.report/1",
        "command": "runs.list",
        "outcome": "ok",
        "exit_code": 0,
        "error": None,
        "bundles": [],
        "warnings": [],
        "runs": [{"run_id": "run", "head": 2, "derived_status": "Blocked", "snapshot": 2, "error": None}],
    }
    assert ergo("runs", "show", "run", "--format", "json").report["run_summary"] == {
        "run_id": "run",
        "head": 2,
        "status": {"status": "Blocked", "interrupt": True},
        "derived_status": "Blocked",
        "snapshot": {"at_seq": 2, "version": 0},
        "interrupt": {"Interrupted": {"value": {"ask": "go?"}}},
        "request": None,
        "last_events": [{"seq": 1, "event": json.loads(BEGIN)}, {"seq": 2, "event": json.loads(ASKED)}],
    }
    assert ergo("runs", "timeline", "run", "--format", "json").report["run_timeline"] == {
        "run_id": "run",
        "events": [{"seq": 1, "kind": "StateUpdated", "step_id": "begin"}, {"seq": 2, "kind": "Interrupted"}],
        "final_status": {"status": "Blocked", "interrupt": True},
        "derived_status": "Blocked",
    }


def test_text_is_tables(ergo: Ergo, project: Path) -> None:
    assert ergo("runs", "list").stdout.splitlines() == [
        "run  status   events  snapshot",
        "run  Blocked       2         2",
    ]
    assert ergo("runs", "show", "run").stdout.splitlines() == [
        "run",
        "  status    Blocked",
        "  events    2",
        "  snapshot  at 2, state version 0",
        '  asks      {"ask":"go?"}',
        "",
        "seq  event         id     content",
        '  1  StateUpdated  begin  {"n":1}',
        '  2  Interrupted   -      {"ask":"go?"}',
    ]
    assert ergo("runs", "timeline", "run").stdout.splitlines() == [
        "run",
        "seq  event         step   action",
        "  1  StateUpdated  begin  -",
        "  2  Interrupted   -      -",
        "status: Blocked",
    ]


def test_a_resumed_run_goes_on_to_its_end(ergo: Ergo, project: Path) -> None:
    resumed = ergo("runs", "resume", "run", "--value", '{"by": "me", "at": 1.50}')
    assert resumed.exit_code == 0, resumed.stderr
    assert resumed.stdout.splitlines() == ["completed: run", "  events  6, 4 of them new"]
    assert log(project) == [BEGIN, ASKED, '{"Resumed":{"value":{"at":1.5,"by":"me"}}}', *WORKED]
    assert "status: Completed" in ergo("runs", "timeline", "run").stdout


def test_what_a_resumption_came_to_as_json(ergo: Ergo, project: Path) -> None:
    report = ergo("runs", "resume", "run", "--format", "json").report
    assert (report["command"], report["outcome"], report["exit_code"]) == ("runs.resume", "ok", 0)
    assert report["run_resumed"] == {
        "run_id": "run",
        "status": {"status": "Completed"},
        "head_before": 2,
        "head": 6,
    }
    assert log(project)[2] == '{"Resumed":{"value":null}}'


def test_a_run_that_was_broken_off_goes_on_without_an_answer(ergo: Ergo, project: Path) -> None:
    with open_store(f"sqlite:{project}/runs.db", project, lambda: 0, KERNEL_TABLES) as store:
        store.journal.append("run", ['{"Resumed":{"value":1}}', WORKED[0]])
    shown = ergo("runs", "show", "run", "--format", "json").report["run_summary"]
    assert (shown["derived_status"], shown["interrupt"]) == ("Active", None)
    assert shown["request"]["ActionRequested"]["action_id"] == "run-4"
    assert "request   run-4" in ergo("runs", "show", "run").stdout
    assert ergo("runs", "resume", "run").exit_code == 0
    assert log(project) == [BEGIN, ASKED, '{"Resumed":{"value":1}}', *WORKED]


def test_snapshots_can_be_rebuilt_from_the_initial_state_that_was_kept(ergo: Ergo, project: Path) -> None:
    with open_store(f"sqlite:{project}/runs.db", project, lambda: 0, KERNEL_TABLES) as store:
        store.snapshots.save("run", 2, "[5]")  # as if nothing had happened yet
    assert ergo("runs", "resume", "run", "--rebuild").exit_code == 0
    assert log(project)[2:] == ['{"Resumed":{"value":null}}', *WORKED]
    with open_store(f"sqlite:{project}/runs.db", project, lambda: 0, KERNEL_TABLES) as store:
        snapshot = store.snapshots.load_latest("run")
        assert snapshot is not None
        assert (snapshot.at_seq, snapshot.text) == (6, '[5,{"n":1},null,"run-4"]')


def test_a_run_of_a_library_needs_the_payload_that_it_began_with(ergo: Ergo, project: Path) -> None:
    named = f"sqlite:{project}/runs.db"
    begin_run(named, project, "bare", is_begun_by_ergo=False)
    refused = ergo("runs", "resume", "bare", "--rebuild", "-v")
    assert refused.exit_code == 2
    assert "code: cli.missing_required_option" in refused.stderr
    assert "--payload" in refused.stderr
    assert len(log(project, "bare")) == 2
    assert ergo("runs", "resume", "bare", "--rebuild", "--payload", json.dumps(PAYLOAD)).exit_code == 0
    assert log(project, "bare")[-1] == '"Completed"'


def test_force_resumes_whatever_the_run_does(ergo: Ergo, project: Path) -> None:
    assert ergo("runs", "resume", "run").exit_code == 0
    forced = ergo("runs", "resume", "run", "--force", "--format", "json")
    assert forced.report["run_resumed"]["status"] == {"status": "Completed"}
    assert log(project)[6:] == ['{"Resumed":{"value":null}}', '"Completed"']


def test_a_fork_takes_another_way(ergo: Ergo, project: Path) -> None:
    assert ergo("runs", "resume", "run", "--value", "1").exit_code == 0
    event = '{"Resumed": {"value": 2}}'
    forked = ergo("runs", "fork", "run", "--at", "2", "--as", "other", "--event", event, "--format", "json")
    assert forked.report["run_fork"] == {
        "source_run_id": "run",
        "branch_id": "other",
        "fork_point_seq": 2,
        "alternate_event": {"Resumed": {"value": 2}},
        "head": 3,
    }
    assert log(project, "other") == [BEGIN, ASKED, '{"Resumed":{"value":2}}']
    assert len(log(project)) == 6
    resumed = ergo("runs", "resume", "other")
    assert resumed.exit_code == 0, resumed.stderr
    assert log(project, "other")[3:] == [text.replace("run-4", "other-4") for text in WORKED]
    assert ergo("runs", "fork", "run", "--at", "2", "--as", "third").stdout.splitlines() == [
        "forked: run at 2 as third",
        "  events  2",
    ]


def test_the_store_is_that_of_the_flag_of_the_profile_or_of_the_user(
    ergo: Ergo, tmp_path: Path, environment: dict[str, str]
) -> None:
    aside, elsewhere = tmp_path / "aside.db", tmp_path / "elsewhere"
    elsewhere.mkdir()
    make_project(tmp_path)
    user = Path(environment["XDG_DATA_HOME"]) / "ergo" / "runs.db"
    for path, run in ((tmp_path / "runs.db", "profile"), (aside, "flag"), (user, "user")):
        begin_run(f"sqlite:{path}", tmp_path, run)

    def listed(*arguments: str, cwd: Path = tmp_path) -> str:
        return ergo("runs", "list", *arguments, "--format", "json", cwd=cwd).report["runs"][0]["run_id"]

    assert listed() == "profile"
    assert listed("--store", f"sqlite:{aside}") == "flag"
    assert listed("--store", "default") == "user"
    assert listed("-p", "default", cwd=elsewhere) == "profile"
    assert listed("--project", str(tmp_path), cwd=Path("/")) == "profile"
    assert listed(cwd=Path("/")) == "user"
    assert "profile default of ergo.toml" in ergo("runs", "list", "-v").stderr
    alone = ergo("runs", "resume", "user", "-P", "waiting_agent:program")
    assert alone.exit_code == 0, alone.stderr


def test_profiles_that_keep_their_runs_in_different_stores(ergo: Ergo, project: Path) -> None:
    config = project / "ergo.toml"
    config.write_text(
        config.read_text().replace("[profiles.default]", "[profiles.one]") + '[profiles.two]\ngraph="g"\n'
    )
    refused = ergo("runs", "list")
    assert refused.exit_code == 2
    assert "one, two" in refused.stderr
    assert ergo("runs", "list", "-p", "one").stdout.splitlines()[1].startswith("run")
    config.write_text(config.read_text() + 'store = "sqlite:runs.db"\n')
    assert ergo("runs", "list").exit_code == 0


def test_postgres_keeps_runs_as_well(ergo: Ergo, postgres: str, tmp_path: Path) -> None:
    named = f"postgres:{postgres}"
    make_project(tmp_path, named)
    begin_run(named, tmp_path)
    assert ergo("runs", "resume", "run").exit_code == 0
    assert ergo("runs", "fork", "run", "--at", "4", "--as", "b").exit_code == 0
    rows = ergo("runs", "list", "--format", "json").report["runs"]
    assert [(row["run_id"], row["derived_status"]) for row in rows] == [("b", "Active"), ("run", "Completed")]
    assert log_of(named, tmp_path)[3:] == WORKED


def test_an_empty_store_has_no_runs(ergo: Ergo, tmp_path: Path) -> None:
    with open_store(f"sqlite:{tmp_path}/runs.db", tmp_path, lambda: 0, KERNEL_TABLES) as store:
        assert store.journal.runs() == []
    listed = ergo("runs", "list", "--store", "sqlite:runs.db")
    assert (listed.exit_code, listed.stdout) == (0, "no runs\n")


def test_an_executor_named_by_text_is_imported_to_resume(ergo: Ergo, project: Path) -> None:
    source = (project / "waiting_agent.py").read_text()
    (project / "waiting_agent.py").write_text(source.replace("step, execute, reduce", 'step, "hands:work", reduce'))
    missing = ergo("runs", "resume", "run")
    assert (missing.exit_code, log(project)) == (3, [BEGIN, ASKED])
    assert "error: module 'hands' was not found" in missing.stderr
    (project / "hands.py").write_text("def work(action, call):\n    return call.action_id\n")
    assert ergo("runs", "resume", "run").exit_code == 0
    shutil.rmtree(project / "__pycache__", ignore_errors=True)


def test_runs_alone_tells_what_there_is(ergo: Ergo) -> None:
    told = ergo("runs")
    assert told.exit_code == 0
    for command in ("list", "show", "timeline", "resume", "fork"):
        assert f"  {command}  " in told.stdout
