"""Follows a shell script as far as it is constant: assignments, conditions, loops over words, `$(... echo ...)`, `bash -c`.

What is not constant is not guessed: a word that holds it is left out and the command is said to be incomplete; a command behind a
condition that is not known is said to be uncertain. Source: POSIX.1-2017, 2 Shell Command Language.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from envdoctor.linting import shell
from envdoctor.linting.script_pieces import LONGEST_VALUE, closing, pieces

UNKNOWN = "\ue000"
"""Stands in a text for what is not known."""
MOST_WORDS, MOST_COMMANDS, DEEPEST = 40, 20_000, 6
"""Turns of a loop that are followed, commands of one script, scripts inside each other."""
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_SPECIAL = re.compile(r"([<>|&;()\"'\\$`#])")
_OPENING = ("if", "then", "elif", "else", "do", "while", "until", "!", "{", "time")
# Whether these succeed depends on the machine.
_ASKING = frozenset(("grep", "which", "command", "type", "nvidia-smi", "uname", "lspci", "hash"))


class Command(msgspec.Struct, frozen=True):
    """One simple command: its words; `incomplete`: one was not known; `certain`: it is run whatever the machine is;
    `redirected`: words that the shell takes for a redirection though they look like a requirement ("torch>=2.0")."""

    words: tuple[str, ...]
    incomplete: bool = False
    certain: bool = True
    redirected: tuple[str, ...] = ()


def expanded(text: str, values: Mapping[str, str | None]) -> str:
    """`text` with its variables filled in, UNKNOWN for those that are not known."""
    out: list[str] = []
    at, quote, length = 0, "", 0
    while at < len(text):
        character = text[at]
        if character == "\\" and quote != "'" and at + 1 < len(text):
            out.append(text[at : at + 2])
            at += 2
            continue
        if character in "'\"" and quote in ("", character):
            quote = "" if quote else character
        if character != "$" or quote == "'" or at + 1 >= len(text):
            out.append(character)
            at += 1
            continue
        value, at = _variable(text, at, values)
        length += len(value)
        value = UNKNOWN if length > LONGEST_VALUE else value
        # What a variable holds is split into words and is no syntax.
        out.append(re.sub(r"([\"\\$`])", r"\\\1", value) if quote else _SPECIAL.sub(r"\\\1", value))
    return "".join(out)


def _variable(text: str, at: int, values: Mapping[str, str | None]) -> tuple[str, int]:
    """The value of what begins with the $ at `at`, and where it ends."""
    if text[at + 1] == "{":
        end = closing(text, at + 2, "{", "}")
        match = re.match(r"([A-Za-z_]\w*)(?:(:?[-+=?])(.*)|([#%/^,].*))?$", text[at + 2 : end], re.DOTALL)
        if match is None:
            return UNKNOWN, end + 1
        if match[4]:
            return _cut(values.get(match[1]), match[4]), end + 1
        name, operator, word = match[1], match[2] or "", match[3] or ""
        value = values.get(name)
        if operator.endswith(("-", "=")):
            # Of a name that nobody sets, the default counts.
            return (value or _bare(word, values)), end + 1
        if operator.endswith("+"):
            # Of a name that nobody sets, nothing is put in.
            return (_bare(word, values) if value else ""), end + 1
        return (value if value is not None else UNKNOWN), end + 1
    if text[at + 1] == "(":
        end = closing(text, at + 2, "(", ")")
        if text[at + 2 : at + 3] == "(":
            return UNKNOWN, end + 1
        said = output(text[at + 2 : end], values)
        return (UNKNOWN if said is None else said), end + 1
    match = re.compile(r"[A-Za-z_]\w*").match(text, at + 1)
    if match is None:
        return ("$" if text[at + 1] in " \"'" else UNKNOWN), at + (1 if text[at + 1] in " \"'" else 2)
    value = values.get(match[0])
    return (value if value is not None else UNKNOWN), match.end()


def _cut(value: str | None, how: str) -> str:
    """`${X%.*}`, `${X//./}` and their like with plain patterns; UNKNOWN for others."""
    if value is None:
        return UNKNOWN
    if how in ("%.*", "%%.*"):
        head, dot, _ = value.rpartition(".") if how == "%.*" else value.partition(".")
        return head if dot else value
    match = re.fullmatch(r"(//?)([\w.+-]+)(?:/([\w.+-]*))?", how)
    if match is None:
        return UNKNOWN
    return value.replace(match[2], match[3] or "", -1 if match[1] == "//" else 1)


def _bare(word: str, values: Mapping[str, str | None]) -> str:
    filled = expanded(word, values)
    return re.sub(r"\\(.)", r"\1", filled.replace('"', "").replace("'", ""))


def output(text: str, values: Mapping[str, str | None], depth: int = 0) -> str | None:
    """What `$(text)` stands for; None where that is not constant."""
    said = []
    for command in run(text, values, depth + 1):
        name, rest = shell.program(command.words)
        if name in ("[", "test", "true", ":"):
            continue
        if name not in ("echo", "printf") or command.incomplete or not command.certain:
            return None
        said.append(" ".join(word for word in rest if word not in ("-n", "-e", "%s", "%s\\n")))
    return "\n".join(said)


def run(text: str, values: Mapping[str, str | None], depth: int = 0) -> Iterator[Command]:
    """The commands that the script runs, in order."""
    if depth <= DEEPEST:
        yield from _Run(dict(values), depth).block(list(pieces(text))[:MOST_COMMANDS], True)


def _both(one: bool | None, other: bool | None) -> bool | None:
    if one is False or other is False:
        return False
    return True if one and other else None


class _Run:
    def __init__(self, values: dict[str, str | None], depth: int) -> None:
        self.values, self.depth = values, depth
        self.status: bool | None = True
        self.left = MOST_COMMANDS

    def block(self, commands: list[tuple[str, str]], active: bool | None) -> Iterator[Command]:
        outer: list[tuple[bool | None, bool | None]] = []  # (active around an if, whether a branch of it was taken)
        place = 0
        while place < len(commands) and self.left > 0:
            operator, raw = commands[place]
            place += 1
            first, _, rest = raw.strip().partition(" ")
            if first == "for":
                end = _done(commands, place)
                yield from self._loop(rest, commands[place:end], active)
                place = end + 1
                continue
            if first in ("fi", "done", "esac", "}"):
                if first == "fi" and outer:
                    active, _taken = outer.pop()
                self.status = None if self.status is None else True
                continue
            while first in _OPENING:
                if first == "if":
                    outer.append((active, False))
                elif first == "then" and outer:
                    around, before = outer[-1]
                    active = _both(active, self.status)
                    outer[-1] = (around, True if self.status or before else None if self.status is None else before)
                elif first in ("else", "elif") and outer:
                    around, before = outer[-1]
                    active = _both(around, None if before is None else not before)
                elif first in ("while", "until"):
                    active = _both(active, None)
                raw, operator = rest, ";"
                first, _, rest = raw.strip().partition(" ")
            if not raw.strip():
                continue
            here = active
            if operator == "&&":
                here = _both(active, self.status)
            elif operator == "||":
                here = _both(active, None if self.status is None else not self.status)
            if here is not False:
                yield from self._command(raw, here)
            elif active is not False and operator == ";":
                self.status = True

    def _loop(self, head: str, body: list[tuple[str, str]], active: bool | None) -> Iterator[Command]:
        name, _, words = head.partition(" in ")
        found = next((c for c in shell.commands(expanded(words, self.values))), [])
        known = bool(found) and not any(UNKNOWN in word or "*" in word for word in found) and len(found) <= MOST_WORDS
        for word in found if known else [None]:
            self.values[name.strip()] = word
            yield from self.block(body, active if known else _both(active, None))

    def _command(self, raw: str, active: bool | None) -> Iterator[Command]:
        self.left -= 1
        filled = expanded(raw, self.values)
        words = [word for command in shell.commands(filled) for word in command]
        if not words:
            return
        if words[0] in ("export", "declare", "local", "readonly", "set", "unset"):
            words = words[1:] if words[0] not in ("set", "unset") else [words[0]]
        assigned = [_ASSIGNMENT.fullmatch(word) for word in words]
        if assigned and all(assigned):
            for match in assigned:
                if match is not None:
                    unknown = UNKNOWN in match[2] or active is None or "`" in raw
                    self.values[match[1]] = None if unknown else match[2]
            self.status = True if active else None
            return
        name, arguments = shell.program(words)
        if name in ("[", "[[", "test"):
            self.status = _tested([word for word in arguments if word not in ("]", "]]")])
            return
        if name in ("bash", "sh", "zsh", "dash") and (inner := _inner(arguments)) is not None:
            # Expanded once more: what stood in double quotes is constant by now.
            for command in run(inner, self.values, self.depth + 1):
                yield msgspec.structs.replace(command, certain=command.certain and active is True)
            return
        asks = name in _ASKING or (name.startswith("python") and arguments[:1] == ["-c"])
        self.status = None if active is None or asks else name != "false"
        known = tuple(word for word in words if UNKNOWN not in word)
        yield Command(known, len(known) < len(words), active is True, tuple(shell.redirected(raw)))


def _inner(arguments: list[str]) -> str | None:
    for place, word in enumerate(arguments):
        if re.fullmatch(r"-[a-z]*c", word):
            return arguments[place + 1] if place + 1 < len(arguments) else None
        if not word.startswith("-"):
            return None
    return None


def _done(commands: list[tuple[str, str]], place: int) -> int:
    depth = 1
    for at in range(place, len(commands)):
        words = commands[at][1].split()
        if words[:1] == ["do"]:
            words = words[1:]
        if words[:1] and words[0] in ("for", "while", "until"):
            depth += 1
        elif words[:1] == ["done"]:
            depth -= 1
            if depth == 0:
                return at
    return len(commands)


def _tested(words: list[str]) -> bool | None:
    """Whether a test holds; None where it asks the machine."""
    if words[:1] == ["!"]:
        inner = _tested(words[1:])
        return None if inner is None else not inner
    if any(UNKNOWN in word for word in words):
        return None
    if len(words) <= 1:
        return bool(words and words[0])
    if len(words) == 2 and words[0] in ("-n", "-z"):
        return bool(words[1]) is (words[0] == "-n")
    if len(words) == 1 or words == ["-n"]:
        return False
    if len(words) == 3 and words[1] in ("=", "==", "!="):
        return (words[0] == words[2]) is (words[1] != "!=") if "*" not in words[2] else None
    return None
