"""Versions are plain strings at every boundary; this is where they are compared."""

from __future__ import annotations

import re
from functools import lru_cache

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from envdoctor.knowledge.errors import KnowledgeError

_CAPABILITY = re.compile(r"(?:sm_|compute_)?(\d{1,2})\.?(\d)[af]?$")
_PYTHON = re.compile(r"(?:cp|python)?\s*(\d)\.?(\d{1,2})(?:\.\d+)?\S*?(t)?$")


@lru_cache(maxsize=4096)
def version(text: str) -> Version:
    """`text` as a comparable version. KnowledgeError where it is none ("latest", "")."""
    try:
        return Version(text.strip())
    except ValueError:  # InvalidVersion is one, and so is a number of too many digits
        raise KnowledgeError(f"{text[:100]!r} is not a version number") from None


@lru_cache(maxsize=4096)
def at_least(have: str, need: str) -> bool:
    """Whether version `have` is `need` or newer ("535.183.01" against "525.60.13").

    What `have` leaves open counts in its favour: "525" is a branch whose later releases satisfy 525.60.13."""
    given = version(have).release
    return given >= version(need).release[: len(given)]


@lru_cache(maxsize=1024)
def cuda_key(cuda: str) -> tuple[int, int]:
    """(major, minor) of a CUDA version: "12.8", "12.8.1", "cu128" and "13" are all understood."""
    text = cuda.strip().lower()
    if match := re.fullmatch(r"cu(\d{2})(\d)", text):
        return int(match[1]), int(match[2])
    parsed = version(text)
    return parsed.major, parsed.minor


def cuda_minor(cuda: str) -> str:
    """ "12.8" of any way to write a CUDA version: "12.8.1", "cu128"."""
    major, minor = cuda_key(cuda)
    return f"{major}.{minor}"


@lru_cache(maxsize=1024)
def capability_key(capability: str) -> tuple[int, int]:
    """(major, minor) of a compute capability: "9.0", "sm_90", "90" and "10.3" are all understood."""
    match = _CAPABILITY.match(capability.strip().lower())
    if match is None:
        raise KnowledgeError(f"{capability!r} is not a compute capability; write it as 9.0")
    return int(match[1]), int(match[2])


@lru_cache(maxsize=1024)
def python_tag(python: str) -> str:
    """The tag a wheel is named by: "3.13" for 3.13.1, "3.13t" for a free-threaded 3.13."""
    match = _PYTHON.match(python.strip().lower())
    if match is None:
        raise KnowledgeError(f"{python!r} is not a Python version; write it as 3.12")
    return f"{match[1]}.{match[2]}{match[3] or ''}"


@lru_cache(maxsize=256)
def specifier(text: str) -> SpecifierSet:
    """A requirement on torch: "==2.6.*", ">=2.4,<2.8"; a bare "2.6" means any 2.6, a bare "2.6.0" that release."""
    text = text.strip().removeprefix("torch")
    if re.match(r"\d", text):
        public = text.partition("+")[0]
        text = f"=={public}" if public.count(".") >= 2 or public.endswith("*") else f"=={public}.*"
    try:
        found = SpecifierSet(text)
        for one in found:
            version(one.version.removesuffix(".*"))  # one of too many digits is found out when it is compared
    except (InvalidSpecifier, KnowledgeError):
        raise KnowledgeError(f"{text[:100]!r} is not a version requirement; write it as ==2.6.* or >=2.4") from None
    return found
