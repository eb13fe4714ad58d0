"""Read authored files as texts of limited size, and TOML tables key by key, collecting all faults (spec 00 §12.4–5)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Set
from datetime import date, datetime
from os import PathLike
from pathlib import Path
from typing import Protocol, TypeVar, cast

from ergo_cli.core.beginnings import COMPRESSIONS, MARK, WITHOUT_MARK, compression, marked, marked_encoding
from ergo_cli.core.diagnostics import Notice, did_you_mean, nearest
from ergo_cli.core.documents import TEXT_LIMIT
from ergo_cli.core.numbers import U64_MAX
from ergo_cli.core.time import parse_duration
from ergo_cli.errors import DiscoveryError, DocumentError, ErgoError, ProjectError, headline, reason
from ergo_cli.events.adapter import Adapter, load_adapter, setup_failed


class NoText(ValueError):
    """A file that does not hold an authored text; the text is the reason, ``fix`` what to do."""

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.fix = fix


class TextTooLong(NoText):
    """An authored file of more than 8 MiB (spec 00 §12.4)."""


def read_text(path: Path) -> str:
    """The text of an authored file; a byte order mark of UTF-8 stays in it.

    Raises OSError if it cannot be read, TextTooLong beyond 8 MiB, NoText if it is compressed or is not UTF-8.
    """
    with path.open("rb") as file:
        content = file.read(TEXT_LIMIT + 1)
    form = compression(content)
    if form is not None:
        raise NoText(f"it is compressed with {COMPRESSIONS[form]}", "decompress it")
    if len(content) > TEXT_LIMIT:
        raise TextTooLong(f"the file is longer than the limit of {TEXT_LIMIT} bytes", "split or simplify it")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        encoding = marked_encoding(content)
        if encoding in (None, "UTF-8"):
            raise NoText(f"the file is not UTF-8 at byte {error.start}", "save it as UTF-8") from error
        raise NoText(marked(encoding), WITHOUT_MARK) from error


_DEPTH = 127
_DEEP_KEY = re.compile(rf"(?<![\w\"'-])(?:[\w\"'-]++[ \t]*+\.[ \t]*+){{{_DEPTH}}}")


def parse_toml(text: str, file: str, refuse: Refuse) -> Mapping[str, object]:
    """The top-level table of a TOML text. Raises the error made by ``refuse`` if it is invalid or too nested."""
    if text.startswith(MARK):
        raise refuse(file, marked("UTF-8"), where=f"{file}:1:1", fix=WITHOUT_MARK)
    if _DEEP_KEY.search(text):
        raise refuse(file, f"a key has more than {_DEPTH} parts", fix="nest values less deeply")
    import tomllib  # imported only if there is a file to read

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise refuse(file, str(error), where=_place(file, str(error)), fix="mend the TOML") from error
    except RecursionError as error:
        raise refuse(file, "values are nested too deeply", fix="nest values less deeply") from error
    except ValueError as error:  # int() raises it: the parser does not check the length of integers
        raise refuse(file, "an integer has too many digits", fix="write a shorter integer") from error


def _place(file: str, message: str) -> str:
    match = re.search(r"at line (\d+), column (\d+)", message)
    return f"{file}:{match[1]}:{match[2]}" if match else file


T = TypeVar("T")

_READABLE_BITS = 128


def parse_fault(file: str, reason: str, *, where: str | None = None, fix: str | None = None) -> ProjectError:
    """The ``PRJ-PARSE`` error for ``file``; ``reason`` says what is wrong and names the key."""
    return ProjectError("PRJ-PARSE", f"failed to parse '{file}': {reason}", where=where or file, fix=fix)


class Refuse(Protocol):
    """Makes the error for a file; ``reason`` says what is wrong with it."""

    def __call__(self, file: str, reason: str, *, where: str | None = None, fix: str | None = None) -> ErgoError:
        """The error, to be raised."""
        ...


class Findings:
    """Faults and notices of one file, in the order found; ``refuse`` makes the faults."""

    def __init__(self, file: str, refuse: Refuse = parse_fault) -> None:
        self.file = file
        self.faults: list[ErgoError] = []
        self.notices: list[Notice] = []
        self._refuse = refuse

    def fault(self, path: str, reason: str, fix: str) -> None:
        """Record a fault of the key at ``path``."""
        self.faults.append(self._refuse(self.file, f"key '{path}' {reason}", where=f"{self.file} {path}", fix=fix))

    def raise_first(self) -> None:
        """Raise the first fault, if any, with the others as its causes."""
        if self.faults:
            raise headline(self.faults)


class Table:
    """One TOML table. Reading a key marks it as known; ``finish`` reports all others as unknown."""

    def __init__(self, members: Mapping[str, object], path: str, findings: Findings) -> None:
        self._members = members
        self._path = path
        self._findings = findings
        self._asked: set[str] = set()

    def place(self, key: str) -> str:
        """The full name of ``key``: ``profiles.live.graph``."""
        return f"{self._path}.{key}" if self._path else key

    @property
    def names(self) -> Set[str]:
        """The keys that are written."""
        return self._members.keys()

    @property
    def path_of_table(self) -> str:
        """The full name of the table itself."""
        return self._path

    def has(self, key: str) -> bool:
        """Whether the table has ``key``."""
        return key in self._members

    def require(self, key: str, example: str) -> None:
        """Record a fault if ``key`` is missing."""
        if key not in self._members:
            self.fault(key, "is missing", f"add {example}")

    def fault(self, key: str | None, reason: str, fix: str) -> None:
        """Record a fault of ``key``; None means the table itself."""
        self._findings.fault(self._path if key is None else self.place(key), reason, fix)

    def string(self, key: str) -> str | None:
        """A string, or None if the key is absent or wrong."""
        return self._typed(key, str, "a string", f'write {key} = "…"')

    def path(self, key: str) -> str | None:
        """A string that can name a file: neither empty nor with a zero byte."""
        text = self.string(key)
        if text is not None and (not text or "\0" in text):
            self.fault(key, f"must be the path of a file, got {_noun(text)}", f'write {key} = "…"')
        return text

    def required_string(self, key: str, default: str | None = None) -> str:
        """A string; without ``default`` an absent key is a fault."""
        if default is None:
            self.require(key, f'{key} = "…"')
        return self.string(key) or default or ""

    def boolean(self, key: str) -> bool:
        """A bool, false if the key is absent."""
        return self._typed(key, bool, "true or false", f"write {key} = true or {key} = false") or False

    def count(self, key: str) -> int | None:
        """An integer from 0 to 2**64-1."""
        fix = f"write {key} as a whole number from 0 to {U64_MAX}"
        number = self._typed(key, int, "an integer", fix)
        if number is not None and not 0 <= number <= U64_MAX:
            self.fault(key, f"must be an integer from 0 to {U64_MAX}, got {_digits(number)}", fix)
        return number

    def duration(self, key: str) -> int | None:
        """Nanoseconds of a duration literal (spec 21 §10.2)."""
        fix = f'write {key} as digits and one of ms, s, m, h: {key} = "1500ms"'
        text = self._typed(key, str, "a duration string", fix)
        if text is None:
            return None
        try:
            return parse_duration(text)
        except ValueError as error:
            self.fault(key, f"is wrong: {error}", fix)
            return None

    def choice(self, key: str, read: Callable[[str], T], words: str) -> T | None:
        """A string that ``read`` accepts; ``words`` describes the accepted ones."""
        text = self.string(key)
        if text is None:
            return None
        try:
            return read(text)
        except ValueError:
            self.fault(key, f"must be {words}, got '{text}'", f"write {key} as {words}")
            return None

    def strings(self, key: str) -> tuple[str, ...] | None:
        """A list of strings."""
        fix = f'write {key} = ["…", "…"]'
        items = cast("list[object] | None", self._typed(key, list, "a list of strings", fix))
        if items is None:
            return None
        texts = tuple(item for item in items if isinstance(item, str))
        if len(texts) < len(items):
            self.fault(key, "must be a list of strings", fix)
        return texts

    def string_or_strings(self, key: str) -> tuple[str, ...] | None:
        """A string or a list of them."""
        if isinstance(self._members.get(key), list):
            return self.strings(key)
        text = self._typed(key, str, "a string or a list of strings", f'write {key} = "…" or {key} = ["…"]')
        return None if text is None else (text,)

    def table(self, key: str) -> Table | None:
        """The table at ``key``."""
        fix = f"write [{self.place(key)}]"
        members = cast("dict[str, object] | None", self._typed(key, dict, "a table", fix))
        return None if members is None else Table(members, self.place(key), self._findings)

    def tables(self, key: str) -> dict[str, Table]:
        """The tables in the required table at ``key``; names ascending."""
        self.require(key, f"[{self.place(key)}]; it may be empty")
        outer = self.table(key)
        if outer is None:
            return {}
        found = {name: outer.table(name) for name in sorted(outer._members)}
        return {name: table for name, table in found.items() if table is not None}

    def list_of_tables(self, key: str) -> tuple[Table, ...]:
        """The tables of a list, written as ``[[key]]``; none if the key is absent."""
        fix = f"write [[{self.place(key)}]]"
        items = cast("list[object] | None", self._typed(key, list, "a list of tables", fix)) or []
        tables = [cast("dict[str, object]", item) for item in items if isinstance(item, dict)]
        if len(tables) < len(items):
            self.fault(key, "must be a list of tables", fix)
        return tuple(Table(item, f"{self.place(key)}[{at}]", self._findings) for at, item in enumerate(tables))

    def required_date(self, key: str) -> date:
        """A day, as TOML writes it or as a string."""
        self._asked.add(key)
        value, fix = self._members.get(key), f"write {key} = 2027-03-31"
        if value is None:
            self.require(key, f"{key} = 2027-03-31")
        elif isinstance(value, date) and not isinstance(value, datetime):
            return value
        else:
            try:
                return date.fromisoformat(value if isinstance(value, str) else "")
            except ValueError:
                self.fault(key, f"must be a day, got {_noun(value)}", fix)
        return date.max

    def refuse_like(self, key: str, example: str) -> None:
        """Record a fault for every table that was not read and whose name most likely stands for ``key``."""
        for name in self._unread():
            is_of_tables = isinstance(self._members[name], dict | list)
            if is_of_tables and nearest(name, {*self._asked, key}) == key:
                self.fault(name, f"is unknown; did you mean '{key}'?", f"write {example}")
                self._asked.add(name)

    def refuse_unknown(self) -> None:
        """Record a fault for every key that was not read."""
        known = ", ".join(sorted(self._asked))
        for key in self._unread():
            meant = nearest(key, self._asked - self._members.keys())
            fix = f"remove it; known are {known}" if meant is None else f"rename it to '{meant}'"
            self.fault(key, "is unknown", fix)

    def finish(self) -> None:
        """Record a notice for every key that was not read."""
        for key in self._unread():
            place = self.place(key)
            meant = did_you_mean(key, self._asked)
            message = f"unknown key '{place}' is ignored" + (f"; {meant}" if meant else "")
            self._findings.notices.append(Notice(message, f"{self._findings.file} {place}"))

    def _unread(self) -> list[str]:
        return sorted(self._members.keys() - self._asked)

    def _typed(self, key: str, expected: type[T], noun: str, fix: str) -> T | None:
        self._asked.add(key)
        value = self._members.get(key)
        if value is None:
            return None
        if type(value) is expected:
            return value
        self.fault(key, f"must be {noun}, got {_noun(value)}", fix)
        return None


def _noun(value: object) -> str:
    match value:
        case bool():
            return "a bool"
        case int():
            return f"the number {_digits(value)}"
        case float():
            return f"the number {value}"
        case str():
            return f"the string '{value}'"
        case list():
            return "a list"
        case dict():
            return "a table"
        case _:
            return f"the date or time {value}"


def _digits(number: int) -> str:
    """The number in digits, or its bit length if it has too many digits to read."""
    return str(number) if number.bit_length() <= _READABLE_BITS else f"one of {number.bit_length()} bits"


def load_adapter_file(path: str | PathLike[str]) -> Adapter:
    """The adapter at ``path``. Raises AdapterError ``adapter.setup_failed``."""
    path = Path(path)
    try:
        text = read_text(path)
    except NoText as error:
        fault = DocumentError("DEC-SYNTAX", f"parse adapter '{path}': {error}", where=str(path), fix=error.fix)
        raise setup_failed(str(path), [fault]) from error
    except (OSError, ValueError) as error:
        message = f"io error at '{path}': {reason(error)}"
        fault = DiscoveryError("LOAD-IO", message, where=str(path), fix="name an adapter manifest that can be read")
        raise setup_failed(str(path), [fault]) from error
    return load_adapter(text, str(path))


def notices_of(adapter: Adapter | None) -> tuple[Notice, ...]:
    """The notices from loading the adapter."""
    return () if adapter is None else tuple(adapter.notices)
