"""An adapter ready to work: loaded, held against every rule, compiled (spec 10 §9–13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from ergo_cli.core.documents import Node
from ergo_cli.core.notices import Notice
from ergo_cli.core.numbers import Numbers
from ergo_cli.core.provenance import NO_ADAPTER
from ergo_cli.core.reading import Reading, shown
from ergo_cli.core.values import NativeValue
from ergo_cli.errors import AdapterError, DocumentError, ErgoError
from ergo_cli.events.adapter.annotations import unknown_keywords
from ergo_cli.events.adapter.binding import BoundKind, build_bound_event
from ergo_cli.events.adapter.compilation import compile_events
from ergo_cli.events.adapter.decode import decode_adapter, nearest_node, parse_adapter
from ergo_cli.events.adapter.manifest import AdapterManifest
from ergo_cli.events.adapter.provides import Provides
from ergo_cli.events.adapter.rules import check_manifest
from ergo_cli.events.external import ExternalEvent
from ergo_cli.events.hosted import HostedEvent


class Adapter(Struct, frozen=True):
    """A manifest that breaks no rule; ``text`` is what ``label`` held, ``notices`` what was warned of."""

    manifest: AdapterManifest
    provides: Provides
    kinds: Mapping[str, BoundKind]
    text: str
    label: str
    notices: tuple[Notice, ...] = ()

    @property
    def id(self) -> str:
        """The adapter's id."""
        return self.manifest.id

    @property
    def version(self) -> str:
        """The adapter's version, as written."""
        return self.manifest.version

    @property
    def fingerprint(self) -> str:
        """The adapter provenance of bundles."""
        return self.provides.fingerprint

    def build_event(
        self, event: HostedEvent, store: Mapping[str, NativeValue], numbers: Numbers = Numbers.EXACT
    ) -> ExternalEvent:
        """The external event of a hosted one: merged with the context store, validated, rendered (spec 10 §13).

        Raises StepError, always recoverable: ``PayloadMustBeObject``, ``MissingSemanticKind``, ``MissingPayload``,
        ``UnknownSemanticKind``, ``Binding``, ``EventBuild``.
        """
        return build_bound_event(self.kinds, event, store, numbers)


def adapter_provenance(adapter: Adapter | None) -> str:
    """What a bundle records of its adapter: the fingerprint, or ``none``."""
    return NO_ADAPTER if adapter is None else adapter.fingerprint


def load_adapter(text: str, label: str) -> Adapter:
    """The adapter that a YAML or JSON text describes; ``label`` names the text in errors.

    Raises AdapterError ``adapter.setup_failed`` that tells the first fault by the order of the spec; its rule leads
    ``details``, and ``causes`` are all faults.
    """
    reading = Reading(label)
    try:
        document = parse_adapter(text, label)
        manifest = decode_adapter(document, reading)
    except DocumentError as error:
        raise setup_failed(label, error.unfold()) from error
    faults = check_manifest(manifest)
    if faults:
        raise setup_failed(label, [_placed(fault, document, reading) for fault in faults])
    provides = Provides.of(manifest)
    kinds, faults = compile_events(provides)
    if faults:
        raise setup_failed(label, faults)
    _notice_annotations(manifest, document, reading)
    return Adapter(manifest, provides, kinds, text, label, tuple(reading.notices))


def setup_failed(label: str, faults: Sequence[ErgoError]) -> AdapterError:
    """``adapter.setup_failed`` for faults of one adapter, or of how it fits a program; the first is the headline."""
    first = faults[0]
    rule = first.rule or first.code
    place = (first.where or "").removeprefix(label).partition(" ")[2]
    return AdapterError(
        "adapter.setup_failed",
        f"adapter '{label}' cannot be used: [{rule}] {first.message}" + (f" ({place})" if place else ""),
        path=first.path if isinstance(first, AdapterError) else None,
        where=first.where,
        fix=first.fix,
        details=(rule, *first.details),
        causes=faults,
    )


def _notice_annotations(manifest: AdapterManifest, document: Node, reading: Reading) -> None:
    places = [(f"$.event_kinds[{index}]", kind) for index, kind in enumerate(manifest.event_kinds)]
    places += [(f"$.accepts.effects[{index}]", effect) for index, effect in enumerate(manifest.accepted_effects)]
    for place, named in places:
        for path in unknown_keywords(named.payload_schema, f"{place}.payload_schema"):
            keyword = path.rpartition(".")[2]
            message = f"keyword '{shown(keyword)}' is unknown to JSON Schema Draft 2020-12 and checks nothing"
            reading.notice(message, nearest_node(document, path), path)


def _placed(fault: AdapterError, document: Node, reading: Reading) -> AdapterError:
    place = reading.place(nearest_node(document, fault.path or "$"))
    fault.where = f"{place} {fault.path}" if fault.path else place
    return fault
