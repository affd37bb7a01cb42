"""Finds the diagnoses' messages in a text of any size: in one pass, in linear time, in bounded memory.

A message is a row of literals with gaps. The longest literal is looked for with str.find; around each place where it stands,
the others must follow in order, each within GAP characters. Nothing backtracks: the nearest place is taken or the match fails.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

import msgspec

from envdoctor.diagnosis.model import Diagnosis, Message, Occurrence
from envdoctor.diagnosis.signature_text import Page, squashed

_PLACEHOLDER = re.compile(r"\{([a-z_]{1,20})\}")
GAP = 240
"""What a placeholder may stand for, in characters without white space: a path, a device's name, a list of architectures."""
BLOCK = 1 << 20
CARRIED = 60
"""Lines of the block before that are kept: a message may stand across the border, and its traceback before it."""
ENOUGH = 200
"""From so many occurrences on, a message is counted by its longest literal alone."""
BEFORE, AFTER = 60, 15


class Match(msgspec.Struct, kw_only=True):
    """A message that was found, with its first and last place (1 is the first line)."""

    code: str
    message: Message
    line: str
    line_number: int
    values: dict[str, str]
    count: int = 1
    last_line_number: int = 0
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


class Signature(msgspec.Struct, frozen=True):
    """A message, ready to be looked for."""

    code: str
    message: Message
    literals: tuple[str, ...]
    names: tuple[str, ...]
    """Placeholder names; names[i] stands between literals[i] and literals[i + 1]."""
    anchor: int
    """Index of the longest literal."""

    def places(self, page: Page, start: int) -> Iterator[tuple[int, int, dict[str, str]]]:
        """(start, end, values) of each occurrence that ends after `start`."""
        text, anchor = page.text, self.literals[self.anchor]
        place = text.find(anchor)
        while place != -1:
            found = self._around(text, place)
            after = place + len(anchor)
            if found is not None:
                if found[-1][1] > start:
                    values = {
                        name: page.original(found[i][1], found[i + 1][0])
                        for i, name in enumerate(self.names)
                        if i + 1 < len(found)
                    }
                    yield found[0][0], found[-1][1], values
                after = max(after, found[-1][1])
            place = text.find(anchor, after)

    def _around(self, text: str, place: int) -> list[tuple[int, int]] | None:
        """Where each literal stands, the anchor being at `place`."""
        anchor = self.literals[self.anchor]
        spans = [(place, place + len(anchor))]
        for literal in reversed(self.literals[: self.anchor]):
            end = spans[0][0]
            at = text.rfind(literal, max(end - GAP - len(literal), 0), end)
            if at == -1:
                return None
            spans.insert(0, (at, at + len(literal)))
        for literal in self.literals[self.anchor + 1 :]:
            end = spans[-1][1]
            at = text.find(literal, end, end + GAP + len(literal))
            if at == -1:
                return None
            spans.append((at, at + len(literal)))
        return spans


def compile_message(code: str, message: Message) -> Signature:
    """Raises ValueError for a text that could match anywhere."""
    parts = _PLACEHOLDER.split(message.text.removeprefix("NVRM:"))
    literals, names = parts[::2], parts[1::2]
    squashed_literals, kept = [squashed(literals[0])], []
    for place, (name, literal) in enumerate(zip(names, literals[1:], strict=True), 1):
        # Two placeholders with nothing but a space between them are one.
        if squashed(literal) or place == len(names):
            squashed_literals.append(squashed(literal))
            kept.append(name)
    names = kept
    # A placeholder at an end stands for nothing that could be looked for.
    if squashed_literals[0] == "" and len(squashed_literals) > 1:
        squashed_literals, names = squashed_literals[1:], names[1:]
    if squashed_literals[-1] == "" and len(squashed_literals) > 1:
        squashed_literals, names = squashed_literals[:-1], names[: len(squashed_literals) - 2]
    anchor = max(range(len(squashed_literals)), key=lambda i: len(squashed_literals[i]))
    if len(squashed_literals[anchor]) < 4 or sum(map(len, squashed_literals)) < 7:
        raise ValueError(f"{code}: too short to tell anything: {message.text}")
    return Signature(code, message, tuple(squashed_literals), tuple(names), anchor)


