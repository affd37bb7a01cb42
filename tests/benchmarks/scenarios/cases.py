"""Small cases that run in one process of the target Python: what each finds, or how it was refused, as one JSON document."""

from __future__ import annotations

import json
import sys
import traceback
from typing import Any, Callable, Dict

from benchmarks.pipeline.errors import PipelineError, ValidationError

CASES: Dict[str, Callable[[], Any]] = {}


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
    found: Dict[str, Any] = {}
    for name, function in CASES.items():
        try:
            found[name] = function()
        except Exception:  # noqa: BLE001
            found[name] = {"broken": traceback.format_exc()}
    sys.stdout.write(json.dumps(found))
