"""Reads a Dockerfile as docker build does: continuations, comments between them, here-documents, build arguments, stages.

Source: docs.docker.com/reference/dockerfile. No library in use keeps line numbers through here-documents and ARG at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from envdoctor.errors import InputError
from envdoctor.linting import shell
from envdoctor.linting.model import Described, DescribedEnvironment, Index, Install, Place, PlacedValue, Wanted
from envdoctor.linting.readers import requirements
from envdoctor.linting.systems import is_plain, python_of_image, system_of_image

_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1")
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?:(:?[-+])([^}]*))?\}|(\w+))")
_PYTHON = re.compile(r"\bpython(3\.\d{1,2})\b")
_OTHER_PYTHON = re.compile(
    r"\b(uv (?:venv|python|sync)|conda|mamba|pyenv|deadsnakes|miniforge|miniconda)\b", re.IGNORECASE
)
# Installers that read a project, a lock or an environment file instead of taking packages by name.
_OTHERWISE_INSTALLED = re.compile(
    r"\buv sync\b|\bpoetry install\b|\bpdm (?:install|sync)\b|\bpipenv (?:install|sync)\b|\bpixi install\b"
    r"|\b(?:conda|mamba|micromamba) env (?:create|update)\b|\bpip3? install\b[^\n;&]*\s\."
    r"|\bsetup\.py (?:install|develop)\b"
)
_UV_PYTHON = re.compile(
    r"uv (?:python install|(?:venv|pip install) (?:\S+ )*?(?:--python|-p)[ =])\s*(?:cpython-)?(3\.\d{1,2})"
)
_BUILDS = re.compile(
    r"(?<![\w-])(flash[-_]attn|apex|deepspeed|mamba-ssm|causal-conv1d|--no-build-isolation|TORCH_CUDA_ARCH_LIST|nvcc)(?![\w-])"
)
LARGEST_INCLUDED = 1 << 20
LONGEST_VALUE = 4096
"""A variable's value past this is not followed: a few that double each other would fill the memory."""
MOST_STAGES, MOST_INSTRUCTIONS, MOST_LINES, MOST_INSTALLS = 200, 10_000, 5_000, 1_000
"""More than any Dockerfile has: stages, instructions, lines of one instruction, installs of one stage."""
MOST_INCLUDED = 100
"""Files that are read beside one: some include each other more often than there is time."""
# COPY --from=build, RUN --mount=type=bind,from=build,...
_SOURCE = re.compile(r"--(?:from=|mount=\S*\bfrom=)([^\s,]+)")


class Instruction(msgspec.Struct, frozen=True):
    """One instruction: its keyword in capitals, its text without continuations, and its physical lines with their numbers."""

    keyword: str
    text: str
    lines: tuple[tuple[int, str], ...]

    @property
    def line(self) -> int:
        return self.lines[0][0]

    def line_of(self, word: str) -> int:
        """The line where a word of the instruction stands."""
        return next((number for number, text in self.lines if word and word in text), self.line)


def instructions(text: str) -> Iterator[Instruction]:
    """The instructions in order. Comment lines and empty ones inside a continued instruction are skipped, as docker does."""
    escape = "`" if re.match(r"(?:#.*\n)*#\s*escape\s*=\s*`", text, re.IGNORECASE) else "\\"
    numbered = iter(enumerate(text.splitlines(), 1))
    for number, first in numbered:
        if not first.strip() or first.lstrip().startswith("#"):
            continue
        lines = [(number, first)]
        pieces = [first.rstrip()]
        while pieces[-1].endswith(escape):
            pieces[-1] = pieces[-1][: -len(escape)] + " "
            following = next(
                ((n, line) for n, line in numbered if line.strip() and not line.lstrip().startswith("#")), None
            )
            if following is None:
                break
            lines.append(following)
            pieces.append(following[1].strip())
        body: list[str] = []
        keyword, _, rest = "".join(pieces).strip().partition(" ")
        if keyword.upper() in ("RUN", "COPY", "ADD"):
            for match in _HEREDOC.finditer(rest):
                for n, line in numbered:
                    if line.strip() == match[2]:
                        break
                    lines.append((n, line))
                    body.append(line)
        if body and keyword.upper() == "RUN":
            rest = _HEREDOC.sub("", rest) + "\n" + "\n".join(body)
        yield Instruction(keyword.upper(), rest.strip(), tuple(lines))


