"""The scanner of ruamel.yaml where it is slow: it goes character by character through scalars, comments and blanks.

Here a pattern finds the whole run at once, so that megabytes take a second. What is read stays the same; a tag, an
anchor, an alias or a directive has a limit.
"""

# ruamel.yaml leaves its members untyped
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import re
from typing import Any

from ruamel.yaml.reader import Reader
from ruamel.yaml.scanner import Scanner, ScannerError
from ruamel.yaml.tokens import ScalarToken

from ergo_cli.core.json import NESTING_LIMIT

NAME_LIMIT = 1024
"""The most characters of a tag, an anchor, an alias or a directive."""

_AT_ONCE = "{1,1000}"
"""How often a pattern repeats before it is matched anew; a group that repeats keeps a place for every repetition.

No group repeats possessively: Python before 3.11.5 misreads a possessive group with alternatives.
"""

_BREAKS = r"\r\n\x85\u2028\u2029"
_COMMENT = rf"(?:#[^{_BREAKS}\0]*+)?"
_SKIPPED = re.compile(rf"(?: *+{_COMMENT}[{_BREAKS}]){_AT_ONCE}| ++{_COMMENT}|#[^{_BREAKS}\0]*+")
_SKIPPED_IN_FLOW = re.compile(_SKIPPED.pattern.replace(" *+", r"[ \t]*+").replace(" ++", r"[ \t]++"))
_BREAK = re.compile(f"[{_BREAKS}]")
_SPACES = re.compile(r" *+")
_END = rf"{_BREAKS}\0 \t"
_BRACKETS = r",\[\]{}"
_PLAIN = re.compile(rf"(?:[^{_END}:]++|:(?![{_END}])| ++(?![#{_END}]|:[{_END}])){_AT_ONCE}")
_PLAIN_IN_FLOW = re.compile(
    rf"(?:[^{_END}:{_BRACKETS}]++|:(?![{_END}])| ++(?![#{_END}{_BRACKETS}]|:[{_END}])){_AT_ONCE}"
)
_BLANKS_INSIDE = rf"[ \t]++(?![{_BREAKS}\0])"
_ESCAPE = re.compile(r"\\(?:[0abt\tnvfre \"/\\N_LP]|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})")
_DOUBLE = re.compile(rf'(?:[^{_BREAKS}\0 \t"\\]++|{_BLANKS_INSIDE}|{_ESCAPE.pattern}){_AT_ONCE}')
_SINGLE = re.compile(rf"(?:[^{_BREAKS}\0 \t']++|{_BLANKS_INSIDE}|''){_AT_ONCE}")
_LONG_NAME = re.compile(rf"[^\s,\[\]{{}}]{{{NAME_LIMIT}}}")
_LONG_LINE = re.compile(rf"[^\r\n]{{{NAME_LIMIT}}}")


class NestingError(ScannerError):
    """More brackets are open than a text may nest; the scanner looks far ahead of the parser."""


class LinearReader(Reader):
    """Moves over a run of characters at once."""

    def forward(self, length: int = 1) -> None:
        """Move over ``length`` characters, counting lines and columns."""
        end = self.pointer + length
        passed = self.buffer[self.pointer : end]
        if "\r" in passed:  # in front of an LF it is part of the line, else it ends one
            passed = (passed + self.buffer[end]).replace("\r\n", " \n")[:length].replace("\r", "\n")
        self.pointer = end
        self.index += length
        if lines := passed.count("\n"):
            self.line += lines
            self.column = 0
            passed = passed[passed.rfind("\n") + 1 :]
        self.column += len(passed) - passed.count("\ufeff")

    def matched(self, pattern: re.Pattern[str]) -> str:
        """Move over what ``pattern`` matches here as often as it does, and return it."""
        end = self.pointer
        while (match := pattern.match(self.buffer, end)) and match.end() > end:
            end = match.end()
        text = self.buffer[self.pointer : end]
        if text:
            self.forward(len(text))
        return text

    def comes(self, pattern: re.Pattern[str]) -> bool:
        """Whether ``pattern`` matches here."""
        return pattern.match(self.buffer, self.pointer) is not None


class LinearScanner(Scanner):
    """Scans what may be long with patterns; ``reader`` is a LinearReader."""

    def scan_to_next_token(self) -> None:
        """Skip blanks, comments and line breaks; a line break outside of brackets may be followed by a key."""
        reader = self.reader
        if reader.index == 0 and reader.peek() == "\ufeff":
            reader.forward()
        skipped = reader.matched(_SKIPPED_IN_FLOW if self.flow_level else _SKIPPED)
        if not self.flow_level and _BREAK.search(skipped):
            self.allow_simple_key = True

    def fetch_flow_collection_start(self, TokenClass: Any, to_push: str) -> None:  # noqa: N803
        """An opening bracket."""
        if self.flow_level == NESTING_LIMIT:
            raise NestingError(None, None, "nesting", self.reader.get_mark())
        super().fetch_flow_collection_start(TokenClass, to_push)

    def scan_plain(self) -> Any:
        """A scalar without quotes, a line at a time."""
        if self.scanner_processing_version == (1, 1):  # there `?` ends a scalar inside of brackets
            return super().scan_plain()
        reader, indent = self.reader, self.indent + 1
        start_mark = end_mark = reader.get_mark()
        chunks: list[str] = []
        spaces: list[str] = []
        while reader.peek() != "#":
            line = reader.matched(_PLAIN_IN_FLOW if self.flow_level else _PLAIN)
            if not line:
                break
            self.allow_simple_key = False
            chunks += (*spaces, line)
            end_mark = reader.get_mark()
            spaces = self.scan_plain_spaces(indent, start_mark)
            if not spaces or (not self.flow_level and reader.column < indent):
                break
        return ScalarToken("".join(chunks), True, start_mark, end_mark)

    def scan_plain_spaces(self, indent: Any, start_mark: Any) -> Any:
        """The blanks behind a word, folded if there are line breaks among them."""
        spaces = self.reader.matched(_SPACES)
        if self.reader.peek() in "\r\n\x85\u2028\u2029":
            return super().scan_plain_spaces(indent, start_mark)
        return [spaces] if spaces else []

    def scan_flow_scalar_non_spaces(self, double: Any, start_mark: Any) -> Any:
        """The part of a quoted scalar up to a line break, the closing quote or a fault."""
        text = self.reader.matched(_DOUBLE if double else _SINGLE)
        text = _ESCAPE.sub(_unescaped, text) if double else text.replace("''", "'")
        return [text, *super().scan_flow_scalar_non_spaces(double, start_mark)]

    def scan_anchor(self, TokenClass: Any) -> Any:  # noqa: N803 - the name in ruamel.yaml
        """An anchor or an alias."""
        self._refuse_long(_LONG_NAME, "an anchor or an alias")
        return super().scan_anchor(TokenClass)

    def scan_tag(self) -> Any:
        """A tag."""
        self._refuse_long(_LONG_NAME, "a tag")
        return super().scan_tag()

    def scan_directive(self) -> Any:
        """A directive, such as ``%YAML 1.2``."""
        self._refuse_long(_LONG_LINE, "a directive")
        return super().scan_directive()

    def _refuse_long(self, pattern: re.Pattern[str], what: str) -> None:
        if self.reader.comes(pattern):
            raise ScannerError(None, None, f"{what} of more than {NAME_LIMIT} characters", self.reader.get_mark())


def _unescaped(escape: re.Match[str]) -> str:
    code = escape[0][1]
    return chr(int(escape[0][2:], 16)) if code in "xuU" else Scanner.ESCAPE_REPLACEMENTS[code]
