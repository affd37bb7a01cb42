"""One stage of a Dockerfile: its image, its variables, and the installing that its RUN instructions do."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec

from envdoctor.diagnosis.model import Gap, NotJudged
from envdoctor.linting import script, shell
from envdoctor.linting.model import DescribedEnvironment, Install, Place, PlacedValue
from envdoctor.linting.readers import conda_environment, requirements
from envdoctor.linting.readers.compiled_packages import compiles
from envdoctor.linting.readers.conda_specification import conda_wanted
from envdoctor.linting.readers.docker_indexes import indexes_of_variables
from envdoctor.linting.readers.docker_syntax import Instruction, substitute
from envdoctor.linting.systems import is_plain, python_of_image, system_of_image

_PYTHON = re.compile(r"\bpython(3\.\d{1,2})\b")
_OTHER_PYTHON = re.compile(
    r"\b(uv (?:venv|python|sync)|conda|mamba|pyenv|deadsnakes|miniforge|miniconda)\b", re.IGNORECASE
)
# Installers that read a project, a lock or an environment file instead of taking packages by name.
_OTHERWISE_INSTALLED = re.compile(
    r"\buv sync\b|\bpoetry install\b|\bpdm (?:install|sync)\b|\bpipenv (?:install|sync)\b|\bpixi install\b"
    r"|\bpip3? install\b[^\n;&]*\s\.|\bsetup\.py (?:install|develop)\b"
)
_UV_PYTHON = re.compile(
    r"uv (?:python install|(?:venv|pip install) (?:\S+ )*?(?:--python|-p)[ =])\s*(?:cpython-)?(3\.\d{1,2})"
)
_BUILDS = re.compile(
    r"(?<![\w-])(flash[-_]attn|apex|deepspeed|mamba-ssm|causal-conv1d|--no-build-isolation|TORCH_CUDA_ARCH_LIST|nvcc)(?![\w-])"
)
MOST_INSTALLS = 1_000
"""Installs of one stage: more than any Dockerfile has."""
Sibling = Callable[[str], "tuple[str, str] | None"]


def words_of(text: str) -> list[str]:
    """The words of an instruction's arguments, as a shell splits them."""
    return next(shell.commands(text), [])


