"""Spec 11, checklist lines of egress: C-14, C-42, C-43."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ergo_cli.channels.egress_config import EgressConfig
from ergo_cli.errors import ErgoError
from ergo_cli.host.effects import check_ownership
from tests.channels.egress_channels import left_behind
from tests.channels.samples import KIND, sample_program, sample_project, told
from tests.conftest import Ergo

SECOND = 10**9


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(ErgoError) as caught:
        act()
    assert caught.value.code == "host.configuration_invalid"
    return caught.value.message


def test_c11_14_the_provenance_vector() -> None:
    builder = EgressConfig.builder(5 * SECOND).channel("box", ["python3", "box.py"])
    config = builder.route("publish", "box", 2 * SECOND).build()
    assert config.canonical().decode() == (
        '{"default_ack_timeout":"5s","channels":{"box":{"type":"process","command":["python3","box.py"]}},'
        '"routes":{"publish":{"channel":"box","ack_timeout":"2s"}}}'
    )
    assert config.provenance == "epv1:sha256:3645763e2ad57a1dd485126048d024aaccc626233653d2eb1670567da4d16350"


def test_c11_42_a_replay_starts_no_channel(ergo: Ergo, tmp_path: Path) -> None:
    project = sample_project(tmp_path)
    assert ergo("capture", "-p", "historical", "-o", "b.json", cwd=project).exit_code == 0
    assert told(project) == ["intent", "end"]
    (project / "outbox.jsonl").unlink()
    replayed = ergo("replay", "b.json", "--strict", "-p", "historical", cwd=project)
    assert (replayed.exit_code, replayed.stderr) == (0, "")
    assert not (project / "outbox.jsonl").exists()
    assert left_behind(tmp_path) == []


def test_c11_42_an_egress_configuration_for_a_replay_is_refused(ergo: Ergo) -> None:
    ran = ergo("replay", "b.json", "--egress-config", "egress.toml", "--format", "json")
    assert ran.exit_code == 2
    assert ran.report["error"]["code"] == "cli.invalid_option"
    assert "--egress-config" in ran.report["error"]["message"]


def test_c11_43_a_replay_owns_nothing_beside_live_egress_and_never_what_the_host_does() -> None:
    loaded = sample_program()
    emitted = loaded.program.value.emittable_kinds
    live = refusal(lambda: check_ownership(emitted, loaded.adapter, {KIND}, {KIND}))
    own = refusal(lambda: check_ownership(emitted, loaded.adapter, None, {"set_context"}))
    assert "replay" in live
    assert "'set_context'" in own
