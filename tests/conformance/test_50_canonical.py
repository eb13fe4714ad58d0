"""Spec 50 §24, canonical JSON, hashing, secrets (C-11 to C-23) and back-off (C-24 to C-28)."""

from __future__ import annotations

from typing import Any

import pytest
from plan_lab import M1, RUN, Lab, fails

from ergo_cli.core import wire
from ergo_cli.core.json import decode
from ergo_cli.programs.plan.canonical import FloatNotAllowed, SecretsNotAllowed, canonical_json, json_artifact_id
from ergo_cli.programs.plan.engine import Phase
from ergo_cli.programs.plan.errors import ErrorCategory, ErrorInfo, redacted
from ergo_cli.programs.plan.manifest import BackoffPolicy, Delay, Exponential, Fixed, RunManifest, run_config
from ergo_cli.programs.plan.secrets import find_secret, is_suspicious
from ergo_cli.stores.artifacts import artifact_id

SECOND = 10**9
MS = 10**6
MNEMONIC = " ".join(["abandon"] * 11 + ["about"])


@pytest.mark.parametrize(
    ("text", "canonical", "digest"),
    [
        pytest.param(
            '{"b":1,"a":2}',
            '{"a":2,"b":1}',
            "d3626ac30a87e6f7a6428233b3c68299976865fa5508e4267c5415c76af7a772",
            id="V1",
        ),
        pytest.param(
            '{"arr":[true,null,3],"obj":{"y":2,"x":1}}',
            '{"arr":[true,null,3],"obj":{"x":1,"y":2}}',
            "fd7e71fb9fd4912984b74c8e465a1861ca5da1e3089b26ed39edd3c212ba8a76",
            id="V2",
        ),
    ],
)
def test_c50_11_keys_are_sorted_and_arrays_kept(text: str, canonical: str, digest: str) -> None:
    value = decode(text.encode())
    assert canonical_json(value) == canonical.encode()
    assert json_artifact_id(value) == digest


ESCAPED = "".join(map(chr, (0, 8, 9, 10, 12, 13, 0x1F, 0x7F))) + '"\\/' + "\u2028é"


@pytest.mark.parametrize(
    ("value", "canonical", "digest"),
    [
        pytest.param(
            {"s": "a\nb"},
            '{"s":"a\\nb"}',
            "539d05783bcaa18932974451c64e9489fa08792d632859fd746379bbec1d8db7",
            id="V3",
        ),
        pytest.param(
            {"\U0001f600": 1, "\ufb33": 2, "é": 3, "z": 4, "Z": 5, "": 6},
            '{"":6,"Z":5,"z":4,"é":3,"\ufb33":2,"\U0001f600":1}',
            "a0543e4012e011f8a5688171274744425f05694203822172b14106c68a5a4ef5",
            id="V9",
        ),
        pytest.param(
            {"e": ESCAPED},
            '{"e":"\\u0000\\b\\t\\n\\f\\r\\u001f\x7f\\"\\\\/\u2028é"}',
            "26e0d8a59c1dafc358886806e442087e8af12536e0334e7ffe792a22abd71592",
            id="V10",
        ),
    ],
)
def test_c50_12_texts_are_escaped_and_keys_ordered_by_code_point(value: Any, canonical: str, digest: str) -> None:
    assert canonical_json(value) == canonical.encode()
    assert json_artifact_id(value) == digest


def test_c50_13_the_id_of_bytes() -> None:
    assert artifact_id(b"hello") == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


@pytest.mark.parametrize("text", ['{"x":1.5}', "[1.0,2]", '{"x":1e3}', '{"x":18446744073709551616}', '{"x":-0}'])
def test_c50_14_floats_are_refused(text: str) -> None:
    with pytest.raises(FloatNotAllowed):
        canonical_json(decode(text.encode()))


def test_c50_15_the_bounds_of_integers() -> None:
    value = {"max": 2**64 - 1, "min": -(2**63)}
    assert canonical_json(value) == b'{"max":18446744073709551615,"min":-9223372036854775808}'
    assert json_artifact_id(value) == "cfe0eb53032eebf76ab409341ba8a6c618e9db2280a04e5ebdcbecdee12ef837"


@pytest.mark.parametrize("value", [{"mnemonic": MNEMONIC}, {"password": 1.5}])
def test_c50_16_secrets_are_refused_before_floats(value: Any) -> None:
    with pytest.raises(SecretsNotAllowed):
        canonical_json(value)


@pytest.mark.parametrize(
    "text",
    [
        "password=123",
        "MNEMONIC",
        "private_key",
        "seed phrase: ...",
        "AWS_SECRET_ACCESS_KEY=...",
        "Authorization",
        "Bearer x",
    ],
)
def test_c50_17_what_looks_like_a_secret(text: str) -> None:
    assert is_suspicious(text)


@pytest.mark.parametrize("text", ["artifact_written", "seeding_database", "token bearer"])
def test_c50_18_what_does_not(text: str) -> None:
    assert not is_suspicious(text)


WORDS = ["ladder"] * 12


@pytest.mark.parametrize(
    ("words", "is_phrase"),
    [
        (WORDS, True),
        (WORDS * 2, True),
        (WORDS[1:], False),
        ([*WORDS, *WORDS, "ladder"], False),
        (["Ladder", *WORDS[1:]], False),
        (["ladder,", *WORDS[1:]], False),
    ],
    ids=["12", "24", "11", "25", "a capital", "a comma"],
)
def test_c50_19_phrases_of_wallets(words: list[str], is_phrase: bool) -> None:
    assert is_suspicious(" ".join(words)) is is_phrase


