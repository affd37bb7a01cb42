"""Small cases that run in one process of the target Python: what each finds, or how it was refused, as one JSON document."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from typing import Any

from benchmarks.pipeline.errors import PipelineError, ValidationError

CASES: dict[str, Callable[[], Any]] = {}


def case(function: Callable[[], Any]) -> Callable[[], Any]:
    CASES[function.__name__] = function
    return function


def refusal(function: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """The message of the error for a person that it ends with; 'accepted' where it does not."""
    try:
        function(*arguments, **options)
    except (PipelineError, ValidationError) as error:
        return str(error)
    return "accepted"


def main() -> None:
    """Runs them all; a case that breaks is told, and the others still run."""
    found: dict[str, Any] = {}
    for name, function in CASES.items():
        found[name] = _found(function)
    sys.stdout.write(json.dumps(found))


def _found(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except Exception:  # noqa: BLE001
        return {"broken": traceback.format_exc()}
