"""Plans as JSON, for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from envdoctor.planning.model import SCHEMA, Plan

if TYPE_CHECKING:
    from envdoctor.planning.unlock import Unlocks

UNLOCK_SCHEMA = "envdoctor.unlock/1"


def plan_json(plan: Plan) -> str:
    """The contract `envdoctor.plan/1`: schema, feasible, stack, reasons, alternatives; target and wishes beside them."""
    return _text({"schema": SCHEMA, **msgspec.to_builtins(_ordered(plan))})


def unlock_json(found: Unlocks) -> str:
    """`envdoctor.unlock/1`: the stack as things are, the ladder of drivers, the other changes."""
    return _text(
        {
            "schema": UNLOCK_SCHEMA,
            "feasible": found.plan.feasible,
            "driver": found.plan.target.driver,
            "stack": msgspec.to_builtins(found.plan.stack),
            "drivers": msgspec.to_builtins(found.drivers),
            "others": msgspec.to_builtins(found.others),
            "reasons": msgspec.to_builtins(found.plan.reasons),
        }
    )


def _ordered(plan: Plan) -> dict[str, Any]:
    first = ("feasible", "stack", "reasons", "alternatives", "target", "wishes")
    return {name: getattr(plan, name) for name in first}


def _text(data: dict[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(data), indent=2).decode()
