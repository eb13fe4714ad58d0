"""The hooks of pytest: options, the bundles of ``ergo_bundles``, the marker ``ergo_replay``, the fixtures.

Every run of pytest imports this module, also of projects that have nothing to do with ergo: the rest is imported when
it is used.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ergo_cli.pytest_plugin import ACCEPTED

if TYPE_CHECKING:
    from ergo_cli.library.handle import Ergo
    from ergo_cli.pytest_plugin.captures import Captured, Events
    from ergo_cli.pytest_plugin.gate import Gate
    from ergo_cli.pytest_plugin.items import BundleFile

MARKER = "ergo_replay"

_BUNDLE = "ergo_bundle"
_INI = "ergo_bundles"
_SELECTED = pytest.StashKey[dict[Path, "Gate"]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option, and the settings of an ini file."""
    options = parser.getgroup("ergo", "replay of kept bundles")
    options.addoption("--ergo-accept", action="store_true", help="let new decisions become the recording of bundles")
    parser.addini(_INI, "bundles, folders and globs that are replayed, one a line", type="linelist")
    parser.addini("ergo_project", "the folder of the ergo project, instead of looking for it")
    parser.addini("ergo_profile", "the profile whose program replays the bundles, instead of finding it for each")
    parser.addini("ergo_strict", "refuse a program or an adapter that changed since the capture", type="bool")
    parser.addini("ergo_fail_on", "which differences fail: decision, evidence, any", default="any")


def pytest_configure(config: pytest.Config) -> None:
    """Announce the marker; collect the bundles of the ini file where no test is named on the command line."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(*bundles, profile=None, strict=False, fail_on='any'): replay each of the bundles, folders and globs"
        " before the test's own lines; the fixture ergo_bundle is the path.",
    )
    if config.getoption("ergo_accept") and os.environ.get("CI"):
        raise pytest.UsageError("--ergo-accept: CI is set, and a gate does not accept what it is there to find")
    named = config.getini(_INI)
    config.stash[_SELECTED] = {}
    if not named:
        return
    from ergo_cli.pytest_plugin.gate import Gate

    gate = Gate.of_settings(config)
    found = gate.select(named, f"ini value {_INI}")
    config.stash[_SELECTED] = dict.fromkeys(found, gate)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> BundleFile | None:
    """One file, one bundle, for those that the ini file names."""
    gate = parent.config.stash[_SELECTED].get(file_path)
    if gate is None:
        return None
    from ergo_cli.pytest_plugin.items import bundle_file

    return bundle_file(parent, file_path, gate)


@pytest.hookimpl(tryfirst=True)  # before tests are deselected
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the bundles of the ini file that lie outside of the tests' folders, unless the command line names tests."""
    selected = config.stash[_SELECTED]
    if not selected or config.args_source is pytest.Config.ArgsSource.ARGS:
        return
    from ergo_cli.pytest_plugin.items import BundleItem, bundle_file

    collected = {item.path for item in items if isinstance(item, BundleItem)}
    for path, gate in selected.items():
        if path not in collected:
            items.extend(bundle_file(session, path, gate).collect())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a bundle of the marker."""
    marker = metafunc.definition.get_closest_marker(MARKER)
    if marker is None:
        return
    from ergo_cli.pytest_plugin.gate import Gate

    gate = Gate.of_marker(metafunc.config, marker)
    paths = gate.select(marker.args, f"{MARKER} of {metafunc.definition.nodeid}")
    if _BUNDLE not in metafunc.fixturenames:
        metafunc.fixturenames.append(_BUNDLE)
    names = [gate.name(path) for path in paths]
    metafunc.parametrize(_BUNDLE, [(gate, path) for path in paths], ids=names, indirect=True)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Replay the bundle of a marked test before its own lines."""
    callspec = getattr(pyfuncitem, "callspec", None)
    if callspec is not None and pyfuncitem.get_closest_marker(MARKER) is not None:
        gate, path = callspec.params[_BUNDLE]
        gate.check(path, pyfuncitem)
    return (yield)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the bundles that were accepted."""
    reports: list[pytest.TestReport] = terminalreporter.getreports("passed")
    accepted = [value for report in reports for name, value in report.user_properties if name == ACCEPTED]
    if accepted:
        terminalreporter.section("accepted")
        for path in sorted({str(path) for path in accepted}):
            terminalreporter.line(path)


@pytest.fixture
def ergo_bundle(request: pytest.FixtureRequest) -> Path:
    """The bundle of a test with the marker ``ergo_replay``, which the test's own lines find replayed."""
    if not hasattr(request, "param"):
        pytest.fail(f"the fixture ergo_bundle needs the marker {MARKER}, which names the bundles", pytrace=False)
    return request.param[1]


@pytest.fixture(scope="session")
def ergo_project(pytestconfig: pytest.Config) -> Ergo:
    """The handle of the project: of ``ergo_project`` in the ini file, else the nearest from pytest's root folder on."""
    from ergo_cli.library.handle import Ergo

    return Ergo.from_project(_project_folder(pytestconfig))


@pytest.fixture
def ergo_capture(pytestconfig: pytest.Config, tmp_path: Path) -> Callable[..., Captured]:
    """``ergo_capture(events, profile=None)``: run a stream through a profile's program, and look at what it decided.

    ``events`` are the path of a stream, or its lines as dictionaries. Channels are not started, and runs are kept in
    memory; the executors of a program in Python are its own.
    """
    from ergo_cli.errors import ErgoError
    from ergo_cli.pytest_plugin.captures import capture

    folder = _project_folder(pytestconfig)

    def run(events: Events, profile: str | None = None) -> Captured:
        __tracebackhide__ = True
        try:
            return capture(events, pytestconfig.rootpath, folder, profile, tmp_path)
        except ErgoError as error:  # of a test, what to mend is of interest, and no line of ergo
            for name, text in (("where", error.where), ("fix", error.fix), ("code", error.code)):
                if text:
                    error.add_note(f"{name}: {text}")
            raise error.with_traceback(None) from None

    return run


def _project_folder(config: pytest.Config) -> Path:
    return config.rootpath / (config.getini("ergo_project") or "")
