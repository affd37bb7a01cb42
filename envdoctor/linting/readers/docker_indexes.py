"""The indexes that an image's variables name."""

from __future__ import annotations

from collections.abc import Mapping

from envdoctor.linting import shell
from envdoctor.linting.model import Index, PlacedValue


def indexes_of_variables(variables: Mapping[str, PlacedValue], tool: str, given: list[Index]) -> list[Index]:
    """PIP_INDEX_URL and its like; uv reads its own."""
    names = {"PIP_INDEX_URL": False, "PIP_EXTRA_INDEX_URL": True}
    if tool == "uv":
        names = {"UV_DEFAULT_INDEX": False, "UV_INDEX_URL": False, "UV_INDEX": True, "UV_EXTRA_INDEX_URL": True}
        backend = variables.get("UV_TORCH_BACKEND")
        if backend is not None and not given:
            return list(
                shell.indexes(shell.Call(index=[], beside=[], find_links=[], backend=[backend.value]), backend.place)
            )
    return [
        Index(url=said.value, place=said.place, beside=beside)
        for name, beside in names.items()
        if (said := variables.get(name)) is not None
    ]
