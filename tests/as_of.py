"""The knowledge base as it was: a test that says which torch is the newest stays true when a newer one is entered."""

from __future__ import annotations

from functools import cache

import msgspec

from envdoctor.knowledge import Knowledge
from envdoctor.knowledge.versions import version

NEWEST = "2.15.0"
"""The newest release that the tests know of."""


@cache
def then(newest: str = NEWEST) -> Knowledge:
    """Everything that is known, but for the releases of torch after `newest`."""
    world = Knowledge()
    table = world._builds.pypi
    kept = tuple(row for row in table.releases if version(row.version) <= version(newest))
    vars(world._builds)["pypi"] = msgspec.structs.replace(table, releases=kept)
    return world
