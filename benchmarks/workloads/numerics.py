"""numerics.{matmul,conv,gradients,determinism}: whether the device computes correctly.

Measures    matmul, conv: the relative L2 error of each dtype that the device supports against float64 on the CPU, on fresh normal
            random data each round, with sizes that fill tiles and sizes that do not; conv forward, data and weight gradients,
            NCHW and channels_last. Answers are written over NaN. gradients: the first step of the reference CNN in bf16
            autocast, each gradient's cosine with that of a float64 step. determinism: three training steps twice from the
            same seed in deterministic mode; how many bits differ.
Formula     ||y - y64|| / ||y64||, the worst of all rounds.
Unit        ratio (errors, cosine), 1 (a count). `limit` is the gate.
Gates       harness/gates.py. An answer beyond its gate makes the result invalid: figures of a device that computes wrongly
            are worth nothing. TF32 where fp32 was asked for fails; what is better than TF32
            gives where TF32 was asked for is remarked.
Tiers       gpu, cpu (smaller sizes: the reference is computed on the host either way).
Source      Higham, Accuracy and Stability of Numerical Algorithms, ch. 3; the gates were measured, see there.
"""

from __future__ import annotations

import copy
import math
import time
import warnings
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import torch
import torch.nn.functional as F

from benchmarks.harness import gates, kernels, precision
from benchmarks.harness.context import Context, Result
from benchmarks.harness.device import Device

VERSION = 1
DTYPES = ("fp32", "tf32", "bf16", "fp16", "fp8")
# (m, n, k): whole tiles; no dimension a multiple of anything; few rows.
SHAPES = {
    "gpu": ((2048, 2048, 2048), (1000, 777, 1238), (64, 1024, 16384)),
    "cpu": ((512, 512, 512), (250, 333, 414), (64, 512, 2048)),
}
# (images, channels in, channels out, height and width)
CONVOLUTIONS = {"gpu": ((16, 64, 128, 56), (5, 48, 40, 29)), "cpu": ((4, 64, 64, 28), (3, 24, 20, 15))}
MOST_ROUNDS = 20
DIRECTIONS = ("fwd", "dgrad", "wgrad")


def measure(context: Context) -> Result:
    return {"matmul": _matmul, "conv": _conv, "gradients": _gradients, "determinism": _determinism}[context.member](
        context
    )


def unavailable(member: str, device: Device) -> str:
    return kernels.unsupported(device, "bf16") if member == "gradients" else ""


def _tier(device: Device) -> str:
    return "gpu" if device.is_cuda else "cpu"


def _rounds(context: Context, share: float) -> Iterator[int]:
    """Round numbers while there is time: at least one, each with data of its own."""
    end = time.monotonic() + share * context.remaining_s
    for number in range(MOST_ROUNDS):
        if number and time.monotonic() >= end:
            return
        yield number


# --- matrix products ------------------------------------------------------------------------------------------------------


def product_error(device: Device, dtype: str, m: int, n: int, k: int) -> gates.Verdict:
    """Multiply fresh random matrices in `dtype` and judge the product."""
    a, b = torch.randn(m, k), torch.randn(k, n)
    reference = a.double() @ b.double()
    kind = precision.DTYPES[dtype]
    with precision.tf32(dtype == "tf32", dtype == "tf32"):
        if dtype == "fp8":
            gates.poison_free_memory((m, n), torch.bfloat16, device.torch_device)
            scale = torch.ones((), device=device.torch_device)
            # The second operand is column-major.
            right = b.t().contiguous().to(device.torch_device).to(kind).t()
            out = kernels.scaled_mm(a.to(device.torch_device).to(kind), right, scale)
        else:
            out = gates.poison((m, n), kind, device.torch_device)
            torch.mm(a.to(device.torch_device, kind), b.to(device.torch_device, kind), out=out)
        device.synchronize()
    return gates.judge(out.cpu(), reference, "matmul", dtype)


