from __future__ import annotations

from ergo_cli.primitives import ActionOutcome, IntentTemplate, action, source


@source("sample_text", "0.1.0")
def sample_text(*, text: str = "hello-from-cluster") -> str:
    return text


@action(
    "publish_sample_action",
    "0.1.0",
    intents=[IntentTemplate("publish_sample", {"message": "message"}, mirror_writes={"last_message": "message"})],
)
def publish_sample_action(event: ActionOutcome, message: str) -> ActionOutcome:
    return ActionOutcome.ATTEMPTED
