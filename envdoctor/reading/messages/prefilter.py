"""Says cheaply which signatures may stand in a block of a long log, so that only those are looked for.

A log is a few kinds of lines over and over, with other numbers. A line whose shape (itself without digits and capitals) has
been seen before needs no second look. Of what is new the words are taken, each once: a signature is tried by its longest literal
only where all words inside its literals are among them, and where some seventy parts of words that it holds stand in one of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from envdoctor.reading.messages.pattern import PLACEHOLDER, Signature

_SPACES = b" \t\r\n\v\f"
_LETTERS = bytes(byte if 97 <= byte <= 122 else 32 for byte in range(256))
"""Everything but lower-case letters as a space."""
_DIGITS = b"0123456789"
MOST_SHAPES = 100_000
LONGEST_SHAPE = 400
"""Of longer lines only the hash is kept."""

# Parts of words that the messages hold, chosen so that nearly every message holds one that ordinary logs seldom do.
_WORDS = (
    "xid", "rminit", "nvrm", "nvlink", "winerror", ".dll", "undefined", "shared", "cudnn", "nvidia", "cublas", "nccl", "nvml",
    "nvcc", "triton", "numpy", "torchvision", "torchaudio", "cudart", "cuda", "openmp", "mkl", "glibc",
    "ptxas", "/shm", "torch",
    "/dev/", "mig", "busy", "capabilit", "architecture", "mismatch", "compatib", "slowdown", "elf", "driver", "gpu", "kernel",
    "device", "circular", "compil", "wheel", "instal", "require", "support", "module", "memory",
    "interface", "platform", "unable", "invalid", "fail", "library", "command", "symbol", "attention", "ecc",
    "timeout", "detected", "error", "found", "such",
    "adapter", "fabric", "match", "package", "permission", "python", "c++", "unsupported", "cuinit",
    "unknown", "fatal", "is_sm", "dependenc",
    "clang", "libnv", "segment", "worker", "visual", "_z", "xformers", "status", "import", "attribut", "requirement",
)  # fmt: skip


MOST_WORDS = 200_000
"""Words of a log that are remembered."""
_SHORTEST = 4
"""Letters of a word that is asked for: shorter ones are everywhere."""


class Sieve:
    """Stateful: remembers the shapes of lines and the words of a log, so it must be given its blocks in their order."""

    def __init__(self, signatures: tuple[Signature, ...]) -> None:
        known = [word.encode() for word in _WORDS]
        masks: dict[int, list[tuple[Signature, bytes, frozenset[bytes], bytes]]] = {}
        for signature in signatures:
            # Every literal is necessary, so every word in them is. A word that the text breaks at a line's end is missed:
            # the price of not looking for everything everywhere, paid in logs of more than a block only.
            parts = [_shape(part.encode()) for part in PLACEHOLDER.split(signature.message.text)[::2]]
            text = b"\n".join(parts)
            mask = sum(1 << bit for bit, word in enumerate(known) if word in text)
            literal = max((_squashed(_shape(literal.encode())) for literal in signature.literals), key=len)
            longest = max((w for part in parts for w in part.translate(_LETTERS).split()), key=len, default=b"")
            masks.setdefault(mask, []).append((signature, literal, frozenset(_inner(parts)), longest))
        wanted = [(1 << bit, word) for bit, word in enumerate(known) if any(mask >> bit & 1 for mask in masks)]
        self.words = [(bit, word) for bit, word in wanted if word.isalpha()]
        self.signs = [(bit, word) for bit, word in wanted if not word.isalpha()]
        self.groups = list(masks.items())
        self.seen: set[bytes | int] = set()
        self.known: set[bytes] = set()
        self.marked: dict[bytes, int] = {}
        """The words of the log that hold some of `words`, with their bits."""

    def possible(self, block: bytes) -> tuple[Signature, ...]:
        """The signatures that may stand in the lines of this block whose like has not been seen before."""
        new = []
        for line in dict.fromkeys(_shape(block).split(b"\n")):
            key = line if len(line) <= LONGEST_SHAPE else hash(line)
            if key not in self.seen:
                self.seen.add(key)
                new.append(line)
        if len(self.seen) > MOST_SHAPES:
            self.seen.clear()
        text = b"\n".join(new)
        if not text:
            return ()
        words = set(text.translate(_LETTERS).split())
        there = self._marks(words)
        for bit, sign in self.signs:
            if sign in text:
                there |= bit
        likely = [one for mask, group in self.groups if mask & ~there == 0 for one in group if one[2] <= words]
        once, text = b" ".join(words), _squashed(text)
        # The words, each once, are a fifth of the text: most of what is not there is missed in them.
        return tuple(signature for signature, literal, _, longest in likely if longest in once and literal in text)

    def _marks(self, words: set[bytes]) -> int:
        """The bits of `self.words` that stand in these words; each word of a log is searched once."""
        if len(self.known) > MOST_WORDS:
            self.known.clear()
            self.marked.clear()
        fresh = words - self.known
        if fresh:
            self.known |= fresh
            joined = b" ".join(fresh)
            for bit, word in self.words:
                if word in joined:
                    for one in fresh:
                        if word in one:
                            self.marked[one] = self.marked.get(one, 0) | bit
        there = 0
        for one in words & self.marked.keys():
            there |= self.marked[one]
        return there


def _inner(parts: list[bytes]) -> Iterator[bytes]:
    """The words that stand whole in every text that holds these literals: not at an end, where more letters may follow."""
    for part in parts:
        for word in part.translate(_LETTERS).split()[1:-1]:
            if len(word) >= _SHORTEST:
                yield word


def _shape(text: bytes) -> bytes:
    return text.lower().translate(None, _DIGITS)


def _squashed(text: bytes) -> bytes:
    return text.translate(None, _SPACES)
