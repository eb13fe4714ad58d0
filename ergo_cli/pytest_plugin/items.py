"""A bundle among the files that pytest collects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ergo_cli.pytest_plugin.gate import Gate


class BundleItem(pytest.Item):
    """The replay of one bundle."""

    gate: Gate

    def runtest(self) -> None:
        """Replay; fail with the text of the report."""
        self.gate.check(self.path, self)

    def reportinfo(self) -> tuple[Path, None, str]:
        """The bundle as the place, and what is done with it."""
        return self.path, None, f"replay {self.gate.name(self.path)}"


def bundle_file(parent: pytest.Collector, path: Path, gate: Gate) -> BundleFile:
    """The collector of the bundle at ``path``, which ``gate`` replays."""
    collector: BundleFile = BundleFile.from_parent(parent, path=path)  # pyright: ignore[reportUnknownMemberType]
    collector.gate = gate
    return collector


class BundleFile(pytest.File):
    """One bundle; its only test is its replay."""

    gate: Gate

    def collect(self) -> Iterator[BundleItem]:
        """The replay."""
        item: BundleItem = BundleItem.from_parent(self, name="replay")  # pyright: ignore[reportUnknownMemberType]
        item.gate = self.gate
        yield item
