"""Evidence bundles: which tests a change passed, under which replay log, sealed by a hash (spec 40 §3.21, §12)."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Self

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.programs.kernel import wire
from ergo_cli.programs.kernel.siphash import siphash13

_LEGACY = "fnv:"
_SHA256 = "sha256:"


class TestOutcome(Struct, frozen=True):
    """One test: ``duration_ms`` is 0 when unmeasured, ``failure_message`` None when it passed."""

    __test__ = False

    test_name: str
    passed: bool
    duration_ms: int = 0
    failure_message: str | None = None


class EvidenceBundle(Struct, frozen=True):
    """A sealed bundle; made by an EvidenceBuilder, or read back."""

    bundle_id: str
    mutation_hash: str
    test_results: tuple[TestOutcome, ...]
    replay_log_hash: str
    assembled_at_ms: int
    bundle_hash: str

    @property
    def passed_count(self) -> int:
        """How many tests passed."""
        return len([test for test in self.test_results if test.passed])

    @property
    def failed_count(self) -> int:
        """How many did not."""
        return len(self.test_results) - self.passed_count

    @property
    def all_tests_passed(self) -> bool:
        """Whether there is a test and none failed."""
        return bool(self.test_results) and self.failed_count == 0

    @property
    def is_complete(self) -> bool:
        """Whether it names mutation and replay log and has a test, passed or not."""
        return bool(self.mutation_hash and self.replay_log_hash and self.test_results)

    @property
    def is_intact(self) -> bool:
        """Whether the hash is that of the content; a legacy hash (``fnv:``) covers names and outcomes of tests only."""
        if self.bundle_hash.startswith(_LEGACY):
            return self.bundle_hash == legacy_hash(self)
        return self.bundle_hash == _sealing_hash(self)


class EvidenceBuilder(Struct, frozen=True):
    """Collects what goes into a bundle; each setter gives a new builder. ``assembled_at_ms`` is the caller's clock."""

    mutation_hash: str
    assembled_at_ms: int = 0
    replay_log_hash: str = ""
    test_results: tuple[TestOutcome, ...] = ()
    bundle_id: str | None = None

    def with_mutation_hash(self, mutation_hash: str) -> Self:
        """With another mutation hash."""
        return replace(self, mutation_hash=mutation_hash)

    def with_replay_log_hash(self, replay_log_hash: str) -> Self:
        """With the hash of the replay log."""
        return replace(self, replay_log_hash=replay_log_hash)

    def add_test_result(self, outcome: TestOutcome) -> Self:
        """With one more test."""
        return replace(self, test_results=(*self.test_results, outcome))

    def with_test_results(self, outcomes: Iterable[TestOutcome]) -> Self:
        """With these tests instead of those before."""
        return replace(self, test_results=tuple(outcomes))

    def build(self) -> EvidenceBundle:
        """The sealed bundle; without an id of the caller's its id is made of its own digest."""
        bundle = EvidenceBundle(
            "", self.mutation_hash, self.test_results, self.replay_log_hash, self.assembled_at_ms, ""
        )
        bundle_id = "eb-" + _digest(bundle, leave_out=("bundle_id", "bundle_hash"))[:16]
        bundle = replace(bundle, bundle_id=self.bundle_id or bundle_id)
        return replace(bundle, bundle_hash=_sealing_hash(bundle))


def legacy_hash(bundle: EvidenceBundle) -> str:
    """The hash of older bundles: SipHash-1-3, though its label says otherwise."""
    data = b"".join(
        text.encode() + b"\xff" for text in (bundle.bundle_id, bundle.mutation_hash, bundle.replay_log_hash)
    )
    data += bundle.assembled_at_ms.to_bytes(8, "little", signed=True)
    for test in bundle.test_results:
        data += test.test_name.encode() + b"\xff" + bytes([test.passed])
    return f"{_LEGACY}{siphash13(data):016x}"


def _sealing_hash(bundle: EvidenceBundle) -> str:
    return _SHA256 + _digest(bundle, leave_out=("bundle_hash",))


def _digest(bundle: EvidenceBundle, leave_out: tuple[str, ...]) -> str:
    """Hex SHA-256 of the canonical text without some of the fields, the others in declared order."""
    kept = [name for name in bundle.__struct_fields__ if name not in leave_out]
    members = (b'"' + name.encode() + b'":' + wire.encode(getattr(bundle, name)) for name in kept)
    return sha256(b"{" + b",".join(members) + b"}").hexdigest()
