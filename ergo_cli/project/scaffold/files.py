"""The files of a scaffolded project, filled in."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from ergo_cli.events.adapter.rules import RUNTIME_LEVEL

PROFILE = "historical"
"""The profile whose capture is kept with the project."""

CAPTURE = f"captures/{PROFILE}.capture.json"
"""Where it is kept."""

GUIDE = "README.md"
"""The file that tells what the others are."""

_TEMPLATE = Path(__file__).with_name("template")
_PLAIN = (
    ".github/workflows/ergo.yml",
    ".gitignore",
    "README.md",
    "adapters/sample.yaml",
    "channels/egress/sample_outbox.py",
    "channels/ingress/live_feed.py",
    "clusters/sample_message.yaml",
    "egress/live.toml",
    "ergo.toml",
    "fixtures/historical.jsonl",
    "graphs/strategy.yaml",
    "primitives.py",
    "requirements.txt",
)
_EXECUTABLE = ("scripts/test",)


class ScaffoldFile(Struct, frozen=True):
    """One file; ``path`` is relative to the project, with ``/``."""

    path: str
    content: bytes
    executable: bool = False


def scaffold_files(name: str, requirement: str) -> tuple[ScaffoldFile, ...]:
    """Every file but the capture, of a project called ``name`` that depends on ``requirement``."""
    words = {"@name@": name, "@requirement@": requirement, "@runtime_level@": RUNTIME_LEVEL}
    plain = (ScaffoldFile(path, _filled(path, words)) for path in _PLAIN)
    executable = (ScaffoldFile(path, _filled(path, words), executable=True) for path in _EXECUTABLE)
    return (*plain, *executable)


def _filled(path: str, words: dict[str, str]) -> bytes:
    text = (_TEMPLATE / path).read_text(encoding="utf-8")
    for placeholder, word in words.items():
        text = text.replace(placeholder, word)
    return text.encode()
