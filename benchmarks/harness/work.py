"""What the work is, apart from how it is done.

Two results may be compared if their work hashes are equal: the hash covers everything that defines the work (suite and workload
version, model, shapes, batch, dtype policy, optimiser, loss, data, size tier, what a step is). How the work is done (memory
format, compilation, fused optimisers, worker counts) are knobs: recorded, and outside of the hash.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Mapping

from benchmarks import SUITE_VERSION


def canonical(value: Any) -> str:
    """JSON with one spelling for one value. Raises ValueError for NaN, TypeError for what JSON cannot say."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def work_hash(name: str, version: int, parameters: Mapping[str, Any]) -> str:
    """sha256 (64 hexadecimal digits) of the canonical JSON of the work."""
    work = {"suite": SUITE_VERSION, "workload": name, "version": version, "parameters": dict(parameters)}
    return hashlib.sha256(canonical(work).encode("ascii")).hexdigest()
