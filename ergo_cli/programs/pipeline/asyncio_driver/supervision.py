"""The task of the pipeline's supervisor (spec 60 §8.1, §11)."""

from __future__ import annotations

import asyncio

from ergo_cli.programs.pipeline.asyncio_driver.channel import ControlChannel, StateWatcher
from ergo_cli.programs.pipeline.asyncio_driver.waiting import Bell
from ergo_cli.programs.pipeline.control import ExternalMode, external_mode, when_closed
from ergo_cli.programs.pipeline.lifecycle import Running
from ergo_cli.programs.pipeline.supervisor import PipelineSupervisor

NANOS_A_MS = 1_000_000
RUNNING_POLL_MS = 1_000
"""How long a running pipeline waits for an append to the system journal before it looks by itself."""


async def supervise(supervisor: PipelineSupervisor, channel: ControlChannel, watcher: StateWatcher, bell: Bell) -> None:
    """Visit the supervisor until it has ended. States are published when all their actions are done (§8.1 rule 4).

    A supervisor whose task is cancelled still ends its stages and writes its terminal fact (H-6).
    """
    try:
        while not supervisor.has_ended:
            bell.hush()
            if not _take_request(supervisor, channel) and _blocks(supervisor):
                await bell.wait(None)
                continue
            moved = await supervisor.visit()
            watcher.publish(supervisor.state)
            if moved:
                await asyncio.sleep(0)
            else:
                await bell.wait(_wait_ms(supervisor) * NANOS_A_MS)
    except asyncio.CancelledError:
        await _end(supervisor, "the task of the pipeline's supervisor was cancelled")
        raise
    except Exception as error:
        await _end(supervisor, f"FSM error: {error}")
        raise
    finally:
        watcher.publish(supervisor.state)
        watcher.finish()
        channel.finish(supervisor.state)


def _take_request(supervisor: PipelineSupervisor, channel: ControlChannel) -> bool:
    """Hand the supervisor one request, or the closing of an empty channel, if it looks at them in its state."""
    state = supervisor.current
    if supervisor.is_asked:
        return True
    if external_mode(state) is ExternalMode.IGNORE:
        return False
    request = channel.take()
    if request is not None:
        request.answer(state)
        supervisor.request(request.event)
        return True
    closing = when_closed(state) if channel.is_closed else None
    if closing is not None:
        supervisor.request(closing)
    return closing is not None


def _blocks(supervisor: PipelineSupervisor) -> bool:
    return external_mode(supervisor.current) is ExternalMode.BLOCK


def _wait_ms(supervisor: PipelineSupervisor) -> int:
    """An append wakes a running pipeline; where decisions count rounds or time, it goes round as they say."""
    return RUNNING_POLL_MS if isinstance(supervisor.current, Running) else supervisor.wait_ms


async def _end(supervisor: PipelineSupervisor, reason: str) -> None:
    await supervisor.give_up(reason)
    while await supervisor.visit():
        pass
