"""What is kept of what a child process writes: a bounded part of it, its marked lines, or its lines as they come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

HEAD, TAIL = 8 << 20, 4 << 20
"""Bytes kept of the beginning and of the end of a stream: more than any answer that we ask for, and bounded."""
CHUNK = 1 << 16


class Sink(Protocol):
    """Takes the bytes of one stream on a thread of their own."""

    def feed(self, chunk: bytes) -> None: ...

    def close(self) -> None:
        """Called once, at the stream's end; never where something else keeps the stream open."""


class Kept:
    """The beginning and the end of a stream; what is in between is counted and dropped."""

    def __init__(self, head: int = HEAD, tail: int = TAIL) -> None:
        self.size = 0
        self._head_limit, self._tail_limit = head, tail
        self._head, self._tail = bytearray(), bytearray()

    @property
    def dropped(self) -> int:
        """Bytes that were not kept."""
        return self.size - len(self._head) - min(len(self._tail), self._tail_limit)

    def feed(self, chunk: bytes) -> None:
        self.size += len(chunk)
        room = self._head_limit - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:]
        if len(self._tail) > 2 * self._tail_limit + CHUNK:
            del self._tail[: -self._tail_limit or None]

    def close(self) -> None:
        pass

    def text(self) -> str:
        tail = bytes(self._tail)[-self._tail_limit :] if self._tail_limit else b""
        joint = b"\n" if self._head and self.dropped else b""  # no line is put together from two halves
        return (bytes(self._head) + joint + tail).decode("utf-8", "replace")


class Marked:
    """The lines of a stream that begin with a mark, up to `limit` bytes; whatever else is printed is dropped as it comes."""

    def __init__(self, mark: str, limit: int = HEAD + TAIL) -> None:
        self._mark = b"\n" + mark.encode()
        self._limit = limit
        self._kept = bytearray()
        self._open = b"\n"  # a stream begins as a line does

    def feed(self, chunk: bytes) -> None:
        data = self._open + chunk
        at = data.find(self._mark)
        while at >= 0:
            end = data.find(b"\n", at + 1)
            if end < 0:
                # A record that is yet to be ended; one without an end is none.
                self._open = data[at:] if len(data) - at + len(self._kept) <= self._limit else b""
                return
            if len(self._kept) + end - at <= self._limit:
                self._kept += data[at:end]
            at = data.find(self._mark, end)
        self._open = data[-len(self._mark) :]  # the mark may come in two pieces

    def close(self) -> None:
        pass

    def text(self) -> str:
        return bytes(self._kept).decode("utf-8", "replace")


class Lines:
    """Hands on a stream line by line, without its line feed, and None at its end. Longer ones than `longest` come in pieces."""

    def __init__(self, take: Callable[[bytes | None], None], longest: int) -> None:
        self._take, self._longest = take, longest
        self._open = bytearray()

    def feed(self, chunk: bytes) -> None:
        *whole, rest = chunk.split(b"\n")
        for line in whole:
            self._take(bytes(self._open) + line if self._open else line)
            self._open.clear()
        self._open += rest
        if len(self._open) > self._longest:
            self._take(bytes(self._open))
            self._open.clear()

    def close(self) -> None:
        if self._open:
            self._take(bytes(self._open))
        self._take(None)