def substitute(text: str, values: Mapping[str, str | None]) -> str | None:
    """`text` with its variables filled in; None where one is not known (an ARG without default)."""
    unknown = False

    length = 0

    def fill(match: re.Match[str]) -> str:
        found = value_of(match)
        nonlocal unknown, length
        length += len(found)
        unknown = unknown or length > LONGEST_VALUE
        return "" if unknown else found

    def value_of(match: re.Match[str]) -> str:
        nonlocal unknown
        name, operator, word = match[1] or match[4], match[2], match[3] or ""
        value = values.get(name)
        if operator and operator.endswith("-"):
            return value or word
        if operator and operator.endswith("+"):
            return word if value else ""
        if value is None:
            unknown = True
        return value or ""

    filled = _VARIABLE.sub(fill, text)
    return None if unknown else filled


def read(name: str, text: str, sibling: Callable[[str], tuple[str, str] | None]) -> Described:
    """What each stage makes. `sibling(path)` gives (name, text) of a file of the build context, None where there is none."""
    stages: dict[str, _Stage] = {}
    ordered: list[_Stage] = []
    defaults: dict[str, str | None] = {}
    stage: _Stage | None = None
    for number, instruction in enumerate(instructions(text)):
        few = number < MOST_INSTRUCTIONS and len(ordered) <= MOST_STAGES and len(instruction.lines) <= MOST_LINES
        if not few or (stage is not None and len(stage.installs) > MOST_INSTALLS):
            raise InputError(
                f"{name}:{instruction.line}: more stages, instructions, lines or installs than any Dockerfile has"
            )
        if instruction.keyword == "FROM":
            stage = _Stage.begin(name, instruction, defaults, stages)
            ordered.append(stage)
            for alias in (stage.alias, str(len(ordered) - 1)):
                if alias:
                    stages[alias] = stage
        elif instruction.keyword == "ARG":
            # An ARG before the first FROM serves FROM lines, and a stage that repeats its name.
            target = defaults if stage is None else stage.values
            for word in _words(instruction.text):
                key, has_default, value = word.partition("=")
                target[key] = substitute(value, target) if has_default else defaults.get(key)
        elif stage is not None:
            for source in _SOURCE.findall(instruction.text) if instruction.keyword in ("COPY", "RUN") else ():
                if (given := stages.get(source.lower())) is not None:
                    given.copied = True
            stage.take(instruction, sibling)
    if stage is not None and len(stage.installs) > MOST_INSTALLS:
        raise InputError(f"{name} has more installs than any Dockerfile has")
    kept = ordered[-1].lineage() if ordered else []
    for other in ordered:
        # What nobody copies from is built for itself, with --target.
        other.runs = other in kept or not other.copied
    return Described(name=name, kind="dockerfile", environments=tuple(s.environment() for s in ordered))


def _words(text: str) -> list[str]:
    return next(shell.commands(text), [])


