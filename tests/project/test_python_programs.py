"""Programs written in Python: which files make their fingerprint, and what is told of those that cannot be had."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from ergo_cli.errors import ProgramError
from ergo_cli.programs.kernel import KernelProgram
from ergo_cli.programs.kernel.kind import KIND as KERNEL
from ergo_cli.project.finding import ProgramFlags, RecordedProgram, find_program_for_replay, find_program_for_run
from ergo_cli.project.project_file import Project, load_project
from ergo_cli.project.python_programs import PythonProgram, load_python_program, python_provenance, python_sources
from ergo_cli.project.store import ProgramStore

TOML = 'name = "n"\nversion = "1"\n[profiles.default]\nkernel = "{package}.program:program"\n'
PROGRAM = """
from ergo_cli.programs.kernel import Complete, KernelProgram
def step(state):
    return Complete()
program = KernelProgram("tale", lambda payload: 0, step, "{package}.world:execute", version="3")
"""


class Home:
    """A project with one program in a package of its own name, so that tests do not meet in ``sys.modules``."""

    def __init__(self, write, folder: Path, package: str, toml: str = TOML) -> None:
        self._write = write
        self._folder = folder.name
        self.package = package
        self.file("program.py", PROGRAM)
        self.root = write(f"{self._folder}/ergo.toml", toml.format(package=package)).parent

    def file(self, name: str, text: str) -> Path:
        return self._write(f"{self._folder}/{self.package}/{name}", text.format(package=self.package))

    @property
    def project(self) -> Project:
        return load_project(self.root)

    def load(self, ref: str = "program:program", kind: str | None = None) -> PythonProgram:
        return load_python_program(self.project, f"{self.package}.{ref}", kind)


@pytest.fixture
def home(write, in_folder: Path, request: pytest.FixtureRequest) -> Home:
    return Home(write, in_folder, "tale_" + sha256(request.node.nodeid.encode()).hexdigest()[:12])


def modules(home: Home, name: str = "program") -> list[str]:
    file = home.root / home.package / f"{name}.py"
    return [source.module.removeprefix(f"{home.package}.") for source in python_sources(f"{home.package}.{name}", file)]


# --- the fingerprint


def test_the_fingerprint_is_over_kind_reference_version_and_files():
    empty, x = sha256(b"").hexdigest(), sha256(b"x").hexdigest()
    files = [("agent.rules", x), ("agent.program", empty)]
    text = (
        '{"kind":"kernel","ref":"agent.program:program","version":"1",'
        f'"sources":[["agent.program","{empty}"],["agent.rules","{x}"]]}}'
    )
    made = python_provenance("kernel", "kpv1", "agent.program:program", "1", files)
    assert made == f"kpv1:sha256:{sha256(text.encode()).hexdigest()}"
    assert made == "kpv1:sha256:550ae98770c22d5e0aeba4c2c96606d06e019d0e4fe984fcbd314f4cd56557f4"


def test_a_changed_file_changes_it_and_an_unrelated_one_does_not(home: Home):
    before = home.load()
    home.file("stranger.py", "x = 1\n")
    assert home.load().program.provenance == before.program.provenance
    home.file("program.py", PROGRAM + "\n")
    after = home.load()
    assert after.program.provenance != before.program.provenance
    made = (after.program.graph_id, after.program.ref, after.program.kind)
    assert made == ("tale", f"{home.package}.program:program", KERNEL)


def test_files_are_the_modules_of_the_package_that_import_statements_name(home: Home):
    home.file("a.py", "import {package}.b\ndef late():\n    from {package} import c\n")
    home.file("b.py", "from . import d, e\nfrom .sub.deep import thing\nimport os, json\n")
    for name in ("c.py", "d.py", "sub/deep.py", "unnamed.py"):
        home.file(name, "")
    home.file("sub/__init__.py", "from ..f import g\n")
    home.file("f.py", "if False:\n    import {package}.g as other, {package}.missing\n")
    home.file("g.py", "from .a import late\nfrom json import decoder\n")
    assert modules(home, "a") == ["a", "b", "c", "d", "sub.deep"]
    home.file("d.py", "from {package} import sub\n")
    assert modules(home, "a") == ["a", "b", "c", "d", "f", "g", "sub", "sub.deep"]


def test_a_package_is_named_where_something_is_imported_from_it(home: Home):
    home.file("a.py", "from {package} import VALUE\n")
    home.file("__init__.py", "from .b import *\nVALUE = 1\n")
    home.file("b.py", "")
    assert modules(home, "a") == [home.package, "a", "b"]


def test_a_single_file_is_its_own_package(write, in_folder: Path):
    file = write("elsewhere/alone.py", "import alone, json\nfrom alone import x\n")
    write("elsewhere/json.py", "")
    [source] = python_sources("alone", file)
    assert (source.module, source.path) == ("alone", "alone.py")


def test_the_executor_is_no_part_of_it_and_imported_only_for_live_runs(home: Home):
    program = home.load()
    assert [file.path for file in program.files] == [f"{home.package}/program.py"]
    home.file("world.py", "raise RuntimeError('touched')\n")
    assert home.load().program.provenance == program.program.provenance
    with pytest.raises(ProgramError, match="RuntimeError: touched") as caught:
        home.load().live()
    assert str(caught.value.where).endswith("world.py:1")
    home.file("world.py", "def execute(action, call): return 7\n")
    live = home.load().live()
    assert isinstance(live.value, KernelProgram)
    assert live.value.execute(None, None) == 7  # type: ignore[operator,arg-type]
    assert live.provenance == program.program.provenance


def test_embedded_files_are_utf_8(home: Home):
    [source] = home.load().sources
    assert (source.path, source.is_intact) == (f"{home.package}/program.py", True)
    place = home.root / home.package / "program.py"
    place.write_bytes(b"# coding: latin-1\n# \xe4\n" + place.read_bytes())
    with pytest.raises(ProgramError, match="cannot be embedded"):
        _ = home.load().sources


# --- what cannot be had


def test_modules_are_imported_from_trusted_projects_only(write, in_folder: Path, tmp_path: Path):
    far = Home(write, tmp_path / "far", "tale_far")
    events = write("far/events.jsonl", "")
    with pytest.raises(ProgramError, match="found beside an input file") as caught:
        find_program_for_run(ProgramFlags(), events)
    assert caught.value.code == "program.import_refused"
    found = find_program_for_run(ProgramFlags(project=far.root), events)
    assert found.program.graph_id == "tale"
    with pytest.raises(ProgramError, match="there is none"):
        find_program_for_run(ProgramFlags(program="tale_far.program:program"))


@pytest.mark.parametrize(
    ("ref", "code", "message", "where", "fix"),
    [
        (
            "qqqqqqqqqqqq:program",
            "import_failed",
            "qqqqqqqqqqqq' was not found",
            "option --program",
            "module:attribute",
        ),
        ("program:progam", "import_failed", "has no attribute 'progam'", "option --program", "program"),
        (
            "program:program.nothing",
            "import_failed",
            "has no attribute 'program.nothing'",
            "option --program",
            "attribute",
        ),
        ("program:step", "wrong_kind", "is a function, not a program", "option --program", "KernelProgram"),
        ("syntax:program", "import_failed", "SyntaxError", "syntax.py:2", "mend the module"),
        ("raising:program", "import_failed", "ZeroDivisionError: division by zero", "raising.py:2", "mend the module"),
        ("leaving:program", "import_failed", "SystemExit: 3", "leaving.py:1", "mend the module"),
        ("ending:program", "import_failed", "BaseException: x", "ending.py:1", "mend the module"),
        ("mute:program", "import_failed", "cannot be imported: Mute$", "mute.py:4", "mend the module"),
        ("lazy:program", "import_failed", "lazy:program' cannot be read: RuntimeError: no", "lazy.py:2", "mend"),
        (
            "needing:program",
            "import_failed",
            "No module named 'nowhere_to_be_found'",
            "needing.py:1",
            "mend the module",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(home: Home, ref: str, code: str, message: str, where: str, fix: str):
    home.file("syntax.py", "x = 1\ndef (\n")
    home.file("raising.py", "x = 0\ny = 1 / x\n")
    home.file("leaving.py", "raise SystemExit(3)\n")
    home.file("ending.py", "raise BaseException('x')\n")
    home.file("mute.py", "class Mute(Exception):\n    def __str__(self):\n        return 1 / 0\nraise Mute\n")
    home.file("lazy.py", "def __getattr__(name):\n    raise RuntimeError('no')\n")
    home.file("needing.py", "import nowhere_to_be_found\n")
    with pytest.raises(ProgramError, match=message) as caught:
        home.load(ref)
    assert caught.value.code == f"program.{code}"
    assert where in str(caught.value.where)
    assert fix in str(caught.value.fix)


def test_a_reference_without_attribute_is_refused(home: Home):
    with pytest.raises(ProgramError, match="names no attribute"):
        load_python_program(home.project, f"{home.package}.program")


def test_the_object_must_be_of_the_profiles_kind(home: Home):
    with pytest.raises(ProgramError, match="is a function, not a kernel program") as caught:
        home.load("program:step", kind="kernel")
    assert caught.value.code == "program.wrong_kind"
    with pytest.raises(ProgramError, match="is a KernelProgram, not a graph program") as caught:
        home.load(kind="graph")
    assert caught.value.code == "program.wrong_kind"


def test_a_kind_that_is_not_registered_is_unknown(home: Home):
    with pytest.raises(ProgramError, match="there is no kind of program 'poem'") as caught:
        home.load(kind="poem")
    assert caught.value.code == "program.unknown_kind"


def test_an_executor_must_be_callable(home: Home):
    home.file("world.py", "execute = 5\n")
    with pytest.raises(ProgramError, match="cannot be called"):
        home.load().live()


# --- finding


def test_a_flag_and_a_profile_find_the_program(home: Home):
    ref = f"{home.package}.program:program"
    found = find_program_for_run(ProgramFlags())
    assert (found.rule, found.program.ref) == ("profile default of ergo.toml", ref)
    flagged = find_program_for_run(ProgramFlags(program=ref))
    assert (flagged.rule, flagged.program.ref, flagged.profile) == ("flag --program", ref, None)


def test_a_bundle_alone_makes_nobody_import_anything(home: Home, tmp_path: Path):
    home.file("program.py", "raise SystemExit('imported')\n")
    (home.root / "ergo.toml").write_text('name = "n"\nversion = "1"\n[profiles]\n')
    bundle = RecordedProgram(
        home.root / "b.json", "tale", "kpv1:sha256:" + "0" * 64, "none", (), f"{home.package}.program:program"
    )
    with pytest.raises(ProgramError, match="neither the project nor a flag names") as caught:
        find_program_for_replay(bundle, ProgramFlags(), ProgramStore(tmp_path / "programs"))
    assert caught.value.code == "program.not_found"


def test_of_several_profiles_the_one_that_names_the_bundles_program_is_taken(home: Home, tmp_path: Path):
    ref = f"{home.package}.program:program"
    other = '[profiles.other]\nkernel = "nowhere:program"\n'
    text = TOML.format(package=home.package).replace("default", "mine")
    (home.root / "ergo.toml").write_text(text + other)
    bundle = RecordedProgram(home.root / "b.json", "tale", "kpv1:sha256:" + "0" * 64, "none", (), ref)
    found = find_program_for_replay(bundle, ProgramFlags(), ProgramStore(tmp_path / "programs"))
    assert (found.rule, found.program.ref) == ("profile mine of ergo.toml", ref)
