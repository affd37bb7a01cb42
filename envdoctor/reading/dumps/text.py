"""Pasted text as clean lines: without quoting, fences, colours, HTML and Markdown dress. One pass, bounded memory."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

# A dump whose line breaks were lost is one line of some kB; whatever is longer is data (base64, a minified page).
LONGEST_LINE = 16_000

LONG = 4_000_000
_BLOCK = 32_000
_WORDS = (
    "CUDA", "Cuda", "NVIDIA", "nvidia", "Nvidia", "NVRM", "orch", "GPU", "ython", "rror", "RROR", "arning", "xception", "ersion",
    "ailed", "annot", "==", "LD_LIBRARY_PATH", "Linux", "conda", "lib", "OS", "\0",
)  # fmt: skip

_BREAKS = re.compile(r"([^\r\n\u2028\u2029\x0b\x0c\x85]*)(?:\r\n|[\r\n\u2028\u2029\x0b\x0c\x85]|$)")
_ANSI = re.compile(r"\x1b(?:\[[0-9;?]{0,40}[ -/]?[@-~]|\][^\x07\x1b]{0,400}(?:\x07|\x1b\\)?|[()][AB0-2]|[=>])")
# A terminal's colour codes keep their brackets where the escape character was lost on the way.
_ANSI_REMAINS = re.compile(r"\[(?:\d{1,3}(?:;\d{1,3}){0,4})?m")
_SPACES = str.maketrans(
    dict.fromkeys("\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u3000", " ")
)
_NOTHING = str.maketrans(dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad\x00\x08\x07"))
# Tags that end a line, and those that do not. Others stay: conda prints `<pip>`, detectron2 `<not set>`.
_BREAKING = re.compile(
    r"</?(?:br|p|pre|div|details|summary|tr|table|tbody|thead|li|ul|ol|blockquote|h[1-6]|hr|body|html)(?:\s[^<>]{0,300})?/?>",
    re.IGNORECASE,
)
_INLINE = re.compile(
    r"</?(?:code|span|b|i|em|strong|font|samp|kbd|a|u|sup|sub|center|tt)(?:\s[^<>]{0,300})?/?>", re.IGNORECASE
)
_CELL = re.compile(r"</?t[dh](?:\s[^<>]{0,300})?>", re.IGNORECASE)
_OTHER_DIGITS = re.compile(r"(?![0-9])\d")
# '- **PyTorch Version:** 2.8.0'; the colon may stand behind the stars.
_BOLD_LABEL = re.compile(r"\*\*([^*\n]{1,80}?)(:?)\*\*(?=:|\s|$)")
_ESCAPED = re.compile(r"\\([_*\[\]()#+.!|~<>`-])")
_BULLET = re.compile(r"(?:[-*+\u2022\u2023\u25cf\u25e6\u00b7]|\(?\d{1,2}[.)])\s+(?=\S)")
# What no plain line has: any of these, or a bullet, or the labels of a dump whose line breaks were lost.
_SPECIAL = re.compile(
    r"[\x00-\x08\x0e-\x1f\t<>&\\`~\[\x7f]|\*\*|^\s*(?:[-*+]\s|\(?\d{1,2}[.)]\s)|PyTorch version|CUDA available"
)
_RULE = re.compile(r"[\s=*_#~+|:-]+$")
_FIRST = re.compile(r"(?:PyTorch version\s{0,20}:|Collecting environment information|sys\.platform(?::|\s{2}))")
# Where a dump's line breaks were lost, each of these starts a line.
_LOST_BREAKS = re.compile(
    r"(?<=\s)(?=(?:PyTorch version|Is debug build|CUDA used to build PyTorch|ROCM used to build PyTorch|"
    r"ROCm SDK used to build PyTorch|HIP used to build PyTorch|OS|GCC version|Clang version|CMake version|Libc version|"
    r"Python version|Python platform|Is CUDA available|CUDA runtime version|CUDA_MODULE_LOADING set to|"
    r"GPU models and configuration|Nvidia driver version|cuDNN version|HIP runtime version|MIOpen runtime version|"
    r"Is XNNPACK available|Is XPU available|Versions of relevant libraries)\s{0,20}:\s|GPU \d{1,3}: |\[(?:pip3?|conda)\] )"
)


class DumpLine(NamedTuple):
    """One line: `text` keeps indentation and bullet, `bare` has neither."""

    text: str
    bare: str
    indent: int


def decode(data: bytes) -> str:
    """Text of a file's bytes: UTF-8, UTF-16 (what PowerShell's `>` writes) with or without its mark, else Windows-1252."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    head = data[:4000]
    if head.count(0) > len(head) // 4:
        return data.decode("utf-16-be" if head[:1] == b"\0" else "utf-16-le", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # A file cut in the middle of a character is still UTF-8.
        if error.end >= len(data) - 3:
            return data.decode("utf-8-sig", "replace")
        return data.decode("cp1252", "replace")


def is_text(text: str) -> bool:
    """Whether there is anything to read: a letter or digit, and not mostly what no keyboard types."""
    head = text[:4000]
    strange = sum(not (character.isprintable() or character.isspace() or character == "\x1b") for character in head)
    return any(character.isalnum() for character in head) and strange * 4 <= len(head)


def lines(text: str) -> Iterator[DumpLine]:
    """The cleaned lines of a pasted text, blank ones included, fences and HTML dress left out."""
    if text.count("\n") < 3 and text.count("\\n") > 3:
        text = text.replace("\\r", "").replace("\\n", "\n").replace("\\t", "\t")
    for part in _relevant(text):
        yield from _lines(part)


def _relevant(text: str) -> Iterator[str]:
    """A short text whole; of a long log only the blocks in which a word of any dump or error stands, cut at line ends."""
    if len(text) < LONG:
        yield text
        return
    start = 0
    while start < len(text):
        end = text.find("\n", start + _BLOCK) + 1 or len(text)
        block = text[start : min(end, start + 2 * _BLOCK)]
        if start == 0 or end == len(text) or any(word in block for word in _WORDS):
            yield block
        start = end


def _lines(text: str) -> Iterator[DumpLine]:
    for match in _BREAKS.finditer(text):
        raw = match[1][:LONGEST_LINE]
        if raw.isascii() and not _SPECIAL.search(raw):  # nearly every line of a long log
            line = raw.rstrip()
            bare = line.lstrip()
            yield DumpLine(line, bare, len(line) - len(bare))
        elif "<" in raw:
            for part in _BREAKING.split(raw):
                yield from _cleaned(part)
        else:
            yield from _cleaned(raw)


def _cleaned(raw: str) -> Iterator[DumpLine]:
    line = raw.expandtabs(8).rstrip() if "\t" in raw else raw.rstrip()
    if not line.isascii():
        line = line.translate(_NOTHING).translate(_SPACES).rstrip()
    elif "\x1b" in line or "\x00" in line or "\x08" in line or "\x07" in line:
        line = _ANSI.sub("", line).translate(_NOTHING).rstrip()
    if "[" in line:
        line = _ANSI.sub("", line)
        if "m" in line:
            line = _ANSI_REMAINS.sub("", line)
    if "&" in line and ";" in line:
        line = html.unescape(line).replace("\u00a0", " ").rstrip()
    if not line.isascii():
        line = _OTHER_DIGITS.sub(_ascii_digit, line)
    if "**" in line:
        line = _BOLD_LABEL.sub(r"\1\2", line)
    if "<" in line:
        line = _CELL.sub("  ", _INLINE.sub("", line)).rstrip()
    line = _unquoted(line)
    stripped = line.lstrip()
    if stripped.endswith("```") and stripped.strip("`"):  # the last line of a fence
        line = line.rstrip("`")
        stripped = line.lstrip()
    if stripped.startswith(("```", "~~~")):
        rest = stripped.strip("`~").strip()
        # An opening fence may carry the first line behind it; a mere language name is not one.
        if " " not in rest:
            return
        stripped = line = rest
    if "\\" in stripped and ":\\" not in stripped:  # not a Windows path
        stripped = _ESCAPED.sub(r"\1", stripped)
    if stripped.count(": ") > 2 and (
        "PyTorch version" in stripped or "CUDA available" in stripped or "[pip" in stripped
    ):
        for part in _LOST_BREAKS.split(stripped):
            yield DumpLine(part.strip(), part.strip(), 0)
        return
    yield _line(line, stripped)


def _ascii_digit(found: re.Match[str]) -> str:
    """Full-width and other scripts' digits as ASCII: versions are to be numbers for everybody who reads on."""
    return str(unicodedata.decimal(found[0]))


def _line(text: str, stripped: str) -> DumpLine:
    bullet = _BULLET.match(stripped) if stripped and (not stripped[0].isalnum() or stripped[0].isdecimal()) else None
    return DumpLine(text, (stripped[bullet.end() :] if bullet else stripped), len(text) - len(text.lstrip()))


def _unquoted(line: str) -> str:
    """Without mail quoting; a Python prompt (`>>> `) is not quoting."""
    stripped = line.lstrip()
    while stripped.startswith(">") and stripped != ">>>" and not stripped.startswith(">>> "):
        line = stripped[2:] if stripped.startswith("> ") else stripped[1:]
        stripped = line.lstrip()
    return line


def unprefixed(source: Iterator[DumpLine]) -> Iterator[DumpLine]:
    """Without what a log or a container runner puts before every line of a dump: a time, a name and a bar.

    The prefix is learnt where a dump's first words stand behind it; digits in it may change from line to line.
    """
    prefix: re.Pattern[str] | None = None
    for line in source:
        bare = line.bare
        found = (
            _FIRST.search(bare, 0, 200)
            if bare and ("ersion" in bare or "Collecting" in bare or "sys.p" in bare)
            else None
        )
        if found and 0 < found.start() <= 120:
            prefix = re.compile(re.sub(r"\d+", r"\\d+", re.escape(bare[: found.start()].rstrip())) + r"\s?")
        cut = prefix.match(bare) if prefix is not None else None
        if cut is None:
            yield line
            continue
        rest = bare[cut.end() :]
        yield _line(rest, rest.lstrip())


def is_rule(bare: str) -> bool:
    """A line that only draws: '-----', '=====', '|---|---|'."""
    return _RULE.match(bare) is not None
