from __future__ import annotations

import math

import pytest

from ergo_cli.core.values import SET_CONTEXT, Effect, Intent, NativeValue, Value, Write
from ergo_cli.errors import StepError
from ergo_cli.events.adapter_manifest import ProvidedKey, Provides
from ergo_cli.host.effects import ContextStore

PROVIDES = Provides(
    context={"level": ProvidedKey("Number", writable=True), "samples": ProvidedKey("Series", writable=True)}
)


def setting(key: str, value: NativeValue) -> Effect:
    return Effect(SET_CONTEXT, [Write(key, Value.of(value))])


def refusal(effect: Effect) -> StepError:
    with pytest.raises(StepError) as caught:
        ContextStore().apply(effect, PROVIDES)
    return caught.value


def test_the_view_follows_the_store_and_cannot_be_written() -> None:
    store = ContextStore()
    seen = store.values
    store.apply(setting("level", 2.0), PROVIDES)
    assert seen == {"level": 2.0}
    with pytest.raises(TypeError):
        seen["level"] = 3.0  # type: ignore[index]


@pytest.mark.parametrize("effect", [setting("level", math.inf), setting("samples", [1.0, math.nan])])
def test_what_is_not_finite_is_not_stored(effect: Effect) -> None:
    assert refusal(effect).details == ("InvalidValueConversion",)


def test_another_kind_of_effect_is_refused_in_its_own_words() -> None:
    error = refusal(Effect("publish", [], [Intent("publish", "eid1:sha256:0", [])]))
    assert (error.name, error.details) == ("EffectApply", ("UnhandledEffectKind",))
    assert error.message == "effect 'publish': no handler realises this kind of effect"
