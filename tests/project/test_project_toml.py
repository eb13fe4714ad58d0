from __future__ import annotations

from pathlib import Path

import pytest

from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import ProjectError
from ergo_cli.project.project_file import ProcessIngress, ProgramKey, read_project, read_project_if_any

HEAD = 'name = "plant"\nversion = "0.3.0"\n'


def project(write, body: str, head: str = HEAD):
    return read_project(write("ergo.toml", head + body))


def refused(write, body: str, head: str = HEAD) -> ProjectError:
    with pytest.raises(ProjectError) as caught:
        project(write, body, head)
    return caught.value


def test_every_key_is_read(write):
    read = project(
        write,
        """\
primitives = "plant.primitives"
ignore = ["effects[*].writes"]
numbers = "original"
[profiles.live]
graph = "graphs/plant.yaml"
adapter = "adapters/plant.yaml"
egress = "egress/live.toml"
capture_output = "captures/live.json"
store = "sqlite:runs.db"
run_id = "$payload.run"
pretty_capture = true
embed = true
max_events = 18446744073709551615
max_in_flight = 1
max_per_window = 2
max_retries = 3
max_duration = "1500ms"
rate_window = "5s"
deadline = "2m"
numbers = "exact"
primitives = ["a.b", "c"]
ignore = ["deadline"]
[profiles.live.ingress]
type = "process"
command = ["python3", "live.py"]
""",
    )
    live = read.profiles["live"]
    assert (read.name, read.version, read.primitives, read.ignore, read.numbers) == (
        "plant",
        "0.3.0",
        ("plant.primitives",),
        ("effects[*].writes",),
        Numbers.ORIGINAL,
    )
    assert live.program == ProgramKey("graph", "graphs/plant.yaml")
    assert live.ingress == ProcessIngress(("python3", "live.py"))
    assert (live.adapter, live.egress, live.capture_output) == (
        "adapters/plant.yaml",
        "egress/live.toml",
        "captures/live.json",
    )
    assert (live.store, live.run_id, live.pretty_capture, live.embed) == ("sqlite:runs.db", "$payload.run", True, True)
    assert (live.max_events, live.max_in_flight, live.max_per_window, live.max_retries) == (2**64 - 1, 1, 2, 3)
    assert (live.max_duration, live.rate_window, live.deadline) == (1_500_000_000, 5_000_000_000, 120_000_000_000)
    assert (live.numbers, live.primitives, live.ignore) == (Numbers.EXACT, ("a.b", "c"), ("deadline",))
    assert read.notices == ()


@pytest.mark.parametrize("kind", ["kernel"])
def test_a_program_written_in_python_is_a_module_and_an_attribute(write, kind):
    read = project(write, f'[profiles.p]\n{kind} = "agent.program:program"\n')
    assert read.profiles["p"].program == ProgramKey(kind, "agent.program:program")
    assert f"key 'profiles.p.{kind}' must be \"module:attribute\", got 'agent.py'" in str(
        refused(write, f'[profiles.p]\n{kind} = "agent.py"\n')
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("graph = 5", "key 'profiles.p.graph' must be a string, got the number 5"),
        ('graph = "g"\nmax_events = true', "key 'profiles.p.max_events' must be an integer, got a bool"),
        ('graph = "g"\nmax_events = "5"', "must be an integer, got the string '5'"),
        ('graph = "g"\nmax_events = -1', "must be an integer from 0 to 18446744073709551615, got -1"),
        ('graph = "g"\nmax_retries = 18446744073709551616', "got 18446744073709551616"),
        ('graph = "g"\nmax_duration = 5', "key 'profiles.p.max_duration' must be a duration string, got the number 5"),
        ('graph = "g"\nembed = 1', "must be true or false, got the number 1"),
        ('graph = "g"\nignore = "deadline"', "must be a list of strings, got the string 'deadline'"),
        ('graph = "g"\nignore = ["a", 1]', "must be a list of strings"),
        ('graph = "g"\nprimitives = 1', "must be a string or a list of strings"),
        ('graph = "g"\nnumbers = "Exact"', 'must be "exact" or "original", got \'Exact\''),
        ('graph = "g"\nstore = "mysql:x"', "key 'profiles.p.store' must be"),
        ('graph = "g"\nadapter = 2024-01-01', "got the date or time 2024-01-01"),
        ('graph = "g"\ningress = "process"', "key 'profiles.p.ingress' must be a table"),
        ('graph = "g"\ningress = {type = "pipe", command = []}', "must be \"process\", got 'pipe'"),
        ('graph = "g"\ningress = {command = ["a"]}', "key 'profiles.p.ingress.type' is missing"),
        ('graph = "g"\ningress = {type = "process"}', "key 'profiles.p.ingress.command' is missing"),
        ('graph = "g"\nkernel = "m:a"', "exactly one of graph, kernel, plan, pipeline, but declares graph and kernel"),
        (
            'fixture = "e.jsonl"',
            "key 'profiles.p' must declare exactly one of graph, kernel, plan, pipeline, but declares none",
        ),
    ],
)
def test_a_wrong_value_is_named_with_key_and_file(write, tmp_path: Path, line, words):
    error = refused(write, f"[profiles.p]\n{line}\n")
    assert error.code == "PRJ-PARSE"
    assert error.message.startswith(f"failed to parse '{tmp_path / 'ergo.toml'}': ")
    assert words in error.message
    assert str(error.where).startswith(f"{tmp_path / 'ergo.toml'} profiles.p")
    assert error.fix


