"""A folder that somebody else wrote, and whose events, bundles and graphs are used from another folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import Ergo, Ran

DESK = Path(__file__).parents[2] / "fixtures" / "order_threshold"
HEAD = 'name = "n"\nversion = "1"\n[profiles.default]\n'
EGRESS = """
default_ack_timeout = "5s"
[channels.c]
type = "process"
command = ["sh", "-c", "echo started > ../marker"]
[routes]
"""
OUTER = """
kind: cluster
id: outer
version: 0.1.0
nodes:
  one: {cluster: inner@0.1.0}
edges: []
"""
INNER = """
kind: cluster
id: inner
version: 0.1.0
nodes:
  one: {impl: const_number@0.1.0, params: {value: 1.0}}
edges: []
outputs: {value: one.value}
"""


class Folder:
    """The stranger's folder ``evil``, and ``here`` beside it, in which the user works."""

    def __init__(self, ergo: Ergo, base: Path) -> None:
        self._ergo = ergo
        self.root, self.here, self.marker = base / "evil", base / "here", base / "marker"
        for folder in (self.root / "events", self.here):
            folder.mkdir(parents=True)
        shutil.copy(DESK / "events" / "monday.jsonl", self.root / "events")
        shutil.copy(DESK / "graphs" / "order_threshold.yaml", self.root / "g.yaml")
        shutil.copy(DESK / "adapters" / "order_desk.yaml", self.root / "a.yaml")
        self.write("live.toml", EGRESS)

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def profile(self, *lines: str, graph: str = "g.yaml", adapter: str = "a.yaml") -> None:
        self.write("ergo.toml", HEAD + "\n".join([f'graph = "{graph}"', f'adapter = "{adapter}"', *lines]) + "\n")

    def ergo(self, command: str, *arguments: str | Path, cwd: Path | None = None) -> Ran:
        return self._ergo(command, *arguments, "--format", "json", cwd=cwd or self.here)

    def use(self, command: str, *arguments: str | Path) -> Ran:
        return self.ergo(command, "../evil/events/monday.jsonl", *arguments)

    def untouched(self) -> bool:
        return not self.marker.exists() and list(self.here.iterdir()) == []


@pytest.fixture
def evil(ergo: Ergo, tmp_path: Path) -> Folder:
    return Folder(ergo, tmp_path)


def check_refused(ran: Ran, key: str) -> None:
    error = ran.report["error"] or ran.report["bundles"][0]["error"]
    assert (ran.exit_code, error["code"]) == (3, "program.import_refused")
    assert error["where"].endswith(key)
    assert "--project DIR" in error["fix"]


def test_the_values_of_a_stranger_are_used(evil: Folder):
    evil.profile("max_events = 2", 'ignore = ["**.x"]', 'numbers = "original"')
    assert evil.use("run").report["run"]["events"] == 2
    assert evil.use("capture", "-o", "o.json").exit_code == 0
    assert evil.use("capture").exit_code == 0
    assert (evil.root / "captures" / "default.capture.json").is_file()


@pytest.mark.parametrize("command", ["run", "capture"])
def test_egress_processes_of_a_stranger_are_not_started(evil: Folder, command: str):
    evil.profile('egress = "live.toml"')
    output = ("-o", "o.json") if command == "capture" else ()
    check_refused(evil.use(command, *output), "ergo.toml profiles.default.egress")
    assert evil.untouched()
    evil.use(command, *output, "--project", evil.root)
    assert evil.marker.exists()
    evil.marker.unlink()
    evil.ergo(command, "events/monday.jsonl", *output, cwd=evil.root)
    assert evil.marker.exists()


def test_egress_of_the_caller_takes_the_place_of_the_strangers(evil: Folder, tmp_path: Path):
    evil.profile('egress = "/dev/null"')
    (tmp_path / "mine.toml").write_text(EGRESS.replace("started", "mine"))
    evil.use("run", "--egress-config", tmp_path / "mine.toml")
    assert evil.marker.read_text() == "mine\n"


def test_events_take_the_place_of_the_ingress_process_of_a_stranger(evil: Folder):
    evil.profile('ingress = {type = "process", command = ["sh", "-c", "echo started > ../marker"]}')
    assert evil.use("run").exit_code == 0
    assert evil.untouched()
    evil.ergo("run", "--project", evil.root)
    assert evil.marker.exists()


@pytest.mark.parametrize("target", ["../marker", "inside.json"])
def test_a_stranger_does_not_say_where_a_capture_goes(evil: Folder, target: str):
    evil.profile(f'capture_output = "{target}"')
    check_refused(evil.use("capture"), "ergo.toml profiles.default.capture_output")
    assert evil.untouched()
    assert not (evil.root / "inside.json").exists()
    assert evil.use("run").exit_code == 0
    assert evil.use("capture", "-o", "o.json").exit_code == 0
    assert not evil.marker.exists()
    assert evil.use("capture", "--project", evil.root).exit_code == 0
    assert (evil.root / target).is_file()
    (evil.root / target).unlink()
    assert evil.ergo("capture", "events/monday.jsonl", cwd=evil.root).exit_code == 0
    assert (evil.root / target).is_file()


def test_the_default_place_of_a_capture_is_not_a_link_to_elsewhere(evil: Folder, tmp_path: Path):
    evil.profile()
    (evil.root / "captures").symlink_to("..")
    check_refused(evil.use("capture"), "ergo.toml profiles.default")
    assert not (tmp_path / "default.capture.json").exists()
    assert evil.use("capture", "--project", evil.root).exit_code == 0
    assert (tmp_path / "default.capture.json").is_file()


