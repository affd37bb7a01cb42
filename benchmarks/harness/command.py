"""The command line of `python -m benchmarks`."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import math
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from benchmarks import workloads

from .events import SCHEMA, Events, Lines

BUDGETS = {"quick": 66.0, "standard": 540.0, "full": 1500.0, "soak": 600.0}
"""Seconds for all of a suite's launches, with the imports: three of quick, standard and full."""
WORKLOAD_BUDGET = 10.0
"""For each workload that is named without a budget."""
# The block that is under way when time is up, the last events, and leaving an interpreter that holds torch.
CLOSING_S, CLOSING_SHARE = 3.0, 0.07
# More threads than that only wait for each other; a number with a zero too many would exhaust the machine.
THREADS_A_CPU = 16
USAGE = 2


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure what this machine's torch really does.", allow_abbrev=False
    )
    options.add_argument(
        "--workload",
        action="append",
        default=[],
        metavar="NAME",
        help="a family (matmul) or one (matmul.bf16); repeatable",
    )
    options.add_argument(
        "--suite", choices=sorted(BUDGETS, key=BUDGETS.__getitem__), help="a set of workloads with its budget"
    )
    options.add_argument("--device", metavar="DEVICE", help="cpu, cuda or cuda:N (default: cuda where torch has it)")
    options.add_argument("--budget", type=float, metavar="SECONDS", help="time for everything, with the imports")
    options.add_argument("--seed", type=int, default=0, metavar="N", help="of all random numbers (default 0)")
    options.add_argument("--threads", type=int, metavar="N", help="CPU threads of torch")
    options.add_argument(
        "--preset", choices=["article", "tuned"], help="how training is done: literally, or with all knobs"
    )
    options.add_argument("--data", metavar="PATH", help="images to train on or to load")
    options.add_argument(
        "--parameter", action="append", default=[], metavar="KEY=VALUE", help="change what a workload does; repeatable"
    )
    options.add_argument("--events", action="store_true", help="JSON lines on stdout, and nothing else there")
    options.add_argument("--list", action="store_true", help="the workloads; JSON with --events")
    return options


def main(arguments: Optional[List[str]] = None) -> int:
    """0: all ran; 1: a workload failed; 2: wrong usage; 4: the device was lost, and the rest needs a new process."""
    started = time.monotonic()
    options = parser().parse_args(arguments)
    if options.list:
        return _list(options.events)
    events = Events.take_stdout() if options.events else Lines()
    try:
        try:
            names, parameters, remarks = _checked(options)
            device = _device(options)
        except ValueError as error:
            print("benchmarks: {}".format(error), file=sys.stderr)
            return USAGE
        return _run(options, events, device, names, parameters, remarks, started)
    except BrokenPipeError:
        # Nobody listens any more. Python would complain once more when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130


def _device(options: argparse.Namespace) -> Any:
    """Import torch and open the device. Raises ValueError saying why that cannot be."""
    if options.threads is not None:
        # Read when torch's thread pools start.
        os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(options.threads)
    # torch works without numpy, and no workload needs it.
    warnings.filterwarnings("ignore", message="Failed to initialize NumPy")
    try:
        import torch
    except ImportError as error:
        raise ValueError("{} cannot import torch: {}".format(sys.executable, error)) from None
    from .device import default_device, open_device

    if options.threads is not None:
        torch.set_num_threads(options.threads)
    try:
        return open_device(options.device or default_device())
    except RuntimeError as error:
        raise ValueError("the device cannot be used: {}".format(str(error).strip().splitlines()[0])) from None


def _run(
    options: argparse.Namespace,
    events: Events,
    device: Any,
    names: List[str],
    parameters: Dict[str, str],
    remarks: List[str],
    started: float,
) -> int:
    import torch

    from .runner import Runner
    from .timing import Rules

    budget = options.budget
    if budget is None:
        budget = BUDGETS[options.suite] if options.suite else WORKLOAD_BUDGET * len(names)
    events.emit("hello", **hello(torch, device, options.seed))
    for remark in remarks:
        events.emit("log", text=remark)
    runner = Runner(
        device,
        events,
        Rules.on(device, quick=options.suite == "quick"),
        seed=options.seed,
        suite=options.suite,
        preset=options.preset,
        data=options.data,
        options=parameters,
    )
    code = runner.run(names, max(1.0, budget - (time.monotonic() - started) - min(CLOSING_S, CLOSING_SHARE * budget)))
    if code in (0, 1):
        events.emit("bye")
    return code


def hello(torch: Any, device: Any, seed: int) -> Dict[str, Any]:
    """The fields of the `hello` event."""
    from . import precision

    cudnn = torch.backends.cudnn.version() if device.is_cuda else None
    try:
        torchvision: Optional[str] = importlib.metadata.version("torchvision")
    except importlib.metadata.PackageNotFoundError:
        torchvision = None
    return {
        "schema": SCHEMA,
        "monotonic": time.monotonic(),
        "pid": os.getpid(),
        "python": "{}.{}.{}".format(*sys.version_info[:3]),
        "torch": torch.__version__,
        "torchvision": torchvision,
        "cuda": torch.version.cuda,
        "cudnn": cudnn,
        "device": device.describe(),
        "threads": torch.get_num_threads(),
        "precision": precision.state(),
        "seed": seed,
    }


def _checked(options: argparse.Namespace) -> Tuple[List[str], Dict[str, str], List[str]]:
    """Workloads, parameters and remarks. Raises ValueError for an option that makes no sense, before torch's slow import."""
    if not options.workload and not options.suite:
        raise ValueError("name a --suite or a --workload; --list shows them")
    # Both: these workloads, by the suite's rules and within its budget.
    names = workloads.select(options.workload) if options.workload else workloads.suite(options.suite)
    if options.budget is not None and not 0 < options.budget < math.inf:
        raise ValueError("--budget {:g}: not a time".format(options.budget))
    most = THREADS_A_CPU * (os.cpu_count() or 1)
    if options.threads is not None and not 1 <= options.threads <= most:
        raise ValueError("--threads {}: use 1 to {} on this machine".format(options.threads, most))
    if not 0 <= options.seed < 1 << 63:
        raise ValueError("--seed {}: use 0 to 2^63 - 1".format(options.seed))
    if options.data is not None and not Path(options.data).expanduser().exists():
        raise ValueError("--data {}: no such file or folder".format(options.data))
    parameters = {}
    for text in options.parameter:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise ValueError("--parameter {}: give it as KEY=VALUE".format(text))
        parameters[key] = value
    # Said, not refused: who restarts a run for the workloads that are left names all of its parameters again.
    unused = ["--parameter " + key for key in workloads.check_parameters(names, parameters)]
    if options.data is not None and not any(workloads.WORKLOADS[name].reads_data for name in names):
        unused.append("--data")
    return names, parameters, ["{}: none of these workloads uses it".format(option) for option in unused]


def _list(as_json: bool) -> int:
    if as_json:
        listed = [
            {
                "name": name,
                "summary": entry.summary,
                "suites": list(entry.suites),
                "weight": entry.weight,
                "parameters": sorted(entry.options),
            }
            for name, entry in workloads.WORKLOADS.items()
        ]
        print(json.dumps({"workloads": listed, "budgets": BUDGETS}))
        return 0
    for name, entry in workloads.WORKLOADS.items():
        print("{:<26} {:<24} {}".format(name, ", ".join(entry.suites), entry.summary))
    return 0
