"""Operating systems: the C library and the Python that each brings, and the names that people give them."""

from __future__ import annotations

import re
from functools import cached_property

import msgspec

from envdoctor.knowledge.errors import KnowledgeError
from envdoctor.knowledge.tables import Record, read, source_texts
from envdoctor.knowledge.versions import version

# What os-release, installers and people write, in the words of the table. Longer names first: "centosstream" is not "centos".
_NAMES = (
    ("redhatenterprise", "rhel"),
    ("redhat", "rhel"),
    ("rhubi", "rhel"),
    ("ubi", "rhel"),
    ("rockylinux", "rocky"),
    ("oraclelinux", "oraclelinux"),
    ("oracle", "oraclelinux"),
    ("ol", "oraclelinux"),
    ("almalinux", "almalinux"),
    ("alma", "almalinux"),
    ("amazonlinux", "amzn"),
    ("amazon", "amzn"),
    ("al", "amzn"),
    ("opensuseleap", "opensuse"),
    ("opensusetumbleweed", "tumbleweed"),
    ("leap", "opensuse"),
    ("suseenterprise", "sles"),
    ("suse", "sles"),
    ("sle", "sles"),
    ("centosstream", "centos-stream"),
    ("archlinux", "arch"),
)
_CODENAMES = {
    "trusty": "ubuntu14.04",
    "xenial": "ubuntu16.04",
    "bionic": "ubuntu18.04",
    "focal": "ubuntu20.04",
    "jammy": "ubuntu22.04",
    "noble": "ubuntu24.04",
    "resolute": "ubuntu26.04",
    "buster": "debian10",
    "bullseye": "debian11",
    "bookworm": "debian12",
    "trixie": "debian13",
}


class System(Record, frozen=True, kw_only=True):
    """One release of an operating system. `family`: by its package manager: debian, rhel, suse, arch, alpine, windows or macos.
    `glibc`: "" where the C library is another one (musl). `python`: of the distribution's own python3, None if not read.
    `newer_than_table`: a release that is not in the table, with the C library of the newest one before it."""

    id: str
    name: str
    family: str
    glibc: str | None = None
    python: str | None = None
    newer_than_table: bool = False
    source: tuple[str, ...] = ()


class JetPack(Record, frozen=True, kw_only=True):
    """One JetPack line: the system and the CUDA that come with it, and the boards (capabilities) that it is for."""

    version: str
    os: str
    cuda: str
    capabilities: tuple[str, ...]
    source: tuple[str, ...]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    as_of: str
    sources: dict[str, str]
    systems: tuple[System, ...]
    jetpacks: tuple[JetPack, ...]


class UnknownSystem(KnowledgeError):
    """A name that no system in the table has."""


class Systems:
    """Queries over data/systems.json."""

    @cached_property
    def table(self) -> _Table:
        return read("systems", _Table)

    def all(self) -> tuple[System, ...]:
        return tuple(self._cited(row) for row in self.table.systems)

    def jetpacks(self) -> tuple[JetPack, ...]:
        return tuple(
            msgspec.structs.replace(row, source=source_texts(row.source, self.table.sources))
            for row in self.table.jetpacks
        )

    def find(self, text: str) -> System:
        """The system that a name means: "ubuntu24.04", "Ubuntu 24.04.3 LTS", "noble", "rocky9.4", "windows 11", "jetpack6.2".

        Of a name without a minor version ("sles15") the oldest release, which all later ones can follow.
        """
        words = re.sub(r"\b(gnu|linux|lts|server|workstation|edition)\b", " ", text.lower())
        name = re.sub(r"[\s_/-]+", "", words)
        if name.startswith("win"):
            return System(id="windows", name="Windows", family="windows")
        if name.startswith(("mac", "osx", "darwin")):
            return System(id="macos", name="macOS", family="macos")
        if name.startswith("jetpack"):
            name = self._under_jetpack(text, name.removeprefix("jetpack"))
        for codename, identifier in _CODENAMES.items():
            if codename in name:
                name = identifier
        match = re.fullmatch(r"([a-z]+)[v:]?(\d[\d.]*)?(?:sp(\d))?(?:\(.*\))?", name)
        if match is None:
            raise self._unknown(text)
        family = next((ours for theirs, ours in _NAMES if match[1] == theirs), match[1])
        return self._cited(self._release(text, family, match[2] or "", match[3]))

    def _under_jetpack(self, text: str, release: str) -> str:
        """The Ubuntu that a JetPack brings: all of one major bring the same."""
        major = release.partition(".")[0]
        found = next((row.os for row in self.table.jetpacks if row.version.partition(".")[0] == major), None)
        if found is None:
            known = [f"jetpack{row.version}" for row in self.table.jetpacks]
            raise UnknownSystem(f"no JetPack named {text!r} in the table; it has {_either(known)}.")
        return found

    def _release(self, text: str, family: str, release: str, service_pack: str | None) -> System:
        rows = [row for row in self.table.systems if _split(row.id)[0] == family]
        if not rows:
            raise self._unknown(text)
        if family in ("arch", "alpine", "tumbleweed"):  # rolling, or alike in every release
            return rows[0]
        if not release:
            raise UnknownSystem(f"{text!r} needs its release: {_either([row.id for row in rows])}.")
        if family == "ubuntu" and re.fullmatch(r"\d{4}", release):
            release = f"{release[:2]}.{release[2:]}"
        if family == "ubuntu" and "." not in release:
            release += ".04"
        wanted = (
            *(int(part[:9]) for part in release.split(".") if part),
            *((int(service_pack),) if service_pack else ()),
        )
        same = [row for row in rows if _split(row.id)[1][: len(wanted)] == wanted[: len(_split(row.id)[1])]]
        if same:
            return same[-1]
        below = [row for row in rows if _split(row.id)[1] < wanted]
        newest = max(rows, key=lambda row: _split(row.id)[1])
        if below and (newest in below or any(_split(row.id)[1][:1] == wanted[:1] for row in below)):
            nearest = max(below, key=lambda row: _split(row.id)[1])
            return msgspec.structs.replace(
                nearest,
                id=f"{family}{release}",
                name=f"{nearest.name.split()[0]} {release}",
                python=None,
                newer_than_table=True,
            )
        raise self._unknown(text)

    def _unknown(self, text: str) -> UnknownSystem:
        from difflib import get_close_matches  # only a mistake needs it

        names = [*(row.id for row in self.table.systems), "windows", "macos"]
        near = get_close_matches(re.sub(r"[\s_-]+", "", text.lower()), names, n=3, cutoff=0.6)
        if near:
            return UnknownSystem(f"no operating system named {text!r} in the table. Did you mean {_either(near)}?")
        some = "ubuntu24.04, debian12, rhel9, rocky9, sles15.6, opensuse15.6, fedora43, amzn2023, arch, alpine, windows, macos"
        return UnknownSystem(f"no operating system named {text!r} in the table; write it like one of {some}.")

    def _cited(self, row: System) -> System:
        return msgspec.structs.replace(row, source=source_texts(row.source, self.table.sources))


def _split(identifier: str) -> tuple[str, tuple[int, ...]]:
    """("ubuntu", (24, 4)) of "ubuntu24.04"."""
    name = identifier.rstrip("0123456789.")
    number = identifier[len(name) :]
    return name, version(number).release if number else ()


def _either(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " or " + names[-1]
