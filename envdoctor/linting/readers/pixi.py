"""Reads pixi.toml: conda's packages of each environment and the pip packages beside them.

Source: pixi.sh/latest/reference/pixi_manifest
"""

from __future__ import annotations

from typing import Any

from envdoctor.linting import shell
from envdoctor.linting.model import Described, DescribedEnvironment, Index, Install, Place, PlacedValue, Wanted
from envdoctor.linting.readers.conda_specification import conda_wanted
from envdoctor.linting.readers.pyproject import load_toml


def read(name: str, text: str) -> Described:
    """One environment for the manifest's own tables, one for each feature together with them."""
    data = load_toml(name, text)
    workspace = data.get("workspace") or data.get("project")
    channels = workspace.get("channels") if isinstance(workspace, dict) else None
    named = tuple(str(channel) for channel in channels) if isinstance(channels, list) else ()
    features = data.get("feature")
    tables = [data, *(features.values() if isinstance(features, dict) else ())]
    base = _wanted(name, text, data)
    environments = []
    for table in tables:
        if not isinstance(table, dict):
            continue
        conda, pip, indexes = base if table is data else _wanted(name, text, table)
        if table is not data:
            conda, pip, indexes = [*base[0], *conda], [*base[1], *pip], [*base[2], *indexes]
        environments.append(_environment(name, conda, pip, indexes, named))
    return Described(name=name, kind="pixi", environments=tuple(environments))


def _environment(
    name: str, conda: list[Wanted], pip: list[Wanted], indexes: list[Index], channels: tuple[str, ...]
) -> DescribedEnvironment:
    installs = []
    if conda:
        installs.append(Install(tool="conda", wanted=tuple(conda), channels=channels, place=conda[0].place))
    if pip:
        installs.append(Install(tool="uv", wanted=tuple(pip), indexes=tuple(indexes), place=pip[0].place))
    python = next((w for w in conda if w.name == "python" and w.specifier.startswith("==")), None)
    version = ".".join(python.specifier[2:].split(".")[:2]) if python is not None else ""
    said = PlacedValue(version, python.place) if python is not None and version.replace(".", "").isdecimal() else None
    return DescribedEnvironment(installs=tuple(installs), python=said)


def _wanted(name: str, text: str, table: dict[str, Any]) -> tuple[list[Wanted], list[Wanted], list[Index]]:
    lines = text.splitlines()

    def place(key: str) -> Place:
        at = next((n for n, line in enumerate(lines, 1) if line.strip().strip('"').startswith(key)), 1)
        return Place(name, at)

    conda, pip = [], []
    for key, value in _items(table.get("dependencies")):
        version = value.get("version", "") if isinstance(value, dict) else value
        wanted = conda_wanted(f"{key} {version}" if version not in ("*", "") else key, place(key))
        conda += [wanted] if wanted is not None else []
    indexes = []
    for key, value in _items(table.get("pypi-dependencies")):
        version = value.get("version", "") if isinstance(value, dict) else value
        wanted = shell.wanted(f"{key}{'' if version == '*' else version}", place(key))
        pip += [wanted] if wanted is not None else []
        if isinstance(value, dict) and isinstance(value.get("index"), str):
            indexes.append(Index(url=value["index"], place=place(key)))
    options = table.get("pypi-options")
    extra = options.get("extra-index-urls") if isinstance(options, dict) else None
    indexes += [Index(url=str(url), place=place("extra-index"), beside=True) for url in extra or ()]
    return conda, pip, indexes


def _items(table: object) -> list[tuple[str, Any]]:
    return [(str(key), value) for key, value in table.items()] if isinstance(table, dict) else []
