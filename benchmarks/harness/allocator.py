"""The C library's allocator: whether memory that a step frees stays with the process for the next step.

glibc takes every block above a threshold from the kernel and gives it back when it is freed, and trims the top of its heap: a
training step on a CPU, whose activations are megabytes each, then faults the same pages in again, step after step. mallopt(3)
turns that off within a process. On a GPU the tensors come from torch's own caching allocator, which always keeps them.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from typing import Iterator, Tuple

# malloc.h
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
MIB = 1 << 20
# M_MMAP_MAX 0 rather than a higher M_MMAP_THRESHOLD: that one may not pass 32 MiB, and an activation at 224 pixels is 800.
KEEP = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, (1 << 31) - 1), (M_TOP_PAD, 64 * MIB))
# glibc's defaults, but for the trim threshold: left alone, that follows the blocks that are freed, up to 64 MiB. The threshold of
# mmap is never set here, so it stays where glibc itself has moved it.
GIVE_BACK = ((M_MMAP_MAX, 65536), (M_TRIM_THRESHOLD, 32 * MIB), (M_TOP_PAD, 128 << 10))


def can_keep() -> bool:
    """Whether this process's C library is glibc, whose mallopt does that."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        library = ctypes.CDLL(None)
    except OSError:
        return False
    # musl has no mallopt; an allocator that was preloaded (tcmalloc, jemalloc) answers it with 0, or not at all.
    return hasattr(library, "gnu_get_libc_version") and hasattr(library, "mallopt") and hasattr(library, "malloc_trim")


def keep_freed_memory(keep: bool = True) -> bool:
    """Keep what is freed, or give it back as glibc does by itself; False where nothing could be set."""
    return can_keep() and _set(KEEP if keep else GIVE_BACK)


def _set(options: Tuple[Tuple[int, int], ...]) -> bool:
    library = ctypes.CDLL(None)
    done = [bool(library.mallopt(name, value)) for name, value in options]
    if options is GIVE_BACK:
        library.malloc_trim(0)
    return all(done)


@contextlib.contextmanager
def keeping(wanted: bool) -> Iterator[None]:
    """Keep freed memory meanwhile, where that is wanted."""
    kept = wanted and keep_freed_memory()
    try:
        yield
    finally:
        if kept:
            keep_freed_memory(False)
