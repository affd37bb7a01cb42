"""Reads pip's output as it comes: what is being fetched, how far it is, what went wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

_FETCHING = re.compile(r"\s*Downloading (?:\S*/)?(\S+?)(?:\.metadata)? \(([\d.]+ [kMG]?B)\)")
_RAW = re.compile(r"Progress (\d+) of (\d+)")
_INSTALLING = re.compile(r"Installing collected packages: (.+)")
# What pip says first is seldom the reason; what it says as an error is.
_ERROR = re.compile(r"^(?:ERROR: |error: )(.+)")

Show = Callable[[str, int, int], None]
"""Called with what is being done, the bytes done and the bytes in all; 0 of 0 where that cannot be told."""


class PipProgress:
    """Turns lines of `pip install --progress-bar raw` (pip >= 24.1; older ones tell sizes only) into calls of `show`."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._what = ""
        self.fetched = 0

    def line(self, text: str) -> None:
        """Takes one line of pip's output."""
        raw = _RAW.match(text)
        if raw is not None:
            if self._what:
                self._show(self._what, int(raw[1]), int(raw[2]))
            return
        fetching = _FETCHING.match(text)
        if fetching is not None:
            self._what = "" if ".metadata (" in text else f"{_distribution(fetching[1])} ({fetching[2]})"
            if self._what:
                self.fetched += 1
                self._show(self._what, 0, 0)
            return
        installing = _INSTALLING.match(text)
        if installing is not None:
            self._what = ""
            self._show(f"unpacking {len(installing[1].split(', '))} packages", 0, 0)


def _distribution(file: str) -> str:
    """'torch 2.15.0' from 'torch-2.15.0-cp312-cp312-manylinux_2_28_x86_64.whl'."""
    return " ".join(unquote(file).removesuffix(".tar.gz").split("-")[:2])


def why_it_failed(lines: tuple[str, ...]) -> str:
    """The reason in pip's own words, in one line."""
    errors = [found[1] for found in map(_ERROR.match, (line.strip() for line in lines)) if found]
    # "Could not find a version ... (from versions: none)" comes before "No matching distribution found".
    if errors:
        return "; ".join(dict.fromkeys(error.strip() for error in errors[-2:]))
    return next((line.strip() for line in reversed(lines) if line.strip()), "pip said nothing")
