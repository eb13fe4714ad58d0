"""Whether the process that holds a lease is gone, seen with real processes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from msgspec.structs import replace

from ergo_cli.stores.processes import is_gone, this_process

linux = pytest.mark.skipif(sys.platform != "linux", reason="processes of other systems are not looked at")
OWN = "from ergo_cli.stores.processes import this_process; import msgspec, sys; " + (
    "print(msgspec.json.encode(this_process('x')).decode(), flush=True); sys.stdin.read()"
)


def started() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", OWN], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_this_process_is_not_gone() -> None:
    owner = this_process("test")
    assert (owner.pid, owner.name, is_gone(owner)) == (os.getpid(), "test", False)
    assert str(owner) == f"{os.getpid()}@{owner.host} (test)"


@linux
def test_a_process_that_was_killed_is_gone_also_before_it_is_waited_for() -> None:
    import msgspec

    from ergo_cli.stores.leases import Owner

    with started() as child:
        assert child.stdout is not None
        owner = msgspec.json.decode(child.stdout.readline(), type=Owner)
        assert (owner.pid, is_gone(owner)) == (child.pid, False)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is still there as a zombie
        assert is_gone(owner)
    assert is_gone(owner)


@linux
def test_a_pid_that_was_given_to_another_process_is_gone() -> None:
    assert is_gone(replace(this_process("test"), born="1"))


@pytest.mark.parametrize("place", ["", "another system"])
def test_the_process_of_another_system_is_never_seen_to_be_gone(place: str) -> None:
    assert not is_gone(replace(this_process("test"), place=place, pid=2**22 + 1, born="1"))
