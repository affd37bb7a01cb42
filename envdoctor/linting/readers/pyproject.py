"""Reads pyproject.toml: the standard project table, uv's indexes and sources, Poetry's tables, dependency groups.

Sources: packaging.python.org/en/latest/specifications/pyproject-toml; docs.astral.sh/uv/concepts/projects/dependencies;
python-poetry.org/docs/pyproject
"""

from __future__ import annotations

import re
import sys
from typing import Any

from packaging.utils import canonicalize_name

from envdoctor.errors import InputError
from envdoctor.linting import shell
from envdoctor.linting.model import Described, DescribedEnvironment, Index, Install, Place, PlacedValue, Wanted

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover
    import tomli as tomllib


_QUOTED = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'")


def read(name: str, text: str) -> Described:
    """An environment for the project's own dependencies, and one for each group or extra together with them.

    Raises InputError where it is no TOML.
    """
    data = load_toml(name, text)
    reader = _Reader(name, text, data)
    return Described(name=name, kind="pyproject", environments=tuple(reader.environments()))


def load_toml(name: str, text: str) -> dict[str, Any]:
    """The tables of a TOML text. Raises InputError where it is none."""
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise InputError(f"{name} is no TOML that can be read: nested too deeply") from error
    except ValueError as error:  # TOMLDecodeError is one; so is a number of too many digits, and a date that is none
        raise InputError(f"{name} is no TOML: {error}") from error


class _Reader:
    def __init__(self, name: str, text: str, data: dict[str, Any]) -> None:
        self.name, self.text, self.data = name, text, data
        self.quoted: dict[str, int] = {}
        """The line of each quoted string: what most of the places are asked for by."""
        for number, line in enumerate(text.splitlines(), 1):
            for found in () if line.lstrip().startswith("#") else _QUOTED.findall(line):
                self.quoted.setdefault(found, number)
        self.project = _table(data, "project")
        self.uv = _table(data, "tool", "uv")
        self.poetry = _table(data, "tool", "poetry")
        self.poetry_source: dict[str, str] = {}
        """The name of the source that a package is to come from."""

    def place(self, *words: str) -> Place:
        """The line where the first of the words that is there stands: TOML libraries keep no positions."""
        for word in words:
            if (line := self.quoted.get(word)) is not None:
                return Place(self.name, line)
            at = self.text.find(word)
            while at >= 0:
                start = self.text.rfind("\n", 0, at) + 1
                if not self.text[start:at].lstrip().startswith("#"):
                    return Place(self.name, self.text.count("\n", 0, at) + 1)
                at = self.text.find(word, at + 1)
        return Place(self.name, 1)

    def environments(self) -> list[DescribedEnvironment]:
        base = self._requirements(self.project.get("dependencies"))
        base += self._poetry(_table(self.poetry, "dependencies"))
        groups = [self._requirements(value) for value in _table(self.project, "optional-dependencies").values()]
        groups += [self._requirements(value) for value in _table(self.data, "dependency-groups").values()]
        groups += [
            self._poetry(_table(g, "dependencies"))
            for g in _table(self.poetry, "group").values()
            if isinstance(g, dict)
        ]
        python = self._python()
        found = [*([base] if base else []), *([*base, *group] for group in groups if group)]
        return [DescribedEnvironment(installs=self._installs(wanted), requires_python=python) for wanted in found] or [
            DescribedEnvironment(requires_python=python)
        ]

    def _python(self) -> PlacedValue | None:
        value = self.project.get("requires-python")
        if isinstance(value, str):
            return PlacedValue(value, self.place("requires-python"))
        poetry = _table(self.poetry, "dependencies").get("python")
        return PlacedValue(_caret(poetry), self.place("python =", "python=")) if isinstance(poetry, str) else None

    def _requirements(self, value: object) -> list[Wanted]:
        found = []
        for item in value if isinstance(value, list) else ():
            if isinstance(item, str):
                wanted = shell.wanted(item, self.place(f'"{item}"', f"'{item}'", item))
                if wanted is not None:
                    found.append(wanted)
        return found

    def _poetry(self, table: dict[str, Any]) -> list[Wanted]:
        found = []
        for name, value in table.items():
            entry = value if isinstance(value, dict) else {"version": value}
            version = entry.get("version", "")
            if name != "python" and isinstance(version, str):
                elsewhere = bool({"git", "url", "path"} & set(entry))
                place = self.place(f"{name} =", f"{name}=", name)
                specifier = _caret(version)
                found.append(
                    Wanted(
                        name=canonicalize_name(name),
                        specifier=specifier,
                        place=place,
                        text=str(entry.get("url") or f"{name}{specifier}"),
                        elsewhere=elsewhere,
                    )
                )
                if isinstance(entry.get("source"), str):
                    self.poetry_source[canonicalize_name(name)] = entry["source"]
        return found

    def _installs(self, wanted: list[Wanted]) -> tuple[Install, ...]:
        """One install; where uv takes a package from an index of its own, that package is one by itself."""
        sources: dict[str, Any] = {canonicalize_name(name): value for name, value in _table(self.uv, "sources").items()}
        named = {index.get("name"): index for index in _list(self.uv, "index")}
        general = [
            Index(url=str(index["url"]), place=self.place(str(index["url"])), beside=not index.get("default", False))
            for index in named.values()
            if "url" in index and not index.get("explicit", False)
        ]
        general += [
            Index(
                url=str(source["url"]), place=self.place(str(source["url"])), beside=source.get("priority") != "primary"
            )
            for source in _list(self.poetry, "source")
            if "url" in source and source.get("priority") != "explicit"
        ]
        backend = _table(self.uv, "pip").get("torch-backend")
        if isinstance(backend, str):
            call = shell.pip_call([f"--torch-backend={backend}"])
            general += shell.indexes(call, self.place("torch-backend"))
        own: dict[str, list[Wanted]] = {}
        rest = []
        for requirement in wanted:
            urls = self._source_urls(sources.get(requirement.name), named) or self._poetry_urls(requirement.name)
            if urls is None:
                rest.append(requirement)
            elif len(urls) == 1:
                own.setdefault(urls[0], []).append(requirement)
            # Several sources are told apart by markers (one for Linux, one for macOS): which one counts is not known here.
        installs = [
            Install(
                tool="uv",
                wanted=tuple(group),
                indexes=(Index(url=url, place=self.place(url)),),
                place=group[0].place,
            )
            for url, group in own.items()
        ]
        if rest:
            tool = "uv" if self.uv else "pip"
            installs.append(Install(tool=tool, wanted=tuple(rest), indexes=tuple(general), place=rest[0].place))
        return tuple(installs)

    def _poetry_urls(self, package: str) -> list[str] | None:
        wanted = self.poetry_source.get(package)
        found = [str(s["url"]) for s in _list(self.poetry, "source") if "url" in s and s.get("name") == wanted]
        return found or None

    def _source_urls(self, source: object, named: dict[Any, dict[str, Any]]) -> list[str] | None:
        if source is None:
            return None
        entries = source if isinstance(source, list) else [source]
        linux = [e for e in entries if isinstance(e, dict) and _for_linux(e.get("marker"))]
        urls = []
        for entry in linux:
            index = named.get(entry.get("index"))
            if index is None or "url" not in index:
                return []
            urls.append(str(index["url"]))
        return urls or None