class _Stage:
    def __init__(self, name: str) -> None:
        self.file = name
        self.alias: str | None = None
        self.image: PlacedValue | None = None
        self.platform: str | None = None
        self.values: dict[str, str | None] = {}
        self.variables: dict[str, PlacedValue] = {}
        self.installs: list[Install] = []
        self.packages: list[PlacedValue] = []
        self.script = ""
        self.builds: PlacedValue | None = None
        self.unread = False
        self.parent: _Stage | None = None
        self.copied = False
        self.runs = True

    @classmethod
    def begin(
        cls, name: str, instruction: Instruction, defaults: Mapping[str, str | None], stages: Mapping[str, _Stage]
    ) -> _Stage:
        stage = cls(name)
        words = instruction.text.split()
        flags = [word for word in words if word.startswith("--")]
        words = [word for word in words if not word.startswith("--")]
        for flag in flags:
            if flag.startswith("--platform="):
                stage.platform = {"linux/amd64": "linux_x86_64", "linux/arm64": "linux_aarch64"}.get(
                    flag.partition("=")[2]
                )
        reference = substitute(words[0], defaults) if words else None
        if len(words) >= 3 and words[1].lower() == "as":
            stage.alias = words[2].lower()
        stage.parent = stages.get((reference or "").lower())
        if stage.parent is not None:
            stage.values = dict(stage.parent.values)
            stage.variables = dict(stage.parent.variables)
            stage.image, stage.platform = stage.parent.image, stage.platform or stage.parent.platform
            stage.script = stage.parent.script
        elif reference:
            stage.image = PlacedValue(reference, Place(name, instruction.line))
        return stage

    def take(self, instruction: Instruction, sibling: Callable[[str], tuple[str, str] | None]) -> None:
        if instruction.keyword == "ENV":
            self._set(instruction)
        elif instruction.keyword == "RUN":
            self._run(instruction, sibling)

    def _set(self, instruction: Instruction) -> None:
        words = _words(instruction.text)
        if words and "=" not in words[0]:  # the old form: ENV NAME value
            words = [f"{words[0]}={' '.join(words[1:])}"]
        for word in words:
            key, _, raw = word.partition("=")
            value = substitute(raw, self.values)
            self.values[key] = value
            if value is not None:
                self.variables[key] = PlacedValue(value, Place(self.file, instruction.line_of(f"{key}=")))

    def _run(self, instruction: Instruction, sibling: Callable[[str], tuple[str, str] | None]) -> None:
        text = re.sub(r"^(\s*--(?:mount|network|security)=\S+)+", "", instruction.text)
        if text.startswith("["):
            try:
                words = msgspec.json.decode(text, type=list[str])
            except (msgspec.DecodeError, msgspec.ValidationError):
                words = []
            lists = [words]
        else:
            lists = list(shell.commands(text))
        self.script += f"\n{text}"
        if self.builds is None and (match := _BUILDS.search(text)):
            self.builds = PlacedValue(match[1], Place(self.file, instruction.line_of(match[1])))
        for raw in lists[: 10 * MOST_INSTALLS]:
            if len(self.installs) > MOST_INSTALLS:
                return  # which the next instruction is refused for
            words = [filled for word in raw if (filled := substitute(word, self.values)) is not None]
            for package in shell.system_packages(words):
                self.packages.append(PlacedValue(package, Place(self.file, instruction.line_of(package))))
            self._install(words, len(words) < len(raw), instruction, sibling)

    def _install(
        self,
        words: list[str],
        incomplete: bool,
        instruction: Instruction,
        sibling: Callable[[str], tuple[str, str] | None],
    ) -> None:
        def place(word: str) -> Place:
            return Place(self.file, instruction.line_of(word))

        found = shell.pip_arguments(words)
        if found is not None:
            tool, arguments = found
            call = shell.pip_call(arguments)
            wanted = [w for word in call["words"] if (w := shell.wanted(word, place(word))) is not None]
            indexes = list(shell.indexes(call, place(next(iter([*call["index"], *call["beside"]]), ""))))
            nested = [sibling(path) for path in call["requirement"]]
            self.unread = self.unread or None in nested or incomplete
            for entry in nested:
                if entry is not None:
                    inner = requirements.read_install(*entry, sibling)
                    wanted += inner.wanted
                    indexes += inner.indexes
            indexes += self._from_variables(tool, indexes)
            if wanted:
                self.installs.append(
                    Install(
                        tool=tool,
                        wanted=tuple(wanted),
                        indexes=tuple(indexes),
                        place=place(" install"),
                        constrained=bool(call["constraint"]) or None in nested,
                        incomplete=incomplete,
                    )
                )
        conda = shell.conda_arguments(words)
        if conda is not None:
            call = shell.conda_call(conda)
            specifications = [w for word in call["words"] if (w := conda_wanted(word, place(word))) is not None]
            if specifications:
                self.installs.append(
                    Install(
                        tool="conda",
                        wanted=tuple(specifications),
                        channels=tuple(call["channel"]),
                        place=place(" install"),
                        incomplete=incomplete,
                    )
                )

    def _from_variables(self, tool: str, given: list[Index]) -> list[Index]:
        names = {"PIP_INDEX_URL": False, "PIP_EXTRA_INDEX_URL": True}
        if tool == "uv":
            names = {"UV_DEFAULT_INDEX": False, "UV_INDEX_URL": False, "UV_INDEX": True, "UV_EXTRA_INDEX_URL": True}
            backend = self.variables.get("UV_TORCH_BACKEND")
            if backend is not None and not given:
                return list(
                    shell.indexes(
                        shell.Call(index=[], beside=[], find_links=[], backend=[backend.value]), backend.place
                    )
                )
        return [
            Index(url=said.value, place=said.place, beside=beside)
            for name, beside in names.items()
            if (said := self.variables.get(name)) is not None
        ]

    def environment(self) -> DescribedEnvironment:
        image = self.image.value if self.image else None
        system, musl = system_of_image(image)
        return DescribedEnvironment(
            installs=tuple(self.installs),
            image=None if self.parent is not None else self.image,
            system=system,
            musl=musl,
            in_image=True,
            fresh=is_plain(image),
            python=self._python(image),
            system_python=not _PYTHON.search(self.script) and not _OTHER_PYTHON.search(self.script),
            platform=self.platform,
            system_packages=tuple(self.packages),
            variables=self.variables,
            builds=self.builds,
            unread=self.unread or bool(_OTHERWISE_INSTALLED.search(self.script)),
            runs=self.runs,
        )

    def lineage(self) -> list[_Stage]:
        """The stage and those that it starts from."""
        return [self, *(self.parent.lineage() if self.parent is not None else ())]

    def _python(self, image: str | None) -> PlacedValue | None:
        """The Python that pip belongs to, where the file leaves no doubt."""
        place = self.image.place if self.image else Place(self.file, 1)
        if match := _UV_PYTHON.search(self.script):
            return PlacedValue(match[1], place)
        named = set(_PYTHON.findall(self.script))
        if len(named) == 1:
            return PlacedValue(named.pop(), place)
        if named or _OTHER_PYTHON.search(self.script):
            return None
        python = python_of_image(image)
        return PlacedValue(python, place) if python else None


