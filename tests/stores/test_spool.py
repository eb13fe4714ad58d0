from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from ergo_cli.stores.files import Spool


def fail(error: OSError) -> NoReturn:
    raise error


def test_lines_come_back_in_order_and_in_whole_lines(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path), fail)
    lines = [b"%d" % number * (number % 7 + 1) for number in range(100_000)]
    spool.append(lines[0])
    spool.append(b"\n".join(lines[1:50_000]))
    spool.append(b"\n".join(lines[50_000:]))
    blocks = list(spool.blocks())
    spool.close()
    assert len(blocks) > 2
    assert [line for block in blocks for line in block.split(b"\n")] == lines


def test_a_spool_has_no_name(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path), fail)
    spool.append(b"line")
    assert list(tmp_path.iterdir()) == []
    assert list(spool.blocks()) == [b"line"]
    spool.close()


def test_an_empty_spool_has_no_blocks(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path), fail)
    assert list(spool.blocks()) == []
    spool.close()
