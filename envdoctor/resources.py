"""Finds what travels beside the code: recipes/ and benchmarks/, and envdoctor itself as one file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

PACKAGE = Path(__file__).resolve().parent


def resource_folder(name: Literal["recipes", "benchmarks"]) -> Path:
    """The folder of that name: inside the package in a wheel, beside it in a checkout or an editable install.

    Raises FileNotFoundError where neither holds it (a damaged install).
    """
    # The wheel's copy first: a site-packages folder may hold somebody else's top-level `benchmarks`.
    for candidate in (PACKAGE / name, PACKAGE.parent / name):
        if (candidate / "README.md").is_file():
            return candidate
    raise FileNotFoundError(f"envdoctor's {name}/ folder is missing; reinstall envdoctor")


def archive() -> Path | None:
    """envdoctor.pyz: the one that runs, or the one that `make dist` left in this checkout; None where there is neither."""
    running = getattr(getattr(sys.modules.get("__main__"), "__loader__", None), "archive", None)
    if isinstance(running, str) and running.endswith(".pyz"):
        return Path(running).resolve()
    built = PACKAGE.parent / "dist" / "envdoctor.pyz"
    return built if built.is_file() else None
