"""What the harness adds to what it measures: the same work in loops by hand and through the harness, in turns, in one run.

    python -m benchmarks.overhead                      # from a checkout, in a Python that has torch
    python -m benchmarks.overhead --device cuda --case matmul --case timm

Cases       matmul, copy, small (100 kernels or operations that add 1 to one number), train (the transformer), and resnet50
            where torchvision is: against a loop of plain torch calls, timed on a GPU by one difference of two CUDA events,
            on a CPU by the median of some differences of time.perf_counter. On a GPU also against other people's loops:
            triton (triton.testing.do_bench on the square product) and timm (timm's resnet50, stepped and timed as its
            benchmark.py does: a synchronisation a step).
Formula     difference: the harness's median seconds a step over the other loop's, less 1; the median over rounds, with its
            interval. Rounds go bare, harness, harness, bare, ..., so that what drifts strikes both.
Limit       a loop by hand: 1 % on a GPU, 3 % on a CPU; triton and timm: 2 %. `agrees`: the whole interval is inside;
            `differs`: all of it is outside; `open`: the machine was too unsteady to tell in the time given.
Exit code   0 all that could run agree; 1 one does not, is open or failed; 2 wrong usage.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import sys
import time
from dataclasses import asdict, dataclass, replace
from typing import Any, Callable, Dict, List, Optional, Tuple

import torch
import torch.nn.functional as F

from benchmarks.harness import kernels, precision, statistics, timing
from benchmarks.harness import training as common
from benchmarks.harness.device import Device, default_device, open_device
from benchmarks.models.transformer import Transformer
from benchmarks.workloads import launch, resnet50, transformer

ROUND_S = 0.25
ROUND_STEPS = 3
LEAST_ROUNDS = 12
OTHERS_LIMIT = 0.02


@dataclass
class Case:
    """Two ways to do the same work: `bare` does it about that many seconds long and tells the seconds a step."""

    step: Callable[[], Any]
    bare: Callable[[float], float]
    limit: float


@dataclass
class Comparison:
    """`difference` and `interval` are ratios; seconds a step on both sides are medians over rounds."""

    case: str
    bare_s: float
    harness_s: float
    difference: float
    interval: List[float]
    rounds: int
    limit: float

    @property
    def verdict(self) -> str:
        low, high = self.interval
        if -self.limit <= low and high <= self.limit:
            return "agrees"
        return "differs" if low > self.limit or high < -self.limit else "open"


def loop_by_hand(device: Device, work: Callable[[int], Any]) -> Callable[[float], float]:
    """Times work(n): n steps in a plain loop."""

    def on_cpu(seconds: float) -> float:
        begun = time.perf_counter()
        work(1)
        # A tenth of the time each: a mean over all of it would hold what other processes took away.
        count = max(1, int(0.1 * seconds / (time.perf_counter() - begun)))
        times: List[float] = []
        start = time.perf_counter()
        while not times or time.perf_counter() - start < seconds:
            begun = time.perf_counter()
            work(count)
            times.append((time.perf_counter() - begun) / count)
        return statistics.median(times)

    def on_gpu(seconds: float) -> float:
        first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize()
        begun = time.perf_counter()
        work(5)
        torch.cuda.synchronize()
        count = max(1, int(5 * seconds / (time.perf_counter() - begun)))
        first.record()
        work(count)
        last.record()
        torch.cuda.synchronize()
        return float(first.elapsed_time(last)) / 1e3 / count

    return on_gpu if device.is_cuda else on_cpu


# --- the work, by hand ------------------------------------------------------------------------------------------------------


def _limit(device: Device) -> float:
    return 0.01 if device.is_cuda else 0.03


def _matmul_dtype(device: Device) -> str:
    return "fp32" if kernels.unsupported(device, "bf16") or not device.is_cuda else "bf16"


def matmul_case(device: Device) -> Case:
    n, dtype = kernels.square_size(device), _matmul_dtype(device)
    # As many sets of operands as the workload rotates through.
    size = 3 * n * n * kernels.BYTES[dtype]
    sets = []
    for _ in range(max(2, min(64, math.ceil(2 * device.cache_bytes / size) + 1))):
        a = torch.randn(n, n, device=device.torch_device).to(precision.DTYPES[dtype])
        b = torch.randn(n, n, device=device.torch_device).to(precision.DTYPES[dtype])
        sets.append((a, b, torch.empty_like(a)))

    def work(count: int) -> None:
        for number in range(count):
            a, b, out = sets[number % len(sets)]
            torch.mm(a, b, out=out)

    return Case(kernels.rotating_product(device, dtype, n, n, n), loop_by_hand(device, work), _limit(device))


def copy_case(device: Device) -> Case:
    source, target = buffers = kernels.buffers(device, "copy")
    step, _ = kernels.operation(device, "copy", buffers)

    def work(count: int) -> None:
        for _ in range(count):
            target.copy_(source)

    return Case(step, loop_by_hand(device, work), _limit(device))


def small_case(device: Device) -> Case:
    # One function for both sides: copies of an interpreted loop differ by 2 to 3 % in some processes, by where they lie.
    step = launch.adds(torch.randn(1, device=device.torch_device))

    def work(count: int) -> None:
        for _ in range(count):
            step()

    return Case(step, loop_by_hand(device, work), _limit(device))


def train_case(device: Device) -> Case:
    shape, batch = transformer.TIERS[transformer.tier(device)]
    dtype, fused = precision.best(device.torch_device), common.fused(torch.optim.AdamW, device)
    network = Transformer(shape).to(device.torch_device)
    tokens = torch.randint(0, shape.words, (batch, shape.length + 1), device=device.torch_device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4, **fused)

    def loss_of(net: Any) -> Any:
        return F.cross_entropy(net(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())

    step = common.train_step(device, network, optimiser, loss_of, dtype, [])
    by_hand = _training_by_hand(device, dtype, optimiser, lambda: loss_of(network))
    return Case(step, loop_by_hand(device, by_hand), _limit(device))


def resnet50_case(device: Device) -> Case:
    step, by_hand = _resnet50_step(device)
    return Case(step, loop_by_hand(device, by_hand), _limit(device))


def timm_case(device: Device) -> Case:
    import timm

    step, _ = _resnet50_step(device)
    _, work = _resnet50_step(device, timm.create_model("resnet50", num_classes=1000))

    def bare(seconds: float) -> float:
        work(2)
        torch.cuda.synchronize()
        steps, total = 0, 0.0
        while total < seconds:
            begun = time.perf_counter()
            work(1)
            torch.cuda.synchronize()
            total += time.perf_counter() - begun
            steps += 1
        return total / steps

    return Case(step, bare, OTHERS_LIMIT)


def _resnet50_step(device: Device, network: Any = None) -> Tuple[Callable[[], Any], Callable[[int], None]]:
    """A step for the harness and a loop by hand, by the workload's settings; network: instead of torchvision's."""
    from torchvision import models

    batch, pixels = resnet50.TIERS[resnet50.tier(device)]
    dtype, fused = precision.best(device.torch_device), common.fused(torch.optim.SGD, device)
    network = models.resnet50(weights=None) if network is None else network
    network = network.to(device.torch_device, memory_format=torch.channels_last).train()
    images = torch.randn(batch, 3, pixels, pixels, device=device.torch_device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 1000, (batch,), device=device.torch_device)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4, **fused)

    def loss_of(net: Any) -> Any:
        return F.cross_entropy(net(images), labels)

    step = common.train_step(device, network, optimiser, loss_of, dtype, [])
    return step, _training_by_hand(device, dtype, optimiser, lambda: loss_of(network))


def _training_by_hand(device: Device, dtype: str, optimiser: Any, loss: Callable[[], Any]) -> Callable[[int], None]:
    if dtype == "fp16":
        raise NotImplementedError("fp16 with loss scaling: the loops by hand are for bf16 and fp32")
    kind = torch.bfloat16 if dtype == "bf16" else torch.float32

    def work(count: int) -> None:
        for _ in range(count):
            optimiser.zero_grad(set_to_none=True)
            with torch.autocast(device.type, dtype=kind, enabled=dtype == "bf16"):
                found = loss()
            found.backward()
            optimiser.step()

    return work


def triton_case(device: Device) -> Case:
    from triton.testing import do_bench

    n, dtype = kernels.square_size(device), _matmul_dtype(device)
    a = torch.randn(n, n, device=device.torch_device).to(precision.DTYPES[dtype])
    b, out = torch.randn_like(a), torch.empty_like(a)
    return Case(
        kernels.rotating_product(device, dtype, n, n, n),
        # Milliseconds for warm-up and for measuring; it empties the L2 cache before each call.
        lambda seconds: do_bench(lambda: torch.mm(a, b, out=out), 25, int(1e3 * seconds), return_mode="median") / 1e3,
        OTHERS_LIMIT,
    )


CASES: Dict[str, Callable[[Device], Case]] = {
    "matmul": matmul_case,
    "copy": copy_case,
    "small": small_case,
    "train": train_case,
    "resnet50": resnet50_case,
    "triton": triton_case,
    "timm": timm_case,
}
NEEDS = {"resnet50": ("torchvision",), "triton": ("triton",), "timm": ("timm", "torchvision")}
GPU_ONLY = ("triton", "timm")


def missing(name: str, device: Device) -> str:
    """What that case lacks here; '' where it can run."""
    if name in GPU_ONLY and not device.is_cuda:
        return "needs a GPU"
    absent = [package for package in NEEDS.get(name, ()) if importlib.util.find_spec(package) is None]
    if absent:
        return "needs {}, which this Python does not have".format(" and ".join(absent))
    if name in ("train", "resnet50", "timm") and precision.best(device.torch_device) == "fp16":
        return "needs bf16 (compute capability 8.0)"
    return ""


# --- the comparison -----------------------------------------------------------------------------------------------------------


def through_harness(device: Device, step: Callable[[], Any], seconds: float) -> float:
    """Seconds a step as a workload would report it, measured for about that long."""
    # Only the clock may end it: both sides get the same time. The clocks have been up since the first round.
    rules = replace(timing.Rules.on(device, quick=False), target=0.0, warmup_steps=1, warmup_s=0.0, warmup_share=0.2)
    return timing.measure(device, step, rules, time.monotonic() + 1.25 * seconds).median


def compare(name: str, case: Case, device: Device, seconds: float, round_s: float = ROUND_S) -> Comparison:
    """In turns, until half the interval is a quarter of the limit or the time is up; at least LEAST_ROUNDS."""
    sides = {"bare": case.bare, "harness": lambda s: through_harness(device, case.step, s)}
    # Short rounds, and many of them: a machine's speed wanders within seconds.
    round_s = max(round_s, ROUND_STEPS * case.bare(round_s))
    sides["harness"](round_s)
    taken: Dict[str, List[float]] = {"bare": [], "harness": []}
    ratios: List[float] = []
    end = time.monotonic() + seconds
    while True:
        order = ("bare", "harness") if len(ratios) % 2 == 0 else ("harness", "bare")
        for side in order:
            taken[side].append(sides[side](round_s))
        ratios.append(taken["harness"][-1] / taken["bare"][-1] - 1)
        if len(ratios) < LEAST_ROUNDS:
            continue
        low, high = statistics.interval(ratios) or (-math.inf, math.inf)
        if (high - low) / 2 <= case.limit / 4 or time.monotonic() >= end:
            break
    return Comparison(
        case=name,
        bare_s=statistics.median(taken["bare"]),
        harness_s=statistics.median(taken["harness"]),
        difference=statistics.median(ratios),
        interval=[low, high],
        rounds=len(ratios),
        limit=case.limit,
    )


def main(arguments: Optional[List[str]] = None) -> int:
    options = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=(__doc__ or "").splitlines()[0])
    options.add_argument("--device", help="cpu, cuda or cuda:N (default: cuda where torch has it)")
    options.add_argument("--case", action="append", choices=list(CASES), help="only this one; repeatable")
    options.add_argument("--seconds", type=float, default=60.0, help="the most that a case may take (default 60)")
    options.add_argument("--json", action="store_true", help="one JSON document on stdout")
    given = options.parse_args(arguments)
    if not 0 < given.seconds < math.inf:
        print("overhead: --seconds {:g}: not a time".format(given.seconds), file=sys.stderr)
        return 2
    try:
        device = open_device(given.device or default_device())
    except (ValueError, RuntimeError) as error:
        print("overhead: {}".format(str(error).splitlines()[0]), file=sys.stderr)
        return 2
    torch.manual_seed(0)
    report: Dict[str, Any] = {
        "torch": torch.__version__, "device": device.describe(), "threads": torch.get_num_threads(),
        "compared": [], "not_run": {}, "failed": {},
    }  # fmt: skip
    say = (lambda text: None) if given.json else print
    say("torch {}, {} ({}), {} CPUs".format(torch.__version__, device.name, device.type, os.cpu_count()))
    say("{:<10}{:>12}{:>12}{:>12}   {:<22}".format("case", "other loop", "harness", "difference", "95 % interval"))
    for name in given.case or CASES:
        lacks = missing(name, device)
        if lacks:
            report["not_run"][name] = lacks
            say("{:<10}not run: {}".format(name, lacks))
            continue
        try:
            with precision.tf32(matmul=False, convolution=False), precision.autotuned():
                found = compare(name, CASES[name](device), device, given.seconds)
        except (RuntimeError, ImportError) as error:
            # Too little memory, a triton or timm that does not fit this torch: the other cases are still worth knowing.
            report["failed"][name] = str(error).strip().splitlines()[0]
            say("{:<10}failed: {}".format(name, report["failed"][name]))
            continue
        finally:
            device.release()
        report["compared"].append(dict(asdict(found), verdict=found.verdict))
        say(line(found))
    if given.json:
        print(json.dumps(report, indent=1))
    return int(bool(report["failed"]) or any(one["verdict"] != "agrees" for one in report["compared"]))


def line(found: Comparison) -> str:
    """A line of the table."""
    low, high = (100 * bound for bound in found.interval)
    interval = "[{:+.2f}, {:+.2f}] %".format(low, high)
    limit = "{} (limit {:.0f} %, {} rounds)".format(found.verdict, 100 * found.limit, found.rounds)
    return "{:<10}{:>9.4g} ms{:>9.4g} ms{:>+10.2f} %   {:<20} {}".format(
        found.case, 1e3 * found.bare_s, 1e3 * found.harness_s, 100 * found.difference, interval, limit
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