def _matmul(context: Context) -> Result:
    device, tier = context.device, _tier(context.device)
    dtypes = [dtype for dtype in DTYPES if not kernels.unsupported(device, dtype)]
    context.declare(VERSION, {"tier": tier, "dtypes": dtypes, "shapes": [list(s) for s in SHAPES[tier]]}, {})

    def shapes(dtype: str) -> List[Tuple[int, int, int]]:
        # fp8 products want multiples of 16.
        return [tuple(x - x % 16 for x in s) if dtype == "fp8" else s for s in SHAPES[tier]]  # type: ignore[misc]

    found: Dict[str, List[gates.Verdict]] = {dtype: [] for dtype in dtypes}
    for number in _rounds(context, 0.9):
        for dtype in dtypes:
            for m, n, k in shapes(dtype):
                found[dtype].append(product_error(device, dtype, m, n, k))
            context.progress("check", number, MOST_ROUNDS, found[dtype][-1].error, "ratio")
    return context.result(_errors(context, found))


def _errors(context: Context, found: Dict[str, List[gates.Verdict]]) -> Dict[str, Dict[str, Any]]:
    """A metric for each name, the worst of its verdicts; failed ones make the result invalid."""
    metrics = {}
    for name, verdicts in found.items():
        errors = [verdict.error for verdict in verdicts]
        worst = math.nan if any(math.isnan(error) for error in errors) else max(errors)
        metric = context.figure(worst, "ratio", "lower")
        gate = verdicts[0].gate
        metric["samples"], metric["n"] = errors, len(errors)
        metric["limit"] = {"value": gate, "percent": 100 * worst / gate, "what": "the gate"}
        metrics["error_" + name] = metric
        for remark in [verdict.remark for verdict in verdicts if verdict.remark][:1]:
            context.warn(remark)
        # One line for each way to fail, not one for each round.
        reasons = [reason for verdict in verdicts for reason in verdict.reasons]
        if reasons:
            times = " ({} of {} checks failed)".format(sum(not v.passed for v in verdicts), len(verdicts))
            context.wrong(reasons[0] + times)
    return metrics


# --- convolutions ---------------------------------------------------------------------------------------------------------


def convolution_errors(
    device: Device, dtype: str, shape: Tuple[int, int, int, int], channels_last: bool
) -> List[gates.Verdict]:
    """Verdicts on forward, data gradient and weight gradient of a 3x3 convolution of fresh random data."""
    images, inward, outward, size = shape
    x, w = torch.randn(images, inward, size, size), torch.randn(outward, inward, 3, 3)
    gradient = torch.randn(images, outward, size, size)
    x64, w64 = x.double().requires_grad_(), w.double().requires_grad_()
    y64 = F.conv2d(x64, w64, padding=1)
    references = (y64.detach(), *torch.autograd.grad(y64, (x64, w64), gradient.double()))
    kind = precision.DTYPES[dtype]
    layout = torch.channels_last if channels_last else torch.contiguous_format

    def on_device(tensor: Any) -> Any:
        return tensor.to(device.torch_device, kind).contiguous(memory_format=layout)

    with precision.tf32(dtype == "tf32", dtype == "tf32"):
        x_d, w_d = on_device(x).requires_grad_(), on_device(w).requires_grad_()
        gates.poison_free_memory(tuple(gradient.shape), kind, device.torch_device)
        y = F.conv2d(x_d, w_d, padding=1)
        answers = (y, *torch.autograd.grad(y, (x_d, w_d), on_device(gradient)))
        device.synchronize()
    return [gates.judge(answer.cpu(), reference, "conv", dtype) for answer, reference in zip(answers, references)]


def _conv(context: Context) -> Result:
    device, tier = context.device, _tier(context.device)
    dtypes = [dtype for dtype in DTYPES[:4] if not kernels.unsupported(device, dtype)]
    context.declare(VERSION, {"tier": tier, "dtypes": dtypes, "shapes": [list(s) for s in CONVOLUTIONS[tier]]}, {})
    found: Dict[str, List[gates.Verdict]] = {}
    for number in _rounds(context, 0.9):
        for dtype in dtypes:
            for shape in CONVOLUTIONS[tier]:
                for channels_last in (False, True):
                    verdicts = convolution_errors(device, dtype, shape, channels_last)
                    for direction, verdict in zip(DIRECTIONS, verdicts):
                        found.setdefault("{}_{}".format(direction, dtype), []).append(verdict)
            context.progress("check", number, MOST_ROUNDS)
    return context.result(_errors(context, found))


