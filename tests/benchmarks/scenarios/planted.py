"""Correct answers and planted errors, all through the real gates; prints {case: [reasons]}."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from typing import Any

import torch

from benchmarks.harness import gates
from benchmarks.harness.context import Context
from benchmarks.harness.device import Device
from benchmarks.harness.events import Events
from benchmarks.harness.roofline import Ceilings
from benchmarks.harness.timing import Rules
from benchmarks.workloads import WORKLOADS, numerics

torch.manual_seed(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
M, N, K = 192, 256, 512
A, B = torch.randn(M, K), torch.randn(K, N)
EXACT = A.double() @ B.double()
RMS = float(EXACT.pow(2).mean().sqrt())


def to_tf32(x: Any) -> Any:
    """Rounded to the 11 significant bits of TF32, ties away from zero."""
    bits = x.view(torch.int32)
    return ((bits + 0x1000) & ~0x1FFF).view(torch.float32)


def product(dtype: str) -> Any:
    """What a correct device gives, with operands and result rounded as tensor cores do."""
    if dtype == "fp32":
        return A @ B
    if dtype == "tf32":
        return (to_tf32(A).double() @ to_tf32(B).double()).float()
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp8": torch.float8_e4m3fn}[dtype]
    result = A.to(kind).double() @ B.to(kind).double()
    return result.to(torch.bfloat16 if dtype == "fp8" else kind)


def judged(answer: Any, dtype: str, operation: str = "matmul") -> list[str]:
    return gates.judge(answer, EXACT, operation, dtype).reasons


def with_tile(answer: Any, change: Any) -> Any:
    wrong = answer.clone()
    change(wrong)
    return wrong


found: dict[str, list[str]] = {}
for dtype in ("fp32", "tf32", "bf16", "fp16", "fp8"):
    right = product(dtype)
    plants = {
        "correct": right,
        "tile of zeros": with_tile(right, lambda y: y[32:48, 64:80].zero_()),
        "tile swapped": with_tile(right, lambda y: y[0:16, 0:16].copy_(y[16:32, 0:16].clone())),
        "one element": with_tile(right, lambda y: y[7, 9].add_(2 * RMS)),
        "one nan": with_tile(right, lambda y: y[7, 9].fill_(float("nan"))),
        "one infinity": with_tile(right, lambda y: y[7, 9].fill_(float("inf"))),
        "rows left out": with_tile(right, lambda y: y[-1:].copy_(gates.poison((1, N), y.dtype, "cpu"))),
        "reduction without its last part": (A[:, :-16].to(right.dtype).double() @ B[:-16].to(right.dtype).double()).to(
            right.dtype
        ),
        "reduction with a part twice": (right.double() + A[:, :16].double() @ B[:16].double()).to(right.dtype),
        "operand transposed": right.flip(0),
        "scaled": (right.float() * 1.125).to(right.dtype),
    }
    for name, answer in plants.items():
        found[f"{dtype} {name}"] = judged(answer, dtype)
found["silent tf32 matmul"] = judged(product("tf32"), "fp32")
found["silent tf32 conv"] = judged(product("tf32"), "fp32", "conv")
found["silent bf16 matmul"] = judged(product("bf16"), "fp32")
found["tf32 not on"] = judged(product("fp32"), "tf32")
found["remark on tf32"] = [gates.judge(product("fp32"), EXACT, "matmul", "tf32").remark]
found["fp16 accumulated in bf16"] = judged(product("bf16"), "fp16")

gradient = torch.randn(1000, dtype=torch.float64)
noisy = gradient + 0.1 * torch.randn(1000)
found["gradient 10 % off"] = [r for r in [gates.judge_direction(noisy, gradient, "g")] if r]
found["gradient turned round"] = [r for r in [gates.judge_direction(-gradient, gradient, "g")] if r]
found["gradient of zeros"] = [r for r in [gates.judge_direction(gradient * 0, gradient, "g")] if r]
found["gradient of nan"] = [r for r in [gates.judge_direction(gradient * float("nan"), gradient, "g")] if r]

flipped = A.clone()
flipped.view(torch.int32)[3, 3] ^= 1
found["bits equal"] = ["differ"] * gates.different_bits(A, A.clone())
found["one bit"] = ["differ"] * gates.different_bits(A, flipped)
found["sign of zero"] = ["differ"] * gates.different_bits(torch.zeros(3), -torch.zeros(3))


class Faulty:
    """torch.mm or torch.conv2d of a device that computes one tile, or one row of `every`, wrongly."""

    def __init__(self, real: Any, every: int = 1 << 20) -> None:
        self.real, self.every = real, every

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        out = self.real(*arguments, **options)
        # The reference is float64 and stays right.
        if out.dtype != torch.float64:
            with torch.no_grad():
                out[:: self.every].zero_()
        return out


def whole_workload(name: str, place: Any = None, attribute: str = "", replacement: Any = None) -> list[str]:
    """A workload's own judgement, on a device that is faulty in that way."""
    device = Device()
    said = io.StringIO()
    context = Context(name, device, Events(said), Ceilings(device), Rules(), seed=3, budget_s=1.0, options=OPTIONS)
    real = getattr(place, attribute) if place else None
    if place:
        setattr(place, attribute, replacement or Faulty(real))
    try:
        reasons = WORKLOADS[name].load()(context).invalid_because
        return [reason for reason in reasons if not reason.startswith("interval not reached")]
    finally:
        if place:
            setattr(place, attribute, real)


OPTIONS = {"size": "128"}
calls = iter(range(10**6))


def unsteady(*arguments: Any, **options: Any) -> Any:
    """Trained parameters, and in every second call one bit of one of them is another."""
    made = steady(*arguments, **options)
    if next(calls) % 2:
        made[0].view(torch.int32).view(-1)[5] ^= 1
    return made


steady = numerics.trained_parameters
with contextlib.redirect_stdout(sys.stderr):
    found["workload matmul, correct"] = whole_workload("numerics.matmul")
    found["workload conv, correct"] = whole_workload("numerics.conv")
    found["workload gradients, correct"] = whole_workload("numerics.gradients")
    found["workload determinism, correct"] = whole_workload("numerics.determinism")
    found["speed of matmul, correct"] = whole_workload("matmul.fp32") + whole_workload("matmul.bf16")
    found["speed of matmul, wrong rows"] = whole_workload("matmul.fp32", torch, "mm", Faulty(torch.mm, every=4))
    found["workload matmul, wrong tile"] = whole_workload("numerics.matmul", torch, "mm")
    found["workload conv, wrong tile"] = whole_workload("numerics.conv", torch.nn.functional, "conv2d")
    found["workload determinism, one bit"] = whole_workload(
        "numerics.determinism", numerics, "trained_parameters", unsteady
    )
sys.stdout.write(json.dumps(found))