def compile_all(diagnoses: Iterable[Diagnosis]) -> tuple[Signature, ...]:
    return tuple(compile_message(d.code, message) for d in diagnoses for message in d.messages)


class Scan(msgspec.Struct, kw_only=True):
    """What was found in a text, and the parts of it that tell facts."""

    matches: list[Match]
    lines: int
    size: int
    """In bytes."""
    denied: frozenset[str]
    """Codes of which a message stands there that its condition does not let count, and no other."""
    excerpt: str
    """The whole text where it is short; else its beginning, its end, and what stands around the matches."""


WHOLE = 2 << 20
"""A text up to this size is read for facts as a whole."""
AROUND = 40
"""Lines around a match that go into a long text's excerpt."""


def scan(stream: BinaryIO, signatures: tuple[Signature, ...], tick: Callable[[int], None] | None = None) -> Scan:
    """Looks for all signatures in a stream of bytes; `tick` is told how many bytes have been read."""
    finder = _Finder(signatures)
    head, tail, size = [], b"", 0
    head_size = 0
    for block in _blocks(stream):
        if size == 0 and len(block) < BLOCK and block.count(b"\n") < 3 and block.count(b"\\n") > 3:
            # A text from inside JSON or repr(), whose line ends are written out.
            block = block.replace(b"\\r", b"").replace(b"\\n", b"\n").replace(b"\\t", b"\t")  # noqa: PLW2901
        size += len(block)
        finder.take(block, whole=len(block) < BLOCK)
        if head_size < WHOLE:
            head.append(block)
            head_size += len(block)
        tail = (tail + block)[-(64 << 10) :] if len(block) < (64 << 10) else block[-(64 << 10) :]
        if tick is not None:
            tick(size)
    text = decode(b"".join(head))
    if size > WHOLE:
        text = "\n".join([text[: WHOLE // 8], *finder.excerpts, decode(tail)])
    matches = finder.result()
    denied = frozenset(finder.denied - {match.code for match in matches})
    return Scan(matches=matches, denied=denied, lines=finder.line - 1, size=size, excerpt=text)


def scan_text(text: str, signatures: tuple[Signature, ...]) -> Scan:
    return scan(io.BytesIO(text.encode("utf-8", "replace")), signatures)


class _Finder:
    def __init__(self, signatures: tuple[Signature, ...]) -> None:
        self.signatures = signatures
        self.found: dict[int, Match] = {}
        self.line = 1
        self.carried: list[str] = []
        self.excerpts: list[str] = []
        self.denied: set[str] = set()
        self.triggers = _triggers(signatures)

    def take(self, block: bytes, *, whole: bool) -> None:
        number = block.count(b"\n") + (not block.endswith(b"\n"))
        chosen = self.signatures if whole else self._possible(block)
        if chosen:
            lines = decode(block).split("\n")
            if lines and not lines[-1]:
                lines.pop()
            page = Page([*self.carried, *lines], self.line - len(self.carried))
            start = page.starts[len(self.carried)] if len(self.carried) < len(page.starts) else len(page.text)
            for signature in chosen:
                self._look(signature, page, start)
            self.carried = lines[-CARRIED:]
        else:
            self.carried = decode(block[-(16 << 10) :]).split("\n")[-CARRIED - 1 : -1] if not whole else []
        self.line += number

    def _possible(self, block: bytes) -> tuple[Signature, ...]:
        """The signatures whose longest literal may stand in this block: first by few short words, then by the literals."""
        text = block.lower().translate(None, b" \t\r\n\v\f")
        return tuple(s for word, group in self.triggers if word in text for s, literal in group if literal in text)

    def _look(self, signature: Signature, page: Page, start: int) -> None:
        key = id(signature)
        condition = signature.message.when
        match = self.found.get(key)
        for first, end, values in signature.places(page, start):
            index = page.line_at(first)
            if match is not None and match.count >= ENOUGH:
                match.count += page.text.count(signature.literals[signature.anchor], first)
                match.last_line_number = page.first + page.line_at(
                    page.text.rfind(signature.literals[signature.anchor])
                )
                return
            last = page.line_at(max(end - 1, first))
            before = tuple(page.lines[max(index - BEFORE, 0) : index])
            after = tuple(page.lines[last + 1 : last + 1 + AFTER])
            if condition is not None and not condition(Occurrence(page.whole_lines(first, end), values, before, after)):
                self.denied.add(signature.code)
                continue
            if match is None:
                match = Match(
                    code=signature.code,
                    message=signature.message,
                    line=page.shown(first, end),
                    line_number=page.first + index,
                    values=values,
                    before=before,
                    after=after,
                    last_line_number=page.first + index,
                )
                self.found[key] = match
                if len(self.excerpts) < 50:
                    self.excerpts.append("\n".join(page.lines[max(index - AROUND, 0) : last + AROUND]))
            else:
                match.count += 1
                match.last_line_number = page.first + index

    def result(self) -> list[Match]:
        return sorted(self.found.values(), key=lambda match: match.line_number)


# Words of which nearly every literal holds one and of which an ordinary log's block holds few: looking for these first saves
# looking for every literal in every block.
_COMMON = (
    "cudaerror", "cudadriver", "cuda_error", "nvidiadriver", "nvidia-smi", "nvidia", "cudnn", "nccl", "cublas", "nvml", "cuda",
    "undefinedsymbol", "sharedobject", "version'", "winerror", "dllload", "torchvision", "torchaudio", "triton", "numpy", "nvcc",
    "nomodulenamed", "couldnot", "cannot", "failed", "notfound", "unable", "error:", "notsupported", "warning", "torch",
)  # fmt: skip


def _triggers(signatures: tuple[Signature, ...]) -> list[tuple[bytes, list[tuple[Signature, bytes]]]]:
    groups: dict[str, list[tuple[Signature, bytes]]] = {}
    for signature in signatures:
        literal = signature.literals[signature.anchor]
        word = next((word for word in _COMMON if word in literal), literal)
        groups.setdefault(word, []).append((signature, literal.encode()))
    return [(word.encode(), group) for word, group in groups.items()]


def decode(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    """Blocks of about BLOCK bytes of UTF-8 that end at a line's end."""
    read = _reader(stream)
    rest = b""
    while data := read(BLOCK):
        data = rest + data
        # A line without end is cut anywhere, so that memory stays bounded.
        cut = data.rfind(b"\n") + 1 if len(data) < 2 * BLOCK else len(data)
        if len(data) < BLOCK:
            cut = 0
        if cut:
            yield data[:cut]
        rest = data[cut:]
    if rest:
        yield rest


def _reader(stream: BinaryIO) -> Callable[[int], bytes]:
    """Reads UTF-8 bytes; a file in UTF-16, as PowerShell's `>` writes it, is turned into UTF-8 on the way."""
    head = stream.read(256)
    wide = head.startswith((b"\xff\xfe", b"\xfe\xff")) or head.count(b"\0") * 4 > len(head) > 0
    if not wide:
        return _Prefixed(head, stream).read
    encoding = (
        "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-16-le" if head[1:2] == b"\0" else "utf-16-be"
    )
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    raw = _Prefixed(head, stream).read

    def read(size: int) -> bytes:
        while data := raw(size):
            if text := decoder.decode(data):
                return text.encode("utf-8", "replace")
        return b""

    return read


class _Prefixed:
    """A stream with the bytes that were already read from it put back."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self.head, self.stream = head, stream

    def read(self, size: int) -> bytes:
        """At least one byte until the end; a pipe is read until there is a whole block."""
        pieces, self.head = [self.head], b""
        missing = size - len(pieces[0])
        while missing > 0 and (data := self.stream.read(missing)):
            pieces.append(data)
            missing -= len(data)
        return b"".join(pieces)
