"""The installing that a line of shell does: pip, uv, conda and the system's package managers.

Read with shlex, as a POSIX shell splits words: an unquoted `pip install torch>=2.6` is a redirection there, and here too.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from itertools import pairwise

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from envdoctor.linting.model import Index, Place, Wanted

_OPERATORS = frozenset("();<>|&")
_REDIRECTIONS = frozenset({">", ">>", "<", ">&", "&>"})
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_PREFIXES = frozenset({"sudo", "exec", "time", "nice", "env", "then", "do", "else", "if", "!", "{"})
PIP_OPTIONS_WITH_VALUE = frozenset((
    "-c", "--constraint", "-e", "--editable", "-t", "--target", "--prefix", "--root", "--platform", "--python-version",
    "--implementation", "--abi", "--src", "--upgrade-strategy", "--no-binary", "--only-binary", "--progress-bar", "--report",
    "--cert", "--client-cert", "--cache-dir", "--log", "--proxy", "--retries", "--timeout", "--exists-action",
    "--trusted-host", "--config-settings", "-C", "--python", "-p", "--python-platform", "--resolution", "--prerelease",
    "--index-strategy", "--keyring-provider", "--link-mode", "--exclude-newer", "--refresh-package", "-P",
    "--upgrade-package", "--no-build-isolation-package", "--reinstall-package", "--override", "--extra", "--group",
    "--build-constraint", "--allow-insecure-host",
))  # fmt: skip
"""Of pip and uv: what follows one of these is no requirement."""
_INDEX_OPTIONS = {
    "-i": False, "--index-url": False, "--default-index": False, "--extra-index-url": True, "--index": True,
}  # fmt: skip
_CONDA_OPTIONS_WITH_VALUE = frozenset(("-n", "--name", "-p", "--prefix", "--file", "-f", "--solver", "--repodata-fn"))


class Call(dict[str, list[str]]):
    """An installer's options by their canonical names, each with its values in order; 'words': what is no option."""


def commands(text: str) -> Iterator[list[str]]:
    """The simple commands of a script's text, each as its words. Text that no shell would split yields nothing more."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    skip = False
    try:
        for token in lexer:
            if token and set(token) <= _OPERATORS | {"\n"}:
                if token in _REDIRECTIONS:
                    skip = True
                    if words[-1:] in (["1"], ["2"]):  # 2>&1: the number of the stream
                        words.pop()
                    continue
                if words:
                    yield words
                words = []
            elif skip:
                skip = False
            else:
                words.append(token)
    except ValueError:  # an unclosed quote: a heredoc in another language, or a mistake that the shell will report
        pass
    if words:
        yield words


def redirected(text: str) -> Iterator[str]:
    """What looks like a requirement and is none, as the shell reads it: `torch>=2.0` writes to a file named =2.0."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars="<>")
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        tokens = list(lexer)
    except ValueError:
        return
    for before, token, after in zip(tokens, tokens[1:], tokens[2:], strict=False):
        name = re.fullmatch(r"[A-Za-z][\w.-]*(?:\[[\w,-]+\])?", before)
        if token in (">", "<") and name and re.fullmatch(r"=?\d[\d.*]*", after):
            yield f"{before}{token}{after}"


def program(words: Sequence[str]) -> tuple[str, list[str]]:
    """The command's name without path, and its arguments; what stands before it (assignments, sudo) is left out."""
    rest = list(words)
    while rest and (rest[0] in _PREFIXES or _ASSIGNMENT.match(rest[0]) or (rest[0].startswith("-") and len(rest) > 1)):
        rest.pop(0)
    if not rest:
        return "", []
    return rest[0].rpartition("/")[2], rest[1:]


def pip_arguments(words: Sequence[str]) -> tuple[str, list[str]] | None:
    """('pip', what follows `install`) of a command that installs Python packages; None of any other."""
    name, rest = program(words)
    if re.fullmatch(r"python[\d.]*", name) and rest[:1] == ["-m"] and rest[1:2] in (["pip"], ["uv"]):
        name, rest = rest[1], rest[2:]
    if re.fullmatch(r"pip[\d.]*", name):
        rest = _past_globals(rest)
        return ("pip", rest[1:]) if rest[:1] == ["install"] else None
    if name in ("conda", "mamba", "micromamba") and rest[:1] == ["run"]:
        return pip_arguments(_after_options(rest[1:]))
    if name in ("poetry", "pdm", "pipenv") and rest[:1] in (["add"], ["install"]) and len(rest) > 1:
        named = [_as_requirement(word) for word in rest[1:] if not word.startswith("-")]
        return ("pip", [*named, *(w for w in rest[1:] if w.startswith("--") and "=" in w)]) if named else None
    if name == "uv":
        if rest[:2] == ["pip", "install"]:
            return "uv", rest[2:]
        return ("uv", rest[1:]) if rest[:1] == ["add"] else None
    return None


def _after_options(rest: list[str]) -> list[str]:
    """`conda run -n env --no-capture-output pip ...`: what is run."""
    rest = list(rest)
    while rest and rest[0].startswith("-"):
        rest = rest[2:] if rest[0] in ("-n", "--name", "-p", "--prefix", "--cwd") else rest[1:]
    return rest


