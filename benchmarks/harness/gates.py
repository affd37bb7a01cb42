"""How wrong an answer may be: the one place that decides whether a device computes correctly.

References are float64 products of the data before it is rounded to the dtype under test, so that the error of rounding the
operands is part of what is expected. Relative L2 errors then hardly depend on the length of the sums. `expected` and `gate`
were measured on a CPU (TF32 and fp8 by emulated rounding); a uniform rounding error of b significant bits gives
2^-b / sqrt(3) * 0.735 a rounded number, and operands and result add in squares: bf16 2.9e-3, fp16 3.6e-4, TF32 (result not
rounded) 2.9e-4.

A single wrong tile can hide in an L2 norm, so the largest error over the reference's rms is held too, against a multiple
of the relative L2 error (or of what is expected of it, where that is more). Correct products of a million elements reached
13.5 of them in fp32 and 7.1 in bf16 (480 products and convolutions, measured): the multiples are twice that. A tile of wrong
numbers is at some hundred in bf16, at millions in fp32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

import torch

COSINE_GATE = 0.98
"""Of gradients of a bf16 step with those of a float64 step: they differ by 7-11 % in L2, but must point the same way."""
TF32_FLOOR = 5e-5
"""A product that is closer than this was not computed in TF32."""


@dataclass(frozen=True)
class Gate:
    """Relative L2 errors: what correct arithmetic gives, and the most that passes; `floor`: less is worth a remark.

    worst: how many times the L2 error the largest error over the rms may be.
    """

    expected: float
    gate: float
    floor: float = 0.0
    worst: float = 14.0


_ROUNDED: Dict[str, Gate] = {
    "tf32": Gate(2.9e-4, 1e-3, TF32_FLOOR),
    "fp16": Gate(3.6e-4, 2e-3),
    "bf16": Gate(2.9e-3, 8e-3),
    "fp8": Gate(3.8e-2, 8e-2),
}
GATES: Dict[Tuple[str, str], Gate] = {
    # Far below TF32's 2.9e-4: TF32 that nobody asked for is caught.
    ("matmul", "fp32"): Gate(3e-7, 1e-5, worst=28.0),
    ("conv", "fp32"): Gate(2e-6, 5e-5, worst=28.0),
    **{("matmul", dtype): gate for dtype, gate in _ROUNDED.items()},
    **{("conv", dtype): gate for dtype, gate in _ROUNDED.items()},
}


@dataclass
class Verdict:
    """What an answer is worth; it passes where there is no reason against it."""

    error: float
    """Relative L2 error; NaN where the answer is not a number."""
    worst: float
    """Largest error over the reference's rms."""
    gate: float
    reasons: List[str] = field(default_factory=list)
    remark: str = ""
    """What is odd about it, and no fault."""

    @property
    def passed(self) -> bool:
        return not self.reasons


def judge(actual: Any, reference: Any, operation: str, dtype: str) -> Verdict:
    """Hold `actual` (any dtype and device) against `reference` (float64). operation: 'matmul' or 'conv'.

    Raises KeyError for an operation and dtype without a gate, ValueError for unlike shapes or a reference that is all zeros.
    """
    limits = GATES[operation, dtype]
    if actual.shape != reference.shape:
        raise ValueError("an answer of shape {} for {}".format(tuple(actual.shape), tuple(reference.shape)))
    answer = actual.detach().to(device=reference.device, dtype=torch.float64)
    rms = float(reference.pow(2).mean().sqrt())
    if not rms > 0:
        raise ValueError("a reference of zeros, or not a number, judges nothing")
    wrong = int((~torch.isfinite(answer)).sum())
    if wrong:
        verdict = Verdict(math.nan, math.nan, limits.gate)
        verdict.reasons.append(
            "{} {}: {} of {} results are not finite numbers".format(dtype, operation, wrong, answer.numel())
        )
        return verdict
    difference = answer - reference
    error = float(difference.pow(2).mean().sqrt()) / rms
    worst = float(difference.abs().max()) / rms
    verdict = Verdict(error, worst, limits.gate)
    what = "{} {}: relative error {:.2g}".format(dtype, operation, error)
    # Written so that a NaN fails.
    if not error <= limits.gate:
        looks = " (TF32 gives about 2.9e-4: it is on where IEEE fp32 was asked for)" if _like_tf32(dtype, error) else ""
        verdict.reasons.append("{} is above the gate of {:.2g}{}".format(what, limits.gate, looks))
    if not error >= limits.floor:
        # A library may answer more exactly than it must (split products, another algorithm): no fault of the device.
        verdict.remark = "{} is better than TF32 gives (from {:.2g}): it was not computed in TF32".format(
            what, limits.floor
        )
    allowed = limits.worst * max(error, limits.expected)
    if not worst <= allowed:
        verdict.reasons.append(
            "{} {}: the largest error is {:.2g} of the rms, at most {:.2g} is normal: part of the result is wrong".format(
                dtype, operation, worst, allowed
            )
        )
    return verdict


def _like_tf32(dtype: str, error: float) -> bool:
    return dtype == "fp32" and TF32_FLOOR < error < 1e-3


def cosine(actual: Any, reference: Any) -> float:
    """Of two tensors as vectors, in float64; NaN where one is zero or not finite."""
    a = actual.detach().to(device=reference.device, dtype=torch.float64).flatten()
    b = reference.flatten()
    norms = float(a.norm()) * float(b.norm())
    return float(a @ b) / norms if norms > 0 else math.nan


def judge_direction(actual: Any, reference: Any, name: str) -> Optional[str]:
    """Why a gradient does not point where it should; None where it does."""
    found = cosine(actual, reference)
    if found >= COSINE_GATE:
        return None
    return "{}: cosine {:.4f} with the float64 gradient, at least {} is expected".format(name, found, COSINE_GATE)


def different_bits(first: Any, second: Any) -> int:
    """How many elements differ in any bit: +0 and -0 do, equal NaNs do not."""
    if first.shape != second.shape or first.dtype != second.dtype:
        raise ValueError("unlike tensors cannot be equal: {} and {}".format(first.dtype, second.dtype))
    integers = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[first.element_size()]
    a, b = first.detach().contiguous().view(integers), second.detach().contiguous().view(integers)
    return int((a != b).sum())


def poison(shape: Tuple[int, ...], dtype: Any, device: Any) -> Any:
    """NaN where an answer is to be written: what a kernel leaves out shows."""
    return torch.full(shape, math.nan, dtype=dtype, device=device)


def poison_free_memory(shape: Tuple[int, ...], dtype: Any, device: Any) -> None:
    """The same for operations that allocate their answer: the allocator hands out again what was freed last."""
    for _ in range(2):
        poison(shape, dtype, device)