def test_a_store_of_a_stranger_is_not_opened(evil: Folder):
    evil.profile('store = "sqlite:../marker"')
    check_refused(evil.use("run"), "ergo.toml profiles.default.store")
    assert evil.untouched()
    assert evil.use("run", "--project", evil.root).exit_code == 0


@pytest.mark.parametrize("command", ["run", "capture"])
@pytest.mark.parametrize(
    ("key", "path"), [("graph", "/etc/passwd"), ("graph", "link.yaml"), ("adapter", "../secret.yaml")]
)
def test_files_outside_of_a_strangers_folder_are_not_read(
    evil: Folder, tmp_path: Path, command: str, key: str, path: str
):
    (tmp_path / "secret.yaml").write_text("root:x:0:0\n")
    (evil.root / "link.yaml").symlink_to("../secret.yaml")
    evil.profile(**{key: path})
    ran = evil.use(command)
    check_refused(ran, f"ergo.toml profiles.default.{key}")
    assert "root:" not in ran.stdout + ran.stderr
    assert evil.untouched()
    named = evil.use(command, "--project", evil.root)
    assert named.report["error"]["code"] in {"graph.load_failed", "adapter.setup_failed"}


@pytest.mark.parametrize("name", ["ergo.toml", "pyproject.toml"])
def test_a_project_file_that_is_a_link_out_of_its_folder_is_not_read(evil: Folder, tmp_path: Path, name: str):
    evil.profile()
    (evil.root / "ergo.toml").rename(tmp_path / "secret.toml")
    (evil.root / name).symlink_to("../secret.toml")
    check_refused(evil.use("run"), name)
    assert evil.untouched()


def test_clusters_of_a_strangers_graph_are_those_in_the_folder(evil: Folder, tmp_path: Path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "inner.yaml").write_text(INNER)
    evil.profile(graph="outer.yaml")
    evil.write("outer.yaml", OUTER)
    (evil.root / "clusters").symlink_to("../own")
    check_refused(evil.use("run"), "clusters/inner.yaml")
    for command in ("validate", "graph"):
        ran = evil.ergo(command, "../evil/outer.yaml")
        assert (ran.exit_code, "program.import_refused" in ran.stdout) == (3, True)
    assert evil.use("run", "--project", evil.root).exit_code == 0
    (evil.root / "clusters").unlink()
    assert evil.use("run", "--cluster-path", tmp_path / "own").exit_code == 0
    evil.write("clusters/inner.yaml", INNER)
    assert evil.use("run").exit_code == 0


def test_a_replay_uses_what_a_stranger_may_give(evil: Folder, tmp_path: Path):
    evil.profile('egress = "live.toml"', 'store = "sqlite:../marker"', 'capture_output = "../marker"')
    options = ("-g", "g.yaml", "-a", "a.yaml", "-o", "b.json")
    captured = evil.ergo("capture", "events/monday.jsonl", *options, cwd=evil.root)
    assert captured.exit_code == 0
    assert evil.ergo("replay", "../evil/b.json", "--strict").exit_code == 0
    for command in ("inspect", "validate"):
        assert evil.ergo(command, "../evil/b.json").exit_code == 0
    event = json.loads((evil.root / "b.json").read_text())["events"][0]["event_id"]
    assert evil.ergo("explain", "../evil/b.json", "--event", event).exit_code == 0
    assert evil.ergo("diff", "../evil/b.json", "../evil/b.json").exit_code == 0
    evil.profile(graph="/etc/passwd")
    check_refused(evil.ergo("replay", "../evil/b.json"), "ergo.toml profiles.default.graph")
    assert evil.untouched()


def test_validate_reads_a_strangers_project_within_its_folder(evil: Folder, tmp_path: Path):
    (tmp_path / "secret.toml").write_text(EGRESS)
    evil.profile('egress = "live.toml"', 'capture_output = "../marker"', 'fixture = "events/monday.jsonl"')
    assert evil.ergo("validate", "../evil/ergo.toml").exit_code == 0
    for key, value in [
        ("egress", '"../secret.toml"'),
        ("fixture", '"../secret.toml"'),
        ("ingress", '{type = "process", command = ["python3", "/etc/x.py"]}'),
    ]:
        evil.profile(f"{key} = {value}")
        check_refused(evil.ergo("validate", "../evil/ergo.toml"), f"ergo.toml profiles.default.{key}")
    assert evil.untouched()


def test_validate_knows_the_current_project_by_any_path(evil: Folder, tmp_path: Path):
    (tmp_path / "own.yaml").write_text((evil.root / "g.yaml").read_text())
    evil.profile(graph="../own.yaml")
    assert evil.ergo("validate", "../ergo.toml", cwd=evil.root / "events").exit_code == 0
    assert evil.ergo("validate", "../evil/ergo.toml").exit_code == 3
    assert evil.ergo("validate", "../evil/ergo.toml", "--project", evil.root).exit_code == 0


def test_a_folder_below_the_current_project_is_no_strangers(evil: Folder, tmp_path: Path):
    evil.profile('capture_output = "../marker"')
    assert evil.ergo("capture", "monday.jsonl", cwd=evil.root / "events").exit_code == 0
    assert json.loads(evil.marker.read_text())["capture_version"]