def test_all_faults_are_found_at_once(write):
    error = refused(write, '[profiles.a]\ngraph = 1\n[profiles.b]\ngraph = "g"\ndeadline = "5"\n', head='name = "n"\n')
    assert [cause.message.split("': ", 1)[1] for cause in (error, *error.causes)] == [
        "key 'version' is missing",
        "key 'profiles.a.graph' must be a string, got the number 1",
        "key 'profiles.b.deadline' is wrong: unsupported duration '5' (expected suffix ms|s|m|h)",
    ]


def test_profiles_must_be_written_but_may_be_empty(write):
    assert "key 'profiles' is missing" in refused(write, "").message
    assert "key 'profiles' must be a table" in refused(write, "profiles = 1\n").message
    assert "key 'profiles.p' must be a table" in refused(write, "[profiles]\np = 1\n").message
    assert project(write, "[profiles]\n").profiles == {}


def test_profiles_ascend_by_name(write):
    body = "".join(f'[profiles.{name}]\ngraph = "g"\n' for name in ("zeta", "alpha", "Mid"))
    assert list(project(write, body).profiles) == ["Mid", "alpha", "zeta"]


def test_unknown_keys_are_notices_with_their_path(write, tmp_path: Path):
    read = project(write, 'colour = 1\n[profiles.p]\ngraph = "g"\nshape = {a = 1}\n')
    place = tmp_path / "ergo.toml"
    assert [(notice.message, notice.where) for notice in read.notices] == [
        ("unknown key 'profiles.p.shape' is ignored", f"{place} profiles.p.shape"),
        ("unknown key 'colour' is ignored", f"{place} colour"),
    ]


def test_toml_that_is_none_is_refused_with_its_place(write, tmp_path: Path):
    error = refused(write, "[profiles\n")
    assert (error.code, error.where) == ("PRJ-PARSE", f"{tmp_path / 'ergo.toml'}:3:10")


def test_a_key_twice_is_refused(write):
    assert refused(write, "[profiles]\n", head=HEAD + 'name = "again"\n').code == "PRJ-PARSE"


def test_deep_nesting_bad_utf8_and_size_are_refused(write, tmp_path: Path):
    assert "nested too deeply" in refused(write, "x = " + "[" * 5000 + "]" * 5000 + "\n").message
    path = tmp_path / "ergo.toml"
    path.write_bytes(b'name = "\xff"')
    with pytest.raises(ProjectError, match="not UTF-8 at byte 8"):
        read_project(path)
    path.write_bytes(b"#" * (8 * 1024 * 1024 + 1))
    with pytest.raises(ProjectError, match="longer than the limit of 8388608 bytes"):
        read_project(path)


def test_a_file_that_cannot_be_read(tmp_path: Path):
    with pytest.raises(ProjectError, match="failed to read") as caught:
        read_project(tmp_path / "ergo.toml")
    assert caught.value.code == "PRJ-READ"


def test_pyproject_takes_name_and_version_of_the_project_table(write):
    file = write(
        "pyproject.toml",
        '[project]\nname = "pkg"\nversion = "9"\n[tool.ergo]\nversion = "1"\n[tool.ergo.profiles.p]\ngraph = 1\n',
    )
    with pytest.raises(ProjectError, match=r"key 'tool\.ergo\.profiles\.p\.graph' must be a string"):
        read_project(file)
    file.write_text(file.read_text().replace("graph = 1", 'graph = "g"'))
    read = read_project(file)
    assert (read.name, read.version, list(read.profiles)) == ("pkg", "1", ["p"])


def test_pyproject_without_the_table_is_no_project(write):
    assert read_project_if_any(write("pyproject.toml", '[project]\nname = "ergonomic"\n[tool]\nx = 1\n')) is None
    assert read_project_if_any(write("pyproject.toml", "this is no TOML")) is None
    with pytest.raises(ProjectError, match=r"there is no table \[tool\.ergo\]"):
        read_project(write("pyproject.toml", '[project]\nname = "x"\n'))


@pytest.mark.parametrize("name", ["redacts", "redacted", "Redact"])
@pytest.mark.parametrize("body", ["{}[profiles.live]\ngraph = 'g.yaml'\n", "[profiles.live]\ngraph = 'g.yaml'\n{}"])
def test_a_key_that_most_likely_means_redact_is_refused(write, name: str, body: str) -> None:
    """A warning alone would let what it is there to keep out into the bundle."""
    error = refused(write, body.format(f'{name} = ["payload.token"]\n'))
    assert "did you mean 'redact'?" in error.message
