"""Finds what travels beside the code: recipes/ and benchmarks/."""

from __future__ import annotations

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
