"""The project file: ``ergo.toml``, or ``[tool.ergo]`` of ``pyproject.toml`` (spec 21 §10.2, 00 §12.5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.notices import Notice
from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import ProjectError, reason
from ergo_cli.project.tables import Findings, Table, parse_fault
from ergo_cli.project.texts import read_text
from ergo_cli.project.toml_text import parse_toml

ERGO_TOML = "ergo.toml"
PYPROJECT_TOML = "pyproject.toml"

_MODULE_REF = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


class ProgramKey(Struct, frozen=True):
    """The program of a profile: ``kind`` is ``graph`` with a path, else a stateful kind with ``module:attribute``."""

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
    run_id: str | None = None
    pretty_capture: bool = False
    embed: bool = False
    max_events: int | None = None
    max_in_flight: int | None = None
    max_per_window: int | None = None
    max_retries: int | None = None
    max_duration: int | None = None
    rate_window: int | None = None
    deadline: int | None = None
    numbers: Numbers | None = None
    primitives: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()


class Project(Struct, frozen=True):
    """A project: ``root`` is the folder of ``file``, absolute; ``profiles`` ascend by name.

    ``trusted`` where its modules may be imported: it was found from the current folder upwards, or named.
    """

    file: Path
    root: Path
    name: str
    version: str
    profiles: Mapping[str, Profile]
    primitives: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    numbers: Numbers | None = None
    notices: tuple[Notice, ...] = ()
    trusted: bool = False


def read_project(file: Path) -> Project:
    """The project that ``file`` describes, durations of all profiles checked.

    Raises ProjectError: PRJ-READ (file cannot be read) or PRJ-PARSE (no TOML, a key missing or of a wrong type; all
    such faults at once, the first as headline).
    """
    project = read_project_if_any(file)
    if project is None:
        raise parse_fault(str(file), "there is no table [tool.ergo]", fix="add [tool.ergo], or write an ergo.toml")
    return project


def read_project_if_any(file: Path) -> Project | None:
    """As ``read_project``, but None for a ``pyproject.toml`` without ``[tool.ergo]``."""
    text = _text(file)
    if file.name != PYPROJECT_TOML:
        return _decode(parse_toml(text, str(file), parse_fault), file, prefix="", defaults={})
    if "ergo" not in text:
        return None
    document = parse_toml(text, str(file), parse_fault)
    members = _member(_member(document, "tool"), "ergo")
    if members is None:
        return None
    return _decode(members, file, prefix="tool.ergo", defaults=_member(document, "project") or {})


def _text(file: Path) -> str:
    try:
        return read_text(file)
    except OSError as error:
        fix = "make the file readable, or name another project with --project DIR"
        raise ProjectError("PRJ-READ", f"failed to read '{file}': {reason(error)}", where=str(file), fix=fix) from error
    except ValueError as error:
        raise parse_fault(str(file), str(error), fix="write the file in UTF-8, shorter than 8 MiB") from error


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
        numbers=_numbers(table),
        profiles={name: _profile(name, profile) for name, profile in table.tables("profiles").items()},
    )
    table.finish()
    findings.raise_first()
    return replace(project, notices=tuple(findings.notices))


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
        run_id=table.string("run_id"),
        pretty_capture=table.boolean("pretty_capture"),
        embed=table.boolean("embed"),
        max_events=table.count("max_events"),
        max_in_flight=table.count("max_in_flight"),
        max_per_window=table.count("max_per_window"),
        max_retries=table.count("max_retries"),
        max_duration=table.duration("max_duration"),
        rate_window=table.duration("rate_window"),
        deadline=table.duration("deadline"),
        numbers=_numbers(table),
        primitives=table.string_or_strings("primitives"),
        ignore=table.strings("ignore") or (),
    )
    if "\0" in name:
        table.fault(None, "has a zero byte in its name", "give the profile another name")
    table.finish()
    return profile


def _program(table: Table) -> ProgramKey:
    keys = {
        "graph": table.path("graph"),
        "kernel": table.choice("kernel", _module_ref, '"module:attribute"'),
        "plan": table.choice("plan", _module_ref, '"module:attribute"'),
        "pipeline": table.choice("pipeline", _module_ref, '"module:attribute"'),
    }
    written = [kind for kind in keys if table.has(kind)]
    if len(written) != 1:
        found = " and ".join(written) or "none"
        reason = f"must declare exactly one of graph, kernel, plan, pipeline, but declares {found}"
        table.fault(None, reason, 'write one of them: graph = "graphs/name.yaml"')
        return ProgramKey("graph", "")
    return ProgramKey(written[0], keys[written[0]] or "")


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