def test_c50_20_the_scan_is_recursive_and_looks_at_keys() -> None:
    assert find_secret({"ok": {"nested": [1, 2]}}) is None
    assert find_secret({"ok": {"nested": [1, {"mnemonic": 2}]}}) == "/ok/nested/1/mnemonic"


@pytest.mark.parametrize(
    ("message", "kept"), [("password leaked: hunter2", "error details redacted"), ("the desk is closed",) * 2]
)
def test_c50_21_failures_are_redacted(message: str, kept: str) -> None:
    info = ErrorInfo("api_key", ErrorCategory.RPC, True, message, {"any": 1})
    assert redacted(info) == ErrorInfo("api_key", ErrorCategory.RPC, True, kept, None)


M2 = "b63f86fa01561b30d2ebf3fe1172fa75deb170290118ec8e5832840564455dec"
M3 = "8c805c21c669a2fb6cb5995a8c5b97c41d9521cf95ace7dd16c8ba4f3cf40998"
M1_TEXT = (
    '{"build":{"cargo_lock_hash":null,"env_allowlist":[],"flake_lock_hash":null,"git_commit":null,'
    '"rustc_version":null,"target_triple":null},"input_params":{},"op_id":"op","op_version":"0","run_config":'
    '{"context_checkpointing":"AfterEveryState","event_profile":"Minimal","execution_mode":"Sequential",'
    '"io_mode":"Live","nix_flake_allowlist":["github:willyrgf/mfm"],"replay_missing_fact_retryable":false,'
    '"retry_policy":{"backoff":{"Fixed":{"delay":{"nanos":0,"secs":0}}},"max_attempts":3},"skip_tags":[]}}'
)
M3_TEXT = (
    '{"build":{"cargo_lock_hash":null,"env_allowlist":[],"flake_lock_hash":null,"git_commit":"abc123",'
    '"rustc_version":null,"target_triple":null},"input_params":{"input":{"day":"2026-01-31"},"pipeline":'
    '{"machine_id":"nightly_report","pipeline_version":"v2","steps":[{"op_config":{"limit":10},'
    '"op_id":"nightly_report","op_version":"v2","step_id":"main"}]}},"op_id":"nightly_report","op_version":"v2",'
    '"run_config":{"context_checkpointing":"AfterEveryState","event_profile":{"Custom":"audit"},'
    '"execution_mode":{"FanOutJoin":{"max_concurrency":2}},"io_mode":"Live","nix_flake_allowlist":[],'
    '"replay_missing_fact_retryable":false,"retry_policy":{"backoff":{"Exponential":{"base_delay":'
    '{"nanos":100000000,"secs":0},"max_delay":{"nanos":0,"secs":5}}},"max_attempts":3},'
    '"skip_tags":["apply_side_effect"]}}'
)


@pytest.mark.parametrize(
    ("text", "digest"),
    [(M1_TEXT, M1), (M1_TEXT.replace('"Live"', '"Replay"'), M2), (M3_TEXT, M3)],
    ids=["M1", "M2", "M3"],
)
def test_c50_22_manifests(text: str, digest: str) -> None:
    manifest = wire.decode(text.encode(), RunManifest)
    assert manifest.canonical().decode() == text
    assert artifact_id(manifest.canonical()) == digest


def test_c50_22_the_manifest_m1_is_that_of_the_configuration() -> None:
    assert artifact_id(Lab().manifest.canonical()) == M1


def test_c50_23_the_linkage_of_children_is_no_secret() -> None:
    child = "4164326b-b04d-50b5-9425-40065301c44c"
    for payload in (
        {"parent_run_id": str(RUN), "child_run_id": child, "child_manifest_id": M1},
        {"child_run_id": child, "status": "Completed", "final_snapshot_id": M1},
        {"child_run_id": child, "status": "Failed", "final_snapshot_id": None},
    ):
        assert decode(canonical_json(payload)) == payload


@pytest.mark.parametrize("attempt", [0, 1, 40])
def test_c50_24_a_fixed_wait(attempt: int) -> None:
    assert Fixed(Delay(250 * MS)).after(attempt) == 250 * MS


@pytest.mark.parametrize(("attempt", "ms"), [*enumerate((100, 200, 400, 800, 1600, 3200, 5000, 5000))])
def test_c50_25_an_exponential_wait(attempt: int, ms: int) -> None:
    assert Exponential(Delay(100 * MS), Delay(5 * SECOND)).after(attempt) == ms * MS


@pytest.mark.parametrize(("attempt", "ns"), [(30, 2**30), (31, 2**31), (32, 2**31), (40, 2**31)])
def test_c50_26_the_exponent_is_at_most_31(attempt: int, ns: int) -> None:
    assert Exponential(Delay(1), Delay(2**63 * SECOND)).after(attempt) == ns


def test_c50_27_waits_saturate() -> None:
    assert Exponential(Delay(2**63 * SECOND), Delay(10 * SECOND)).after(5) == 10 * SECOND
    assert Exponential(Delay(3 * SECOND), Delay(2 * SECOND)).after(0) == 2 * SECOND


@pytest.mark.parametrize("backoff", [Fixed(Delay(0)), Exponential(Delay(0), Delay(SECOND))])
def test_c50_28_no_wait_is_no_sleep(backoff: BackoffPolicy) -> None:
    lab = Lab(fails(retryable=True, times=2), config=run_config(max_attempts=3, backoff=backoff))
    assert lab.start().phase is Phase.COMPLETED
    assert lab.events == "RS SE0 SF SE1 SF SE2 SC RC"
    assert lab.sleeps == []
