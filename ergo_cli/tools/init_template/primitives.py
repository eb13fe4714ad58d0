"""The project's own primitives: the signature is the manifest, and graphs name them by id and version."""

from __future__ import annotations

from ergo_cli.primitives import ActionOutcome, IntentTemplate, action, source


@source("sample_message_source", "0.1.0")
def sample_message_source(*, text: str = "hello-from-cluster") -> str:
    """Give the message that the graph or cluster names."""
    return text


@action(
    "publish_sample_action",
    "0.1.0",
    intents=[IntentTemplate("publish_sample", {"message": "message"}, mirror_writes={"last_message": "message"})],
)
def publish_sample_action(event: ActionOutcome, message: str) -> ActionOutcome:
    """Publish the message; what was published last is in the context of later events."""
    return ActionOutcome.ATTEMPTED