class Stage:
    """One stage while it is read."""

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
        self.parent: Stage | None = None
        self.copied = False
        self.runs = True
        self.gaps: list[Gap] = []
        self.downloads: list[PlacedValue] = []
        self.compiled: list[PlacedValue] = []
        self.redirected: list[PlacedValue] = []
        self.channels: list[str] = []
        self.conda_python: PlacedValue | None = None

    @classmethod
    def begin(
        cls, name: str, instruction: Instruction, defaults: Mapping[str, str | None], stages: Mapping[str, Stage]
    ) -> Stage:
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
            stage.packages = list(stage.parent.packages)
            stage.channels = list(stage.parent.channels)
        elif reference:
            stage.image = PlacedValue(reference, Place(name, instruction.line))
        elif words:
            stage.gap(NotJudged.VARIABLE, words[0], instruction.line)
        return stage

    def take(self, instruction: Instruction, sibling: Callable[[str], tuple[str, str] | None]) -> None:
        if instruction.keyword == "ENV":
            self._set(instruction)
        elif instruction.keyword == "RUN":
            self._run(instruction, sibling)

    def _set(self, instruction: Instruction) -> None:
        words = words_of(instruction.text)
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
        commands = self._exec_form(text) if text.startswith("[") else list(script.run(text, self.values))
        self.script += f"\n{text}"
        if self.builds is None and (match := _BUILDS.search(text)):
            self.builds = PlacedValue(match[1], Place(self.file, instruction.line_of(match[1])))
        for command in commands[: 10 * MOST_INSTALLS]:
            if len(self.installs) > MOST_INSTALLS:
                return  # which the next instruction is refused for
            words = list(command.words)
            for package in shell.system_packages(words):
                self.packages.append(PlacedValue(package, Place(self.file, instruction.line_of(package))))
            self._other(words, instruction)
            self._install(command, instruction, sibling)

    def _exec_form(self, text: str) -> list[script.Command]:
        try:
            words = msgspec.json.decode(text, type=list[str])
        except (msgspec.DecodeError, msgspec.ValidationError):
            return list(script.run(text, self.values))  # `[ ... ] && ...` is a test; docker takes it so, too
        if len(words) == 3 and words[0].rpartition("/")[2] in ("sh", "bash") and words[1].endswith("c"):
            return list(script.run(words[2], self.values))
        filled = [(word, substitute(word, self.values)) for word in words]
        known = tuple(value for _, value in filled if value is not None)
        return [script.Command(known, len(known) < len(words))]

    def _other(self, words: list[str], instruction: Instruction) -> None:
        """What else a command tells: scripts that were not read, downloads of pip itself, what compiles CUDA code."""
        name, rest = shell.program(words)
        ran = name if name.endswith(".sh") else next((w for w in rest[:2] if w.endswith(".sh")), "")
        if (name in ("bash", "sh", "source", ".") or name.endswith(".sh")) and ran:
            self.gap(NotJudged.FILE, ran, instruction.line_of(ran))
        self.downloads += [
            PlacedValue(word, Place(self.file, instruction.line_of("get-pip.py")))
            for word in words
            if word.endswith("get-pip.py") and "://" in word
        ]
        for word in words:
            key, is_set, value = word.partition("=")
            if is_set and key == "TORCH_CUDA_ARCH_LIST":
                self.variables[key] = PlacedValue(value, Place(self.file, instruction.line_of(key)))
        for word in compiles(name, rest):
            self.compiled.append(PlacedValue(word, Place(self.file, instruction.line_of(word.split("[")[0]))))

    def gap(self, reason: NotJudged, text: str, line: int) -> None:
        """Notes what was not followed."""
        self.gaps.append(Gap(reason, text, line))

    def _install(
        self,
        command: script.Command,
        instruction: Instruction,
        sibling: Callable[[str], tuple[str, str] | None],
    ) -> None:
        words, incomplete = list(command.words), command.incomplete

        def place(word: str) -> Place:
            # Of a word that a variable was filled into, the package's name stands there at least.
            name = re.match(r"[\w.-]*", word)
            at = word if word in instruction.text else name[0] if name else ""
            return Place(self.file, instruction.line_of(at))

        found = shell.pip_arguments(words)
        if found is not None:
            tool, arguments = found
            call = shell.pip_call(arguments)
            wanted = [w for word in call["words"] if (w := shell.wanted(word, place(word))) is not None]
            indexes = list(shell.indexes(call, place(next(iter([*call["index"], *call["beside"]]), ""))))
            nested = [sibling(path) for path in call["requirement"]]
            for path, entry in zip(call["requirement"], nested, strict=True):
                if entry is None:
                    self.gap(NotJudged.FILE, path, instruction.line_of(path))
            if incomplete or not command.certain:
                self.gap(NotJudged.VARIABLE, " ".join(words), instruction.line)
            for word in command.redirected:
                self.redirected.append(PlacedValue(word, place(word)))
            self.unread = self.unread or None in nested or incomplete
            for entry in nested:
                if entry is not None:
                    inner = requirements.read_install(*entry, sibling)
                    wanted += inner.wanted
                    indexes += inner.indexes
            indexes += indexes_of_variables(self.variables, tool, indexes)
            if wanted:
                self.installs.append(
                    Install(
                        tool=tool,
                        wanted=tuple(wanted),
                        indexes=tuple(indexes),
                        place=place(" install"),
                        constrained=bool(call["constraint"]) or None in nested,
                        incomplete=incomplete,
                        maybe=not command.certain,
                    )
                )
        self._conda(words, command, instruction, sibling, place)

    def _conda(
        self,
        words: list[str],
        command: script.Command,
        instruction: Instruction,
        sibling: Sibling,
        place: Callable[[str], Place],
    ) -> None:
        conda = shell.conda_arguments(words)
        if conda is not None:
            call = shell.conda_call(conda)
            specifications = [w for word in call["words"] if (w := conda_wanted(word, place(word))) is not None]
            self.conda_python = conda_environment.python_of(specifications) or self.conda_python
            if specifications:
                self.installs.append(
                    Install(
                        tool="conda",
                        wanted=tuple(specifications),
                        channels=(*call["channel"], *self.channels),
                        place=place(" install"),
                        incomplete=command.incomplete,
                        maybe=not command.certain,
                    )
                )
        self.channels += shell.added_channels(words)
        for path in shell.conda_files(words):
            entry = sibling(path)
            if entry is None:
                self.gap(NotJudged.FILE, path, instruction.line_of(path))
                self.unread = True
                continue
            for environment in conda_environment.read(*entry).environments:
                self.installs += environment.installs
                self.conda_python = environment.python or self.conda_python

    def environment(self) -> DescribedEnvironment:
        image = self.image.value if self.image else None
        system, musl = system_of_image(image)
        return DescribedEnvironment(
            installs=tuple(self.installs),
            image=None if self.parent is not None else self.image,
            base=image,
            system=system,
            musl=musl,
            in_image=True,
            fresh=is_plain(image) and not any(stage.installs or stage.unread for stage in self.lineage()[1:]),
            python=self._python(image),
            system_python=not _PYTHON.search(self.script) and not _OTHER_PYTHON.search(self.script),
            platform=self.platform,
            system_packages=tuple(self.packages),
            variables=self.variables,
            builds=self.builds,
            compiled=tuple(self.compiled),
            downloads=tuple(self.downloads),
            redirected=tuple(self.redirected),
            gaps=(*self.gaps, *self._unread_installers()),
            unread=self.unread or bool(_OTHERWISE_INSTALLED.search(self.script)),
            runs=self.runs,
        )

    def _unread_installers(self) -> list[Gap]:
        line = self.image.place.line if self.image is not None else 1
        return [Gap(NotJudged.INSTALLER, match[0], line) for match in _OTHERWISE_INSTALLED.finditer(self.script)][:3]

    def lineage(self) -> list[Stage]:
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
        if self.conda_python is not None:
            return self.conda_python
        if named or _OTHER_PYTHON.search(self.script):
            return None
        python = python_of_image(image)
        return PlacedValue(python, place) if python else None