# --- whole steps ----------------------------------------------------------------------------------------------------------


def _network_and_batch(seed: int) -> Tuple[Any, Any, Any]:
    from benchmarks.models.simple_cnn import SimpleCNN

    torch.manual_seed(seed)
    network = SimpleCNN(classes=10, size=32, dropout=0.0)
    return network, torch.randn(16, 3, 32, 32), torch.randint(0, 10, (16,))


def _gradients(context: Context) -> Result:
    device = context.device
    context.declare(VERSION, {"model": "refcnn-32", "classes": 10, "batch": 16, "dtype": "bf16 autocast"}, {})
    cosines: Dict[str, List[float]] = {}
    for number in _rounds(context, 0.9):
        network, images, labels = _network_and_batch(context.seed + number)
        exact = copy.deepcopy(network).double()
        F.cross_entropy(exact(images.double()), labels).backward()
        network.to(device.torch_device)
        with torch.autocast(device.torch_device.type, dtype=torch.bfloat16):
            loss = F.cross_entropy(network(images.to(device.torch_device)), labels.to(device.torch_device))
        loss.backward()
        device.synchronize()
        for (name, parameter), reference in zip(network.named_parameters(), exact.parameters()):
            if parameter.dim() < 2:
                continue
            cosines.setdefault(name, []).append(gates.cosine(parameter.grad.cpu(), reference.grad))
            context.wrong(gates.judge_direction(parameter.grad.cpu(), reference.grad, "bf16 gradient of " + name) or "")
        context.progress("check", number, MOST_ROUNDS)
    metrics = {}
    for name, found in cosines.items():
        metric = context.figure(min(found), "ratio")
        metric["samples"], metric["n"] = found, len(found)
        metrics["cosine_" + name.replace(".weight", "")] = metric
    return context.result(metrics)


def trained_parameters(device: Device, seed: int, steps: int = 3) -> List[Any]:
    """The reference CNN's parameters after some Adam steps from that seed, in deterministic mode."""
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.deterministic
    with warnings.catch_warnings():
        # cuBLAS asks for a workspace setting that only matters with several streams.
        warnings.simplefilter("ignore")
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.deterministic = True
        try:
            network, images, labels = _network_and_batch(seed)
            network.to(device.torch_device)
            images, labels = images.to(device.torch_device), labels.to(device.torch_device)
            optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
            for _ in range(steps):
                optimiser.zero_grad(set_to_none=True)
                F.cross_entropy(network(images), labels).backward()
                optimiser.step()
            device.synchronize()
        finally:
            torch.use_deterministic_algorithms(before[0])
            torch.backends.cudnn.deterministic = before[1]
    return [parameter.detach() for parameter in network.parameters()]


def count_differences(make: Callable[[], List[Any]], reference: Optional[List[Any]] = None) -> int:
    """Elements that differ in any bit between two calls (or between `reference` and one call)."""
    first = make() if reference is None else reference
    return sum(gates.different_bits(a, b) for a, b in zip(first, make()))


def _determinism(context: Context) -> Result:
    context.declare(VERSION, {"model": "refcnn-32", "classes": 10, "batch": 16, "steps": 3, "dtype": "fp32"}, {})
    different = rounds = 0
    for number in _rounds(context, 0.9):
        different += count_differences(lambda: trained_parameters(context.device, context.seed + number))  # noqa: B023
        rounds += 1
        context.progress("check", number, MOST_ROUNDS)
    if different:
        context.wrong(
            "{} parameters differ between equal runs in deterministic mode, over {} pairs".format(different, rounds)
        )
    return context.result({"different": context.figure(float(different), "1", "lower")})
