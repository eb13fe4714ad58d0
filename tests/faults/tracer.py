"""Runs a command, numbers its calls to the operating system on files below a folder, and lets one of them fail.

``tracer.py JOB`` with a JSON object: ``command``, ``folder``, ``stdout`` and ``stderr`` (paths), and for the call that
fails ``at`` (its number), or ``first`` (its name), and ``fault``: the name of an errno, or ``short``, where a write
takes only half of its bytes. It prints the exit code, or minus the signal, and every call as name, path and result.

It stands between the command and the kernel (ptrace), so that what C code calls counts like what Python calls: SQLite,
buffered files, the import of modules. It knows the registers of x86-64 under Linux.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import re
import signal
import sys
from typing import Any

TRACEME, PEEKUSER, POKEUSER, CONTINUE, SET_OPTIONS, CALL_INFO = 0, 3, 6, 24, 0x4200, 0x420E
OPTIONS = 0x100000 | 1 | 8  # end with the tracer; mark stops of calls; follow threads
CALL_STOP = signal.SIGTRAP | 0x80
ALL_CHILDREN = 0x40000000  # threads too
RDX, RAX, NUMBER = 12 * 8, 10 * 8, 15 * 8
ENTRY, EXIT = 1, 2
HERE = 0xFFFFFF9C  # AT_FDCWD: a path is relative to the current folder

BY_DESCRIPTOR = {1: "write", 18: "write", 3: "close", 74: "fsync", 75: "fsync", 77: "truncate", 91: "chmod"}
BY_PATH = {2: "open", 82: "rename", 87: "unlink", 84: "rmdir", 83: "mkdir", 90: "chmod"}
BY_FOLDER_AND_PATH = {257: "open", 264: "rename", 316: "rename", 263: "unlink", 258: "mkdir", 268: "chmod"}

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


class Info(ctypes.Structure):
    """What the kernel says of a call: on entry its number and arguments, on exit its result in ``number``."""

    _fields_ = [
        ("op", ctypes.c_uint8),
        ("arch", ctypes.c_uint32),
        ("ip", ctypes.c_uint64),
        ("sp", ctypes.c_uint64),
        ("number", ctypes.c_uint64),
        ("arguments", ctypes.c_uint64 * 6),
    ]


def ptrace(request: int, process: int, address: int = 0, data: int = 0) -> int:
    result = libc.ptrace(request, process, address, data)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request}")
    return result


class Tracer:
    """One command with all its threads and children."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.folder = os.path.realpath(job["folder"])
        self.at, self.first, self.fault = job.get("at"), job.get("first"), job.get("fault")
        self.disturbed: list[Any] | None = None
        self.calls: list[list[Any]] = []
        self.under_way: dict[int, list[Any]] = {}
        self.changed: dict[int, int] = {}
        self.info = Info()
        self.main = self.start(job)

    def start(self, job: dict[str, Any]) -> int:
        process = os.fork()
        if process == 0:
            for descriptor, name in ((1, "stdout"), (2, "stderr")):
                os.dup2(os.open(job[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.closerange(3, 64)
            ptrace(TRACEME, 0)
            os.kill(os.getpid(), signal.SIGSTOP)
            os.chdir(self.folder)
            os.execv(job["command"][0], job["command"])
        os.waitpid(process, 0)
        ptrace(SET_OPTIONS, process, 0, OPTIONS)
        ptrace(CONTINUE, process)
        return process

    def run(self) -> int:
        """Let it run to its end; its exit code."""
        while True:
            thread, status = os.waitpid(-1, ALL_CHILDREN)
            if os.WIFEXITED(status) or os.WIFSIGNALED(status):
                if thread == self.main:
                    return os.waitstatus_to_exitcode(status)
                continue
            self.go_on(thread, os.WSTOPSIG(status))

    def go_on(self, thread: int, stopped_by: int) -> None:
        signal_number = 0
        try:
            if stopped_by == CALL_STOP:
                self.stopped(thread)
            elif stopped_by not in (signal.SIGTRAP, signal.SIGSTOP):
                signal_number = stopped_by
            ptrace(CONTINUE, thread, 0, signal_number)
        except ProcessLookupError:
            return  # killed meanwhile

    def stopped(self, thread: int) -> None:
        """A call begins or ends."""
        ptrace(CALL_INFO, thread, ctypes.sizeof(self.info), ctypes.addressof(self.info))
        if self.info.op == ENTRY:
            self.begins(thread, self.info.number, list(self.info.arguments))
        elif self.info.op == EXIT and thread in self.under_way:
            self.ends(thread, ctypes.c_int64(self.info.number).value)

    def begins(self, thread: int, number: int, arguments: list[int]) -> None:
        name, path = self.named(thread, number, arguments)
        if path is None:
            return
        self.under_way[thread] = call = [name, path, None]
        self.calls.append(call)
        if self.disturbed is not None or not (name == self.first or len(self.calls) - 1 == self.at):
            return
        self.disturbed = call
        if self.fault == "short":
            self.changed[thread] = arguments[2]
            ptrace(POKEUSER, thread, RDX, arguments[2] // 2)
        elif name != "close":  # which frees the descriptor whatever it returns
            ptrace(POKEUSER, thread, NUMBER, 0xFFFFFFFFFFFFFFFF)

    def ends(self, thread: int, result: int) -> None:
        call = self.under_way.pop(thread)
        if call is self.disturbed:
            if self.fault == "short":
                ptrace(POKEUSER, thread, RDX, self.changed[thread])
            else:
                result = -getattr(errno, self.fault)
                ptrace(POKEUSER, thread, RAX, result & 0xFFFFFFFFFFFFFFFF)
        call[2] = result

    def named(self, thread: int, number: int, arguments: list[int]) -> tuple[str, str | None]:
        """The name of a call, and its path below the folder; None for all other calls."""
        if number in BY_DESCRIPTOR:
            return BY_DESCRIPTOR[number], self.below(self.path_of(thread, arguments[0]))
        if number in BY_PATH:
            return BY_PATH[number], self.below(self.joined(thread, HERE, arguments[0]))
        if number in BY_FOLDER_AND_PATH:
            return BY_FOLDER_AND_PATH[number], self.below(self.joined(thread, arguments[0], arguments[1]))
        return "", None

    def joined(self, thread: int, folder: int, address: int) -> str:
        path = self.text_at(thread, address)
        if os.path.isabs(path):
            return path
        folder &= 0xFFFFFFFF
        base = os.readlink(f"/proc/{thread}/cwd") if folder == HERE else self.path_of(thread, folder)
        return os.path.join(base, path)

    def path_of(self, thread: int, descriptor: int) -> str:
        try:
            return os.readlink(f"/proc/{thread}/fd/{descriptor & 0xFFFFFFFF}")
        except OSError:
            return ""

    def text_at(self, thread: int, address: int) -> str:
        with open(f"/proc/{thread}/mem", "rb", buffering=0) as memory:
            memory.seek(address)
            return os.fsdecode(memory.read(4096).partition(b"\0")[0])

    def below(self, path: str) -> str | None:
        path = os.path.normpath(path)
        if path != self.folder and not path.startswith(self.folder + os.sep):
            return None
        return re.sub(r"ergo\.\d+\.", "ergo.PID.", os.path.relpath(path, self.folder))


if __name__ == "__main__":
    tracer = Tracer(json.loads(sys.argv[1]))
    exit_code = tracer.run()
    print(json.dumps({"exit_code": exit_code, "calls": tracer.calls}))
