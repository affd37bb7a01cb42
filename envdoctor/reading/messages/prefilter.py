"""Says cheaply which signatures may stand in a block of a long log, so that only those are looked for.

A log is a few kinds of lines over and over, with other numbers. A line whose shape (itself without digits
    and capitals) has been
seen before needs no second look. What is new is searched for some seventy words; only the signatures all of whose words stand
there are tried by their longest literal.
"""

from __future__ import annotations

from envdoctor.reading.messages.pattern import PLACEHOLDER, Signature

_SPACES = b" \t\r\n\v\f"
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


class Sieve:
    """Stateful: remembers the shapes of lines, so it must be given a log's blocks in their order."""

    def __init__(self, signatures: tuple[Signature, ...]) -> None:
        known = [word.encode() for word in _WORDS]
        masks: dict[int, list[tuple[Signature, bytes]]] = {}
        for signature in signatures:
            # Every literal is necessary, so every word in them is. A word that the text breaks at a line's end is missed:
            # the price of not looking for everything everywhere, paid in logs of more than a block only.
            text = _shape(b"\n".join(part.encode() for part in PLACEHOLDER.split(signature.message.text)[::2]))
            mask = sum(1 << bit for bit, word in enumerate(known) if word in text)
            literal = max((_squashed(_shape(literal.encode())) for literal in signature.literals), key=len)
            masks.setdefault(mask, []).append((signature, literal))
        self.words = [(1 << bit, word) for bit, word in enumerate(known) if any(mask >> bit & 1 for mask in masks)]
        self.groups = list(masks.items())
        self.seen: set[bytes | int] = set()

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
        there = sum(bit for bit, word in self.words if word in text)
        likely = [two for mask, group in self.groups if mask & ~there == 0 for two in group]
        text = _squashed(text)
        return tuple(signature for signature, literal in likely if literal in text)


def _shape(text: bytes) -> bytes:
    return text.lower().translate(None, _DIGITS)


def _squashed(text: bytes) -> bytes:
    return text.translate(None, _SPACES)
