"""Puts another torch into the text of a file: what a person would change by hand, and nothing else."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence

from envdoctor.knowledge import Knowledge, TorchBuild
from envdoctor.linting.readers.docker_syntax import instructions

_PAGE = r"https?://download(?:-r2)?\.pytorch\.org/whl/[\w./-]*"
_OPTION = re.compile(
    r"\s*(?:--(?:extra-)?index-url|--index|--default-index|--find-links|-i|-f)[ =]+"
    rf"(?P<quote>['\"]?){_PAGE}(?P=quote)"
)
_TOKEN = re.compile(
    r"(?<![\w/.@:=-])(?P<quote>['\"]?)(?P<name>torch|torchvision|torchaudio|xformers)(?![-\w.])"
    r"(?P<specifier>\s*[=<>~!]=?[^\s'\"\\;&|#]+)?(?P=quote)(?=[\s\\;&|#'\"]|$)"
)
_PINNED = re.compile(r"(?<![\w/.@:=-])(?P<quote>['\"]?)torch==[^\s;&|'\"]+(?P=quote)")
Edited = tuple[str, tuple[str, ...]]
"""The new text, and what changed in it: "- " and the line that goes, "+ " and the line that comes."""


def requirements(text: str, _line: int, build: TorchBuild, world: Knowledge) -> Edited | None:
    """A requirements file with this torch: pins, and its index beside PyPI on a line of its own, which other packages need."""
    if "--hash" in text or re.search(r"^\s*torch\b[^\n]*\\$", text, re.MULTILINE):
        return None
    kept: list[str] = []
    for line in text.splitlines():
        if re.match(rf"\s*(?:-i|-f|--(?:extra-)?index-url|--find-links)[ =]\s*{_PAGE}", line):
            continue
        replaced = _replaced(line, build, world)
        if replaced is None or replaced.strip() or not line.strip():
            kept.append(line if replaced is None else replaced)
    index = [f"--extra-index-url {build.index_url}"] if build.index_url else []
    return _edited(text, [*index, *kept])


def dockerfile(text: str, line: int, build: TorchBuild, world: Knowledge) -> Edited | None:
    """A Dockerfile whose instruction at `line` installs this torch."""
    found = next((i for i in instructions(text) if any(number == line for number, _ in i.lines)), None)
    if (
        found is None
        or found.keyword != "RUN"
        or not re.search(r"\b(?:pip3?|uv)\b.*\binstall\b", found.text, re.DOTALL)
    ):
        return None
    if ":+" in found.text or re.search(r"\b(?:poetry|pdm|pipenv)\b", found.text):
        return None
    if len([match for match in _TOKEN.finditer(found.text) if match["name"] == "torch"]) != 1:
        return None  # which of several installs is meant would be a guess
    lines = text.splitlines()
    named = False
    for number, _ in found.lines:
        at = number - 1
        bare = _OPTION.sub("", lines[at])
        replaced = _replaced(bare, build, world, quoted=True)
        lines[at] = bare if replaced is None else replaced
        if build.index_url and not named and (match := _PINNED.search(lines[at])):
            lines[at] = f"{lines[at][: match.end()]} --extra-index-url {build.index_url}{lines[at][match.end() :]}"
            named = True
    return _edited(text, lines) if named or not build.index_url else None


def image(text: str, line: int, before: str, after: str) -> Edited | None:
    """A file that names another image at `line`; None where it puts the name together from variables."""
    lines = text.splitlines()
    if not 0 < line <= len(lines) or before not in lines[line - 1]:
        return None
    lines[line - 1] = lines[line - 1].replace(before, after)
    return _edited(text, lines)


def _edited(text: str, lines: Sequence[str]) -> Edited | None:
    before = text.splitlines()
    changes = tuple(line.rstrip() for line in difflib.ndiff(before, list(lines)) if line.startswith(("- ", "+ ")))
    return ("\n".join(lines) + "\n", changes) if changes else None


def _replaced(line: str, build: TorchBuild, world: Knowledge, *, quoted: bool = False) -> str | None:
    """The line with the pins of this build; None where it names no package of torch's. A companion that goes with none of its
    releases is left as it stands."""
    if line.lstrip().startswith(("#", "-")) or not _TOKEN.search(line):
        return None
    local = f"+{build.variant}" if build.index_url else ""
    pins: dict[str, str | None] = {
        "torch": build.torch + local,
        "torchvision": build.torchvision + local if build.torchvision else None,
        "torchaudio": build.torchaudio + local if build.torchaudio else None,
        "xformers": _xformers(build, world),
    }

    def pin(match: re.Match[str]) -> str:
        version = pins[match["name"]]
        if version is None or (match["name"] == "xformers" and not match["specifier"]):
            return match[0]
        return f"{match['quote'] if quoted else ''}{match['name']}=={version}{match['quote'] if quoted else ''}"

    return _TOKEN.sub(pin, line).rstrip()


def _xformers(build: TorchBuild, world: Knowledge) -> str | None:
    return next((row.version for row in world.companions("xformers", build.torch) if row.torch.startswith("==")), None)


EDITORS: dict[str, Callable[[str, int, TorchBuild, Knowledge], Edited | None]] = {
    "requirements": requirements,
    "dockerfile": dockerfile,
}
