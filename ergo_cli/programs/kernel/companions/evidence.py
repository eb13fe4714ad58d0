"""Evidence bundles: which tests a change passed, under which replay log, sealed by a hash (spec 40 §3.21, §12)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Self

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core import wire

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
        """The number of tests that passed."""
        return len([test for test in self.test_results if test.passed])

    @property
    def failed_count(self) -> int:
        """The number of tests that failed."""
        return len(self.test_results) - self.passed_count

    @property
    def all_tests_passed(self) -> bool:
        """Whether there is a test and none failed."""
        return bool(self.test_results) and self.failed_count == 0

    @property
    def is_complete(self) -> bool:
        """Whether it names mutation and replay log and has at least one test, passed or not."""
        return bool(self.mutation_hash and self.replay_log_hash and self.test_results)

    @property
    def is_intact(self) -> bool:
        """Whether the hash matches the content; a legacy hash (``fnv:``) covers only names and outcomes of tests."""
        if self.bundle_hash.startswith(_LEGACY):
            return self.bundle_hash == legacy_hash(self)
        return self.bundle_hash == _sealing_hash(self)


class EvidenceBuilder(Struct, frozen=True):
    """Collects a bundle's content; each setter returns a new builder. ``assembled_at_ms`` is the caller's clock."""

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
        """The sealed bundle; without an explicit id, its id is derived from its digest."""
        bundle = EvidenceBundle(
            "", self.mutation_hash, self.test_results, self.replay_log_hash, self.assembled_at_ms, ""
        )
        bundle_id = "eb-" + _digest(bundle, leave_out=("bundle_id", "bundle_hash"))[:16]
        bundle = replace(bundle, bundle_id=self.bundle_id or bundle_id)
        return replace(bundle, bundle_hash=_sealing_hash(bundle))


def legacy_hash(bundle: EvidenceBundle) -> str:
    """The hash of older bundles: SipHash-1-3 with a zero key, despite its label."""
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


_WORD = 2**64 - 1


_State = tuple[int, int, int, int]


_INITIAL: _State = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)


def siphash13(data: bytes) -> int:
    """The 64-bit hash: one round for each word, three at the end."""
    state = _INITIAL
    for word in _words(data):
        v0, v1, v2, v3 = state
        v0, v1, v2, v3 = _round((v0, v1, v2, v3 ^ word))
        state = (v0 ^ word, v1, v2, v3)
    v0, v1, v2, v3 = state
    state = (v0, v1, v2 ^ 0xFF, v3)
    for _ in range(3):
        state = _round(state)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _words(data: bytes) -> Iterator[int]:
    """Little-endian words; the last has what remains, and the length in its top byte."""
    whole = len(data) - len(data) % 8
    for start in range(0, whole, 8):
        yield int.from_bytes(data[start : start + 8], "little")
    yield int.from_bytes(data[whole:], "little") | (len(data) & 0xFF) << 56


def _round(state: _State) -> _State:
    v0, v1, v2, v3 = state
    v0 = (v0 + v1) & _WORD
    v1 = _rotated(v1, 13) ^ v0
    v0 = _rotated(v0, 32)
    v2 = (v2 + v3) & _WORD
    v3 = _rotated(v3, 16) ^ v2
    v0 = (v0 + v3) & _WORD
    v3 = _rotated(v3, 21) ^ v0
    v2 = (v2 + v1) & _WORD
    v1 = _rotated(v1, 17) ^ v2
    v2 = _rotated(v2, 32)
    return v0, v1, v2, v3


def _rotated(word: int, bits: int) -> int:
    return (word << bits | word >> (64 - bits)) & _WORD