def _as_requirement(word: str) -> str:
    """Poetry's `torch@2.1.0`, `torch@^2.1` and `torch:2.1` as a requirement; a caret is left open."""
    match = re.fullmatch(r"([A-Za-z][\w.-]*)@(\d[\w.]*)", word)
    return f"{match[1]}=={match[2]}" if match else re.sub(r"@(?:\^|latest).*$", "", word)


def _past_globals(rest: list[str]) -> list[str]:
    while rest and rest[0].startswith("-"):
        rest = rest[2:] if rest[0] in PIP_OPTIONS_WITH_VALUE and "=" not in rest[0] else rest[1:]
    return rest


def conda_arguments(words: Sequence[str]) -> list[str] | None:
    """What follows `conda install` or `conda create`; None of any other command."""
    name, rest = program(words)
    if name in ("conda", "mamba", "micromamba", "pixi") and rest[:1] in (["install"], ["create"], ["add"]):
        return rest[1:]
    return None


def conda_files(words: Sequence[str]) -> list[str]:
    """The environment files of `conda env create -f FILE`, `conda env update`, `micromamba install -f`."""
    name, rest = program(words)
    if name not in ("conda", "mamba", "micromamba") or rest[:1] not in (["env"], ["create"], ["install"], ["update"]):
        return []
    found = [after for word, after in pairwise(rest) if word in ("-f", "--file", "-n=-f")]
    found += [word.partition("=")[2] for word in rest if word.startswith("--file=")]
    return [path for path in found if path.endswith((".yml", ".yaml"))]


def added_channels(words: Sequence[str]) -> list[str]:
    """The channels that `conda config --add channels X` sets for what comes after."""
    name, rest = program(words)
    if name not in ("conda", "mamba") or rest[:1] != ["config"]:
        return []
    return [after for word, after in pairwise(rest) if word == "channels"]


def conda_call(arguments: Sequence[str]) -> Call:
    """conda's options: 'channel' and 'words'."""
    call = Call(channel=[], words=[])
    rest = iter(arguments)
    for word in rest:
        if word in ("-c", "--channel"):
            call["channel"].append(next(rest, ""))
        elif word.startswith("--channel="):
            call["channel"].append(word.partition("=")[2])
        elif word in _CONDA_OPTIONS_WITH_VALUE:
            next(rest, None)
        elif not word.startswith("-"):
            call["words"].append(word)
    return call


def system_packages(words: Sequence[str]) -> list[str]:
    """The packages that apt, dnf, yum, zypper or apk installs in this command, without versions."""
    name, rest = program(words)
    verbs = {"apk": "add"}
    if name not in ("apt-get", "apt", "aptitude", "dnf", "yum", "microdnf", "zypper", "apk"):
        return []
    verb = verbs.get(name, "install")
    if verb not in rest:
        return []
    found = [word for word in rest[rest.index(verb) + 1 :] if not word.startswith("-")]
    return [re.split(r"[=<>~]", word)[0] for word in found]


def pip_call(arguments: Sequence[str]) -> Call:
    """pip's options under long names: 'index', 'beside', 'find_links', 'requirement', 'constraint', 'backend', 'words'."""
    call = Call(index=[], beside=[], find_links=[], requirement=[], constraint=[], backend=[], words=[])
    rest = iter(arguments)
    for word in rest:
        option, has_value, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if option in _INDEX_OPTIONS:
            target = "beside" if _INDEX_OPTIONS[option] else "index"
        elif word.startswith("-i") and word != "-i" and not word.startswith("--"):
            call["index"].append(word[2:])
            continue
        elif option in ("-f", "--find-links"):
            target = "find_links"
        elif option in ("-r", "--requirement", "--requirements"):
            target = "requirement"
        elif option in ("-c", "--constraint"):
            target = "constraint"
        elif option == "--torch-backend":
            target = "backend"
        elif option in PIP_OPTIONS_WITH_VALUE:
            if not has_value:
                next(rest, None)
            continue
        elif word.startswith("-"):
            continue
        else:
            call["words"].append(word)
            continue
        call[target].append(value if has_value else next(rest, ""))
    return call


def wanted(text: str, place: Place) -> Wanted | None:
    """A requirement as pip takes it; None for a path, an option or nonsense, and where its marker excludes Linux and Windows."""
    text = text.strip()
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        if match := re.search(r"/(torch|torchvision|torchaudio)-[^/]*\.whl", text):
            return Wanted(name=match[1], specifier="", place=place, text=text, elsewhere=True)
        return None
    if requirement.marker is not None and not any(
        requirement.marker.evaluate({"sys_platform": system, "platform_system": name})
        for system, name in (("linux", "Linux"), ("win32", "Windows"))
    ):
        return None
    return Wanted(
        name=canonicalize_name(requirement.name),
        specifier=str(requirement.specifier),
        place=place,
        text=text,
        elsewhere=requirement.url is not None,
    )


def indexes(call: Call, place: Place) -> tuple[Index, ...]:
    """The indexes that a pip or uv call names. uv's --torch-backend is the index of that name."""
    found = [Index(url=url, place=place) for url in call["index"]]
    found += [Index(url=url, place=place, beside=True) for url in call["beside"]]
    found += [Index(url=url, place=place, find_links=True, beside=True) for url in call["find_links"]]
    for backend in call["backend"]:
        url = "auto" if backend == "auto" else f"https://download.pytorch.org/whl/{backend}"
        found.append(Index(url=url, place=place))
    return tuple(found)
