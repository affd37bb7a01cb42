"""Puts tests into groups, and decides before each test whether its groups can run here: groups.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import groups, real_torch

SLOW = {Path(__file__).parent / name for name in groups.SLOW}
assert all(file.exists() for file in SLOW), "groups.SLOW names a module that is not there"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path in SLOW:
            item.add_marker("slow")
    # Files are given to workers one after the other: the longest ones first, so that no worker is left alone with one at the end.
    items.sort(key=lambda item: (item.get_closest_marker("torch") is None, item.get_closest_marker("slow") is None))


def pytest_runtest_setup(item: pytest.Item) -> None:
    # Skipped from one place with one reason, so that pytest's summary has one line for a group.
    for group, why in (
        ("torch", real_torch.missing),
        ("system", groups.without_system),
        ("registry", groups.without_registry),
    ):
        if item.get_closest_marker(group) is not None and (reason := why()) is not None:
            # Nobody asks for so much of the registry by running CI.
            (pytest.skip(reason) if group == "registry" else groups.absent(group, reason))
