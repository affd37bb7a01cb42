"""The user's wishes, checked and in one canonical form."""

from __future__ import annotations

import re
from collections.abc import Sequence

from envdoctor.errors import InputError
from envdoctor.knowledge import Knowledge, KnowledgeError
from envdoctor.knowledge.versions import cuda_minor, python_tag, specifier
from envdoctor.planning.model import PURPOSES, Wishes
from envdoctor.planning.package_limits import parsed

_NEWEST = ("latest", "newest", "stable", "any", "*")


def checked(
    world: Knowledge,
    *,
    torch: str | None = None,
    cuda: str | None = None,
    python: str | None = None,
    purpose: str = "run",
    packages: Sequence[str] = (),
    container: bool = False,
) -> Wishes:
    """The wishes. Raises InputError, in one line that says what to write, for one that means nothing."""
    if purpose not in PURPOSES:
        raise InputError(f"--purpose {purpose!r} is not known; it is {', '.join(PURPOSES)}")
    torch, variant = _torch(torch)
    cuda = _cuda(cuda)
    if variant is not None and cuda not in (None, variant):
        raise InputError(f"--torch asks for {variant} and --cuda for {cuda}")
    for package in packages:
        parsed(package)
    return Wishes(
        torch=torch,
        cuda=cuda or variant,
        python=_python(python, world),
        purpose=purpose,
        packages=tuple(packages),
        container=container,
    )


def _torch(text: str | None) -> tuple[str | None, str | None]:
    """The requirement, and the CUDA that a local version names ("2.6.0+cu124")."""
    if text is None:
        return None, None
    word = re.sub(r"^(?:py)?torch\s*", "", text.strip().lower()).removeprefix("v")
    if word in ("", *_NEWEST):
        return None, None
    if "nightly" in word or re.search(r"\d(?:\.?dev|a|b|rc)\d", word):
        raise InputError(f"--torch {text}: only stable releases are planned; write it as 2.6 or '>=2.6'")
    local = re.search(r"\+(\w+)", word)
    variant = None
    if local is not None:
        if not re.fullmatch(r"cpu|cu\d{3}", local[1]):
            raise InputError(
                f"--torch {text}: {local[1]} is no build for NVIDIA GPUs or the CPU; write it as 2.6.0+cu124"
            )
        variant = _cuda(local[1])
        word = word.replace(local[0], "")
    try:
        specifier(word)
    except KnowledgeError as error:
        raise InputError(f"--torch: {error}") from None
    return word, variant


def _cuda(text: str | None) -> str | None:
    if text is None:
        return None
    word = re.sub(r"^cuda[\s-]*", "", text.strip().lower()).removeprefix("v")
    if word in ("cpu", "none", "no"):
        return "cpu"
    if match := re.fullmatch(r"cu(\d{2})(\d)", word):
        return f"{match[1]}.{match[2]}"
    if not re.fullmatch(r"\d{1,2}(?:\.\d{1,2}){0,2}", word):
        raise InputError(f"--cuda {text!r} is no CUDA version; write it as 12.8 (or 'cpu')")
    if "." not in word:
        return word
    return cuda_minor(word)


def _python(text: str | None, world: Knowledge) -> str | None:
    if text is None:
        return None
    word = text.strip().lower()
    if not re.fullmatch(r"(?:python|cp)?\s*[23]\.?\d{1,2}(?:\.\d+)?t?", word):
        raise InputError(f"--python {text!r} is no Python version; write it as 3.12 (3.13t is the free-threaded one)")
    return python_tag(word)
