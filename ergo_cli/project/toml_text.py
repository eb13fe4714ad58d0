"""TOML texts as tables, bounded in nesting; every fault told by whoever reads them (spec 00 §12.4)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ergo_cli.project.tables import Refuse

_DEPTH = 127
_DEEP_KEY = re.compile(rf"(?<![\w\"'-])(?:[\w\"'-]++[ \t]*+\.[ \t]*+){{{_DEPTH}}}")


def parse_toml(text: str, file: str, refuse: Refuse) -> Mapping[str, object]:
    """The top-level table of a TOML text; what is no TOML, or nests too deeply, is raised as ``refuse`` tells it."""
    if _DEEP_KEY.search(text):
        raise refuse(file, f"a key has more than {_DEPTH} parts", fix="nest values less deeply")
    import tomllib  # where there is no project, there is nothing to read

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise refuse(file, str(error), where=_place(file, str(error)), fix="mend the TOML") from error
    except RecursionError as error:
        raise refuse(file, "values are nested too deeply", fix="nest values less deeply") from error
    except ValueError as error:  # the one fault of a text that the parser leaves to int()
        raise refuse(file, "an integer has too many digits", fix="write a shorter integer") from error


def _place(file: str, message: str) -> str:
    match = re.search(r"at line (\d+), column (\d+)", message)
    return f"{file}:{match[1]}:{match[2]}" if match else file
