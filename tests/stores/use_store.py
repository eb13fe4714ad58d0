"""A process that appends: ``use_store.py STORE RUN NAME BATCHES SIZE``.

It tells the head after every batch, or the code of the error that ends it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ergo_cli.errors import StoreError
from ergo_cli.programs.kernel.tables import KERNEL_TABLES
from ergo_cli.stores.backends import open_store


def main(named: str, run: str, name: str, batches: str, size: str) -> None:
    with open_store(named, Path("nowhere"), lambda: 0, KERNEL_TABLES) as store:
        for number in range(int(batches)):
            texts = [f'"{name} {number} {part}"' for part in range(int(size))]
            print(store.journal.append(run, texts), flush=True)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except StoreError as error:
        print(error.code, flush=True)
