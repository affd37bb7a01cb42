"""Finds the diagnoses' messages in a text of any size: in one pass, in linear time, in bounded memory."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from typing import BinaryIO

import msgspec

from envdoctor.reading.messages.message import Message, Occurrence
from envdoctor.reading.messages.normalised_text import Page
from envdoctor.reading.messages.pattern import Signature
from envdoctor.reading.messages.prefilter import Sieve

BLOCK = 1 << 17
CARRIED = 60
"""Lines of the block before that are kept: a message may stand across the border, and its traceback before it."""
ENOUGH = 1000
"""More occurrences in one block are not counted one by one."""
MOST_EXCERPTS = 50
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


TELLING = 0.4
"""The weight from which on a message whose condition fails speaks against its cause; a mere hint does not."""
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
        short = size == 0 and len(block) < BLOCK
        if short and block.count(b"\n") < 3 and block.count(b"\\n") > 3:
            # A text from inside JSON or repr(), whose line ends are written out.
            block = block.replace(b"\\r", b"").replace(b"\\n", b"\n").replace(b"\\t", b"\t")  # noqa: PLW2901
        size += len(block)
        finder.take(block, whole=short)
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


class _Finder:
    def __init__(self, signatures: tuple[Signature, ...]) -> None:
        self.signatures = signatures
        self.found: dict[int, Match] = {}
        self.line = 1
        self.carried: list[str] = []
        self.excerpts: list[str] = []
        self.denied: set[str] = set()
        self.sieve: Sieve | None = None

    def take(self, block: bytes, *, whole: bool) -> None:
        """Looks into the next block of the text; `whole` where it is worth looking for everything at once."""
        chosen = self.signatures
        if not whole:
            self.sieve = self.sieve or Sieve(self.signatures)
            chosen = tuple(s for s in self.sieve.possible(block) if id(s) not in self.found)
            self._count(block)
        if chosen:
            lines = decode(block).split("\n")
            if not lines[-1]:
                lines.pop()
            page = Page([*self.carried, *lines], self.line - len(self.carried))
            start = page.starts[len(self.carried)] if len(self.carried) < len(page.starts) else len(page.text)
            for signature in chosen:
                self._look(signature, page, start)
            self.carried = lines[-CARRIED:]
        elif not whole:
            self.carried = decode(block[-(8 << 10) :]).rstrip("\n").split("\n")[-CARRIED:]
        self.line += block.count(b"\n") + (not block.endswith(b"\n"))

    def _count(self, block: bytes) -> None:
        """Counts what has been found before by its longest literal alone: where that stands, the rest is taken for granted."""
        if not self.found:
            return
        text = block.lower().translate(None, b" \t\r\v\f")
        for signature in self.signatures:
            match = self.found.get(id(signature))
            if match is not None:
                literal = signature.literals[signature.anchor].encode()
                number = text.count(literal)
                if number:
                    match.count += number
                    match.last_line_number = self.line + text.count(b"\n", 0, text.rfind(literal))

    def _look(self, signature: Signature, page: Page, start: int) -> None:
        condition = signature.message.when
        match = self.found.get(id(signature))
        for first, end, values in signature.places(page, start):
            index = page.line_at(first)
            last = page.line_at(max(end - 1, first))
            before = tuple(page.lines[max(index - BEFORE, 0) : index])
            after = tuple(page.lines[last + 1 : last + 1 + AFTER])
            if condition is not None and not condition(Occurrence(page.whole_lines(first, end), values, before, after)):
                if signature.message.weight >= TELLING:
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
                self.found[id(signature)] = match
                if len(self.excerpts) < MOST_EXCERPTS:
                    self.excerpts.append("\n".join(page.lines[max(index - AROUND, 0) : last + AROUND]))
            else:
                match.count += 1
                match.last_line_number = page.first + index
                if match.count >= ENOUGH:
                    return

    def result(self) -> list[Match]:
        return sorted(self.found.values(), key=lambda match: match.line_number)


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