def _for_linux(marker: object) -> bool:
    """Whether a source's marker leaves Linux in; what cannot be read does not count against it."""
    if not isinstance(marker, str):
        return True
    from packaging.markers import InvalidMarker, Marker

    try:
        return Marker(marker).evaluate({"sys_platform": "linux", "platform_system": "Linux"})
    except InvalidMarker:
        return True


def _table(data: dict[str, Any], *path: str) -> dict[str, Any]:
    for key in path:
        value = data.get(key, {})
        if not isinstance(value, dict):
            return {}
        data = value
    return data


def _list(data: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = data.get(key, [])
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _caret(version: str) -> str:
    """Poetry's version in the standard's terms: ^2.3.1 is >=2.3.1,<3, ~2.3 is >=2.3,<2.4, * is anything."""
    parts = []
    for part in version.split(","):
        text = part.strip()
        if text in ("", "*"):
            continue
        match = re.fullmatch(r"([\^~])\s*(\d+)(?:\.(\d+))?(.*)", text)
        if match is None:
            parts.append(f"=={text}" if text[0].isdecimal() else text)
            continue
        major, minor = int(match[2]), match[3]
        # A local part (2.3.0+cu121) says nothing in a range.
        whole = f"{major}" + (f".{minor}" if minor is not None else "") + match[4].partition("+")[0]
        if match[1] == "^" and major > 0:
            upper = f"{major + 1}"
        elif minor is not None:
            upper = f"{major}.{int(minor) + 1}"
        else:
            upper = f"{major + 1}"
        parts += [f">={whole}", f"<{upper}"]
    return ",".join(parts)
