"""The project file, ``ergo.toml`` or ``[tool.ergo]`` of ``pyproject.toml``: found and read (spec 21 §10, 00 §12.5)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import cast

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import ProgramError, ProjectError, reason
from ergo_cli.programs.kinds import KINDS, TEXTUAL, installed_kinds
from ergo_cli.project.authored import Findings, NoText, Table, parse_fault, parse_toml, read_text
from ergo_cli.stores.objects import URL_FORM, artifacts_url

ERGO_TOML = "ergo.toml"
PYPROJECT_TOML = "pyproject.toml"

IMPORT_REFUSED = "program.import_refused"
"""The code of everything that a project found beside an input file must not give (``trust``)."""

FOUND_BESIDE_INPUT = "the project was found beside an input file, not from the current folder"
NAME_IT = "change to the project's folder, or name it with --project DIR if you trust what it holds"

_MODULE_REF = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


class ProgramKey(Struct, frozen=True):
    """The program of a profile: its kind, and the path of its text or the ``module:attribute`` of its value."""

    kind: str
    ref: str


class ProcessIngress(Struct, frozen=True):
    """Events come from a process; ``command`` as written, possibly empty."""

    command: tuple[str, ...]


class Profile(Struct, frozen=True):
    """A profile as written: paths not joined, ingress not checked. Durations are ns; None is an absent key."""

    name: str
    program: ProgramKey
    fixture: str | None = None
    ingress: ProcessIngress | None = None
    adapter: str | None = None
    egress: str | None = None
    capture_output: str | None = None
    store: str | None = None
    artifacts: str | None = None
    run_id: str | None = None
    pretty_capture: bool = False
    embed: bool = False
    guard: bool = False
    max_events: int | None = None
    max_in_flight: int | None = None
    max_per_window: int | None = None
    max_retries: int | None = None
    max_duration: int | None = None
    rate_window: int | None = None
    deadline: int | None = None
    numbers: Numbers | None = None
    formats: bool = False
    primitives: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    allowed_names: tuple[str, ...] = ()
    redact: tuple[str, ...] = ()
    redact_key_file: str | None = None


class Expect(Struct, frozen=True):
    """Divergences that are expected until a day, as written: of bundles that ``bundle`` names, a path or a glob.

    ``why`` says why; ``where`` is the place of the table.
    """

    bundle: str
    kind: str | None
    node: str | None
    path: str | None
    until: date
    why: str
    where: str


class Project(Struct, frozen=True):
    """A project: ``root`` is the folder of ``file``, absolute; ``profiles`` ascend by name.

    ``trusted``: it was named, or found from the current folder upwards; what another may do is in ``trust``.
    """

    file: Path
    root: Path
    name: str
    version: str
    profiles: Mapping[str, Profile]
    primitives: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    allowed_names: tuple[str, ...] = ()
    redact: tuple[str, ...] = ()
    redact_key_file: str | None = None
    numbers: Numbers | None = None
    formats: bool = False
    notices: tuple[Notice, ...] = ()
    trusted: bool = False
    expects: tuple[Expect, ...] = ()


_EXPECT_HEADER = re.compile(r"\s*\[\[\s*(tool\s*\.\s*ergo\s*\.\s*)?expect\s*\]\]")
_REDACT = 'redact = ["payload.customer.email"]'


def read_project(file: Path) -> Project:
    """The project that ``file`` describes, durations of all profiles checked.

    Raises ProjectError: PRJ-READ (file cannot be read) or PRJ-PARSE (invalid TOML, a key missing or of a wrong type;
    all such faults at once, the first as headline).
    """
    project = read_project_if_any(file)
    if project is None:
        raise parse_fault(str(file), "there is no table [tool.ergo]", fix="add [tool.ergo], or write an ergo.toml")
    return project


def read_project_if_any(file: Path) -> Project | None:
    """As ``read_project``, but None for a ``pyproject.toml`` without ``[tool.ergo]``."""
    text = _text(file)
    if file.name != PYPROJECT_TOML:
        return _placed(_decode(parse_toml(text, str(file), parse_fault), file, prefix="", defaults={}), text)
    if "ergo" not in text:
        return None
    document = parse_toml(text, str(file), parse_fault)
    members = _member(_member(document, "tool"), "ergo")
    if members is None:
        return None
    return _placed(_decode(members, file, prefix="tool.ergo", defaults=_member(document, "project") or {}), text)


def _placed(project: Project, text: str) -> Project:
    """The project with the lines of its ``[[expect]]``, unless something else in the text looks like one."""
    lines = [number for number, line in enumerate(text.splitlines(), 1) if _EXPECT_HEADER.match(line)]
    if len(lines) != len(project.expects):
        return project
    file = str(project.file)
    placed = (
        replace(expect, where=f"{file}:{line}{expect.where.removeprefix(file)}")
        for expect, line in zip(project.expects, lines, strict=True)
    )
    return replace(project, expects=tuple(placed))


def _text(file: Path) -> str:
    try:
        return read_text(file)
    except OSError as error:
        fix = "make the file readable, or name another project with --project DIR"
        raise ProjectError("PRJ-READ", f"failed to read '{file}': {reason(error)}", where=str(file), fix=fix) from error
    except NoText as error:
        raise parse_fault(str(file), str(error), fix=error.fix) from error


def _member(document: Mapping[str, object] | None, key: str) -> Mapping[str, object] | None:
    value = (document or {}).get(key)
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else None


def _decode(members: Mapping[str, object], file: Path, prefix: str, defaults: Mapping[str, object]) -> Project:
    findings = Findings(str(file))
    table = Table(members, prefix, findings)
    project = Project(
        file=file,
        root=file.parent,
        name=table.required_string("name", _default(defaults, "name")),
        version=table.required_string("version", _default(defaults, "version")),
        primitives=table.string_or_strings("primitives") or (),
        ignore=table.strings("ignore") or (),
        allowed_names=table.strings("allowed_names") or (),
        redact=_redact(table),
        redact_key_file=table.path("redact_key_file"),
        numbers=_numbers(table),
        formats=table.boolean("formats"),
        expects=tuple(_expect(each, file) for each in table.list_of_tables("expect")),
        profiles={name: _profile(name, profile) for name, profile in table.tables("profiles").items()},
    )
    table.refuse_like("expect", f"[[{table.place('expect')}]]")
    table.refuse_like("redact", _REDACT)
    table.finish()
    findings.raise_first()
    return replace(project, notices=tuple(findings.notices))


def _expect(table: Table, file: Path) -> Expect:
    table.require("bundle", 'bundle = "captures/*.json"')
    expect = Expect(
        bundle=table.path("bundle") or "",
        kind=table.string("kind"),
        node=table.string("node"),
        path=table.string("path"),
        until=table.required_date("until"),
        why=table.required_string("why"),
        where=f"{file} {table.path_of_table}",
    )
    if os.path.isabs(expect.bundle) or ".." in Path(expect.bundle).parts:
        table.fault("bundle", "must lie below the project's folder", 'write bundle = "captures/*.json"')
    if table.has("why") and not expect.why.strip():
        table.fault("why", "must say why", 'write why = "…"')
    table.refuse_unknown()  # a key that is passed over lets more pass the gate than is meant
    return expect


def _default(defaults: Mapping[str, object], key: str) -> str | None:
    value = defaults.get(key)
    return value if isinstance(value, str) else None


def _profile(name: str, table: Table) -> Profile:
    profile = Profile(
        name=name,
        program=_program(table),
        fixture=table.path("fixture"),
        ingress=_ingress(table),
        adapter=table.path("adapter"),
        egress=table.path("egress"),
        capture_output=table.path("capture_output"),
        store=table.choice("store", _store, '"sqlite:PATH", "postgres:DSN" or "default"'),
        artifacts=table.choice("artifacts", artifacts_url, f"one of {URL_FORM}"),
        run_id=table.string("run_id"),
        pretty_capture=table.boolean("pretty_capture"),
        embed=table.boolean("embed"),
        guard=table.boolean("guard"),
        max_events=table.count("max_events"),
        max_in_flight=table.count("max_in_flight"),
        max_per_window=table.count("max_per_window"),
        max_retries=table.count("max_retries"),
        max_duration=table.duration("max_duration"),
        rate_window=table.duration("rate_window"),
        deadline=table.duration("deadline"),
        numbers=_numbers(table),
        formats=table.boolean("formats"),
        primitives=table.string_or_strings("primitives"),
        ignore=table.strings("ignore") or (),
        allowed_names=table.strings("allowed_names") or (),
        redact=_redact(table),
        redact_key_file=table.path("redact_key_file"),
    )
    if "\0" in name:
        table.fault(None, "has a zero byte in its name", "give the profile another name")
    table.refuse_like("expect", "[[expect]] beside the profiles")
    table.refuse_like("redact", _REDACT)
    table.finish()
    return profile


def _program(table: Table) -> ProgramKey:
    others = table.names - KINDS.keys() - set(Profile.__struct_fields__)
    added = [name for name in installed_kinds() if name in others] if others else []  # slow to look up
    written = [name for name in (*KINDS, *added) if table.has(name)]
    if len(written) != 1:
        found = " and ".join(written) or "none"
        reason = f"must declare exactly one of {', '.join((*KINDS, *added))}, but declares {found}"
        fix = f'write one of them: {TEXTUAL} = "graphs/name.yaml"'
        if others and not written:
            fix += f", or install the package that adds the kind {' or '.join(map(repr, sorted(others)))}"
        table.fault(None, reason, fix)
        for name in (*KINDS, *written):
            table.string(name)
        return ProgramKey(TEXTUAL, "")
    [kind] = written
    ref = table.path(kind) if kind == TEXTUAL else table.choice(kind, _module_ref, '"module:attribute"')
    return ProgramKey(kind, ref or "")


def _ingress(table: Table) -> ProcessIngress | None:
    ingress = table.table("ingress")
    if ingress is None:
        return None
    ingress.require("type", 'type = "process"')
    ingress.require("command", 'command = ["program", "argument"]')
    ingress.choice("type", _ingress_type, '"process"')
    command = ingress.strings("command") or ()
    ingress.finish()
    return ProcessIngress(command)


def _redact(table: Table) -> tuple[str, ...]:
    paths = table.strings("redact") or ()
    if paths:
        from ergo_cli.events.redaction import PATH_FIX, RedactionPath, RedactionPathFault  # most projects have none

        for path in paths:
            try:
                RedactionPath(path)
            except RedactionPathFault as fault:
                table.fault("redact", f"is wrong: {fault}", PATH_FIX)
    return paths


def _numbers(table: Table) -> Numbers | None:
    return table.choice("numbers", Numbers, '"exact" or "original"')


def _ingress_type(text: str) -> str:
    if text != "process":
        raise ValueError(text)
    return text


def _module_ref(text: str) -> str:
    if _MODULE_REF.fullmatch(text) is None:
        raise ValueError(text)
    return text


def _store(text: str) -> str:
    scheme, colon, place = text.partition(":")
    if text == "default" or (colon and place and scheme in {"sqlite", "postgres"}):
        return text
    raise ValueError(text)


def load_project(start: Path) -> Project:
    """The nearest project from ``start`` upwards; ``start`` may be a project file, any other file or a folder.

    Raises ProjectError: PRJ-ROOT if there is none, else as ``read_project``.
    """
    project = find_project(start)
    if project is None:
        raise _no_project(start)
    return project


def find_project(start: Path) -> Project | None:
    """As ``load_project``, but None if no project is found.

    In one folder ``ergo.toml`` wins over ``pyproject.toml``; a ``pyproject.toml`` without ``[tool.ergo]`` is skipped.
    The project is trusted if the search began in the current folder (spec 00 §12.5). Raises ProgramError
    ``program.import_refused`` for a file that is not trusted and a link out of its folder.
    """
    trusted = _is_current(_folder_of(start))
    for folder in _upwards(start):
        project = _project_in(folder, trusted)
        if project is not None:
            return replace(project, trusted=trusted)
    return None


def locate_project(input_file: Path | None = None, named: Path | None = None) -> Project | None:
    """The project of a command: ``named`` by ``--project``, else found from the current folder or the input file's.

    Raises ProjectError PRJ-ROOT if the named folder holds no project, or the current folder does not exist.
    """
    if named is not None:
        return _named_project(named)
    project = find_project(current_folder())
    if project is None and input_file is not None:
        project = find_project(input_file)
    return project


def current_folder() -> Path:
    """The current folder. Raises ProjectError PRJ-ROOT if it has been removed."""
    try:
        return Path.cwd()
    except OSError as error:
        message = f"the current folder cannot be found: {reason(error)}"
        fix = "change to a folder that exists"
        raise ProjectError("PRJ-ROOT", message, where="current folder", fix=fix) from error


def _named_project(named: Path) -> Project:
    project = _project_in(_folder_of(named), trusted=True)
    if project is None:
        raise _no_project(named)
    return replace(project, trusted=True)


def _is_current(folder: Path) -> bool:
    try:
        return folder == current_folder()
    except ProjectError:
        return False


def _project_in(folder: Path, trusted: bool) -> Project | None:
    for file, read in ((folder / ERGO_TOML, read_project), (folder / PYPROJECT_TOML, read_project_if_any)):
        if os.path.isfile(file):
            if not trusted and not is_below(file, folder):
                raise _leads_out(file)
            return read(file)
    return None


def is_below(path: Path, root: Path) -> bool:
    """Whether ``path`` ends in ``root`` once the links of both are followed."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def _upwards(start: Path) -> Iterator[Path]:
    folder = _folder_of(start)
    yield folder
    yield from folder.parents


def _folder_of(start: Path) -> Path:
    absolute = Path(os.path.normpath(start if start.is_absolute() else current_folder() / start))
    return absolute.parent if os.path.isfile(absolute) else absolute


def _leads_out(file: Path) -> ProgramError:
    return ProgramError(
        IMPORT_REFUSED,
        f"'{file}' is not read: it is a link out of its folder, and {FOUND_BESIDE_INPUT}",
        where=str(file),
        fix=NAME_IT,
    )


def _no_project(start: Path) -> ProjectError:
    message = f"could not discover project root from '{start}' (no {ERGO_TOML} found)"
    fix = f"write an {ERGO_TOML} there, name the project's folder with --project DIR, or name a graph with --graph FILE"
    return ProjectError("PRJ-ROOT", message, where=str(start), fix=fix)
