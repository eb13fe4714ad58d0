"""Spec 40 §21.10 and §21.11, evidence bundles and the runner: C-107 to C-120."""

from __future__ import annotations

import asyncio
from threading import Event
from typing import Any

import pytest
from kernel_scenarios import preloaded

from ergo_cli.core import wire
from ergo_cli.programs.kernel.companions.evidence import (
    EvidenceBuilder,
    EvidenceBundle,
    TestOutcome,
    legacy_hash,
    siphash13,
)
from ergo_cli.programs.kernel.companions.services import KernelRunner
from ergo_cli.programs.kernel.engine.actions import Complete, Next, Resume
from ergo_cli.programs.kernel.engine.errors import KernelError, driver_error
from ergo_cli.programs.kernel.engine.events import Interrupted, RunCompleted
from ergo_cli.programs.kernel.engine.state import StateUpdatedOnly
from ergo_cli.programs.kernel.program import Kernel
from ergo_cli.stores.memory import MemoryJournal
from ergo_cli.testing.kernel import ScriptedStep

A, B = TestOutcome("mod::test_a", True), TestOutcome("mod::test_b", True)
FAILED = TestOutcome("mod::test_b", False, 5, "err")


def builder(*tests: TestOutcome) -> EvidenceBuilder:
    return EvidenceBuilder("sha256:deadbeef", 1700000000000, "sha256:cafebabe").with_test_results(tests)


def legacy(
    bundle_id: str, mutation: str, replay: str, at: int, tests: list[TestOutcome], digest: str
) -> EvidenceBundle:
    return EvidenceBundle(bundle_id, mutation, tuple(tests), replay, at, digest)


def test_c40_107_all_passed() -> None:
    bundle = builder(A, B).build()
    assert (bundle.all_tests_passed, bundle.passed_count, bundle.failed_count) == (True, 2, 0)


def test_c40_108_one_failed() -> None:
    bundle = builder(A, FAILED).build()
    assert (bundle.all_tests_passed, bundle.passed_count, bundle.failed_count) == (False, 1, 1)


def test_c40_109_a_complete_bundle() -> None:
    assert builder(FAILED).build().is_complete


def test_c40_110_without_mutation_hash_it_is_incomplete() -> None:
    assert not EvidenceBuilder("").with_replay_log_hash("sha256:bb").add_test_result(A).build().is_complete
    complete = EvidenceBuilder("").with_mutation_hash("sha256:aa").with_replay_log_hash("sha256:bb").add_test_result(A)
    assert complete.build().is_complete


def test_c40_111_without_tests_it_is_incomplete() -> None:
    bundle = builder().build()
    assert not bundle.is_complete
    assert not bundle.all_tests_passed


@pytest.mark.parametrize(
    "bundle",
    [
        legacy(
            "eb-1ec971a7e70f7fcc",
            "sha256:aa",
            "sha256:bb",
            0,
            [TestOutcome("t::x", True)],
            "fnv:0b6dcfdc53ea1746",
        ),
        legacy(
            "eb-0000000000000001", "sha256:deadbeef", "sha256:cafebabe", 1700000000000, [A, B], "fnv:11cc2e8b0ed53ae9"
        ),
        legacy(
            "eb-0000000000000001",
            "sha256:deadbeef",
            "sha256:cafebabe",
            1700000000000,
            [A, FAILED],
            "fnv:7bca29634b5313cc",
        ),
    ],
)
def test_c40_112_the_legacy_vectors(bundle: EvidenceBundle) -> None:
    assert legacy_hash(bundle) == bundle.bundle_hash
    assert bundle.is_intact


def test_c40_112_a_new_bundle_is_addressed_by_its_content() -> None:
    bundle = builder(A, B).build()
    assert bundle == builder(A, B).build()
    assert bundle.bundle_hash.startswith("sha256:")
    assert bundle.is_intact
    pinned = EvidenceBuilder("m", bundle_id="eb-0000000000000001").build()
    assert pinned.bundle_id == "eb-0000000000000001"
    assert wire.decode(wire.encode(bundle), EvidenceBundle).is_intact


def test_c40_113_another_outcome_is_another_hash() -> None:
    one, other = builder(A, B).build(), builder(A, FAILED).build()
    assert one.bundle_hash != other.bundle_hash
    forged = EvidenceBundle(one.bundle_id, one.mutation_hash, other.test_results, "sha256:cafebabe", 0, one.bundle_hash)
    assert not forged.is_intact


def test_c40_114_a_passed_outcome() -> None:
    outcome = TestOutcome("t", True, 42)
    assert (outcome.duration_ms, outcome.passed, outcome.failure_message) == (42, True, None)


def test_c40_115_a_failed_outcome_keeps_its_message() -> None:
    assert FAILED.failure_message == "err"


def test_c40_116_what_a_bundle_tells() -> None:
    bundle = builder(A, B).build()
    assert bundle.bundle_id.startswith("eb-")
    assert len(bundle.bundle_id) == 19
    assert (bundle.mutation_hash, bundle.replay_log_hash) == ("sha256:deadbeef", "sha256:cafebabe")
    assert (bundle.assembled_at_ms, len(bundle.test_results)) == (1700000000000, 2)


def test_siphash_of_nothing_and_of_whole_words() -> None:
    assert f"{siphash13(b''):016x}" == "d1fba762150c532c"
    assert siphash13(bytes(8)) != siphash13(bytes(9))


def runner(step: Any = None) -> KernelRunner[Any]:
    return KernelRunner(Kernel[Any](journal=MemoryJournal(), reducer=StateUpdatedOnly(), step=step or ScriptedStep([])))


def test_c40_117_the_synchronous_runner() -> None:
    assert runner().run_until_blocked_sync("r", 0) == RunCompleted()


def test_c40_118_the_asynchronous_runner() -> None:
    assert asyncio.run(runner().run_until_blocked_async("r", 0)) == RunCompleted()


def test_c40_119_one_runner_serves_many_runs() -> None:
    serving = runner()

    async def both() -> list[object]:
        return [await serving.run_until_blocked_async(run_id, 0) for run_id in ("run-1", "run-2")]

    assert asyncio.run(both()) == [RunCompleted(), RunCompleted()]


def test_c40_120_the_event_loop_goes_on_meanwhile() -> None:
    released = Event()

    def patient(state: object) -> Next:
        assert released.wait(60), "the event loop stood still"
        return Complete()

    async def drive() -> object:
        run = asyncio.create_task(runner(patient).run_until_blocked_async("r", 0))
        await asyncio.sleep(0)
        released.set()
        return await run

    assert asyncio.run(drive()) == RunCompleted()


def test_the_runner_resumes_and_passes_errors_on() -> None:
    kernel = Kernel[Any](journal=preloaded("r", [Interrupted(1)]), reducer=StateUpdatedOnly())
    assert KernelRunner(kernel).resume_sync("r", 0, Resume(1)) == RunCompleted()
    with pytest.raises(KernelError, match="not blocked"):
        asyncio.run(KernelRunner(kernel).resume_async("r", 0, Resume(1)))
    with pytest.raises(KernelError, match="Driver error: boom"):
        runner(ScriptedStep([driver_error("boom")])).run_until_blocked_sync("r", 0)