def conda_wanted(text: str, place: Place) -> Wanted | None:
    """A conda match specification ('pytorch=2.5', 'conda-forge::pytorch-gpu>=2.4', 'python 3.11') as a requirement."""
    match = re.match(
        r"(?:[\w.-]+::)?([\w.-]+?)\s*(?:\s|(?=[=<>!~]))\s*([=<>!~].*|\d.*)?$|(?:[\w.-]+::)?([\w.-]+)$", text.strip()
    )
    if match is None:
        return None
    name, raw = (match[1] or match[3]).lower(), (match[2] or "").strip()
    raw = raw.partition(" ")[0]
    parts = raw.lstrip("=").split("=")
    if raw[:1] in ("<", ">", "!", "~"):
        specifier = raw
    elif raw.startswith("=="):
        specifier = f"=={parts[0]}"
    elif raw:
        specifier = f"=={parts[0].rstrip('.*')}.*"
    else:
        specifier = ""
    return Wanted(name=name, specifier=specifier, place=place, text=text.strip())


def sibling_of(path: Path) -> Callable[[str], tuple[str, str] | None]:
    """Reads files of the folder that `path` lies in; what cannot be read there is not known."""

    left = MOST_INCLUDED

    def read_sibling(relative: str) -> tuple[str, str] | None:
        nonlocal left
        left -= 1
        if left < 0:
            return None
        # In an image the file lies where COPY put it; its name is what links it to the context.
        for candidate in (path.parent / relative.lstrip("/"), path.parent / Path(relative).name):
            with suppress(OSError):
                if candidate.is_file() and candidate.stat().st_size < LARGEST_INCLUDED:
                    return str(candidate), candidate.read_text(encoding="utf-8", errors="replace")
        return None

    return read_sibling
