"""What pip, uv, Poetry and conda say where they find no build of what was asked for: the requirement, and what they were offered.

Wordings: pip's resolver (20.3 to 26), uv's derivations, Poetry 1 and 2, conda's PackagesNotFoundError.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec
from packaging.version import InvalidVersion, Version

from envdoctor.reading.messages.message import Occurrence

_NAME = r"([A-Za-z][\w.-]{0,60}?)"
_SPEC = r"((?:===|==|>=|<=|~=|!=|<|>)\s?[^\s();`'\"]{1,80})?"
# '(from versions: 2.0.0, 2.0.1)' may be cut off at the end of a kept line.
_PIP = re.compile(
    rf"satisfies the requirement {_NAME}{_SPEC}(?: \(from [^()]{{0,80}}\))?\s{{0,2}}\(from versions: ([^)]*)"
)
_NO_MATCH = re.compile(rf"No matching distribution found for {_NAME}{_SPEC}(?=[\s(;]|$)", re.IGNORECASE)
_UV = re.compile(rf"there (?:is|are) no versions? of {_NAME}{_SPEC}(?=[\s,.]|$)", re.IGNORECASE)
_POETRY = re.compile(rf"depends on {_NAME} \(([^()]{{1,60}})\) which doesn't match any versions")
_POETRY_INSTALL = re.compile(rf"Unable to find installation candidates for {_NAME} \(([^()]{{1,60}})\)")
_CUT = 990


class Refusal(msgspec.Struct, frozen=True):
    """One requirement that could not be met.

    `spec`: '==2.1.2+cu121', '' for any. `offered`: the releases that the tool says it saw, as it wrote them; () where it saw
    none, None where it does not say. `whole`: whether the list stands there to its end.
    """

    name: str
    spec: str
    offered: tuple[str, ...] | None
    line: str
    whole: bool = True

    @property
    def version(self) -> Version | None:
        """The release that was asked for, the lower bound of a range; None where there is none."""
        found = re.search(r"(?:===|==|>=|~=|\^)\s?v?([\w.+!]+?)(?:\.\*)?$", self.spec.partition(",")[0])
        return _version(found[1]) if found else None

    @property
    def versions(self) -> tuple[Version, ...]:
        """`offered` in ascending order, without what is no version."""
        return tuple(sorted(v for text in self.offered or () if (v := _version(text)) is not None))


def refusals(lines: Iterable[str]) -> Iterator[Refusal]:
    """Every refusal in these lines; those that list what there is come first."""
    silent = []
    for line in lines:
        for listed in _PIP.finditer(line):
            text = listed[3].strip()
            whole = len(line) < _CUT or ")" in line[listed.end() :]
            offered = () if text == "none" else tuple(part.strip() for part in text.split(",") if part.strip())
            yield Refusal(_normal(listed[1]), (listed[2] or "").replace(" ", ""), offered, line, whole)
        for pattern in (_NO_MATCH, _UV):
            silent += [
                Refusal(_normal(found[1]), (found[2] or "").replace(" ", ""), None, line)
                for found in pattern.finditer(line)
            ]
        for pattern in (_POETRY, _POETRY_INSTALL):
            silent += [
                Refusal(_normal(found[1]), found[2] if found[2][0] in "=<>~^!" else f"=={found[2]}", None, line)
                for found in pattern.finditer(line)
            ]
    yield from silent


def only_torchs_index(lines: Iterable[str]) -> bool:
    """Whether pip says that it looked at an index of download.pytorch.org and at no other: that has torch and little besides."""
    looked = [line for line in lines if "Looking in indexes:" in line]
    return bool(looked) and all("download.pytorch.org" in line and "," not in line for line in looked)


def torchs_index_alone(o: Occurrence) -> bool:
    """Another package than torch and its siblings was asked of torch's index alone."""
    return not re.match(r"torch", o.values.get("name", "")) and only_torchs_index((*o.before, o.line))


_REQUESTED = re.compile(r"(?:user requested|you require) torch==([\w.+]{1,40})", re.IGNORECASE)


def pins_another_torch(o: Occurrence) -> bool:
    """The package's own pin is not the torch that the user asked for; where that is not said, it may be another."""
    need = re.match(r"[\w.+]{1,40}", o.values.get("need", ""))
    asked = [found[1] for line in (*o.before, o.line, *o.after) for found in _REQUESTED.finditer(line)]
    return need is None or not asked or any(_public(one) != _public(need[0]) for one in asked)


def _public(version: str) -> str:
    return version.partition("+")[0].rstrip(".,")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None
