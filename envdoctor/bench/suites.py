"""What a run consists of: which workloads, for how long, in how many launches.

The workloads' own table is asked (benchmarks/ lists itself without torch), so that a new workload is known here at once.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from envdoctor.errors import InputError
from envdoctor.facts.host import Machine
from envdoctor.resources import resource_folder

SUITES = ("quick", "standard", "full", "soak")
LAUNCHES = {"quick": 3, "standard": 3, "full": 3, "soak": 1}
"""Processes that measure one after another: comparing asks for three a side. A soak is one long process."""
LIST_TIMEOUT = 30.0
SECONDS_EACH = 10.0
"""For each workload and launch where no suite says otherwise."""


class Listed(msgspec.Struct, frozen=True):
    """A workload as benchmarks/ lists it."""

    name: str
    summary: str = ""
    suites: tuple[str, ...] = ()
    weight: float = 1.0


class Listing(msgspec.Struct, frozen=True):
    """All workloads in the order in which they run, and each suite's budget in seconds."""

    workloads: tuple[Listed, ...]
    budgets: dict[str, float] = {}

    def select(self, names: Sequence[str]) -> tuple[str, ...]:
        """Workloads by name ('matmul.bf16') or family ('matmul'), in the table's order. Raises InputError on an unknown one."""
        known = [listed.name for listed in self.workloads]
        chosen: set[str] = set()
        for name in names:
            found = [k for k in known if k == name or k.startswith(f"{name}.")]
            if not found:
                families = sorted({k.partition(".")[0] for k in known})
                near = difflib.get_close_matches(name, [*known, *families], n=1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(families)}"
                raise InputError(f"--workload {name}: no such workload; {hint} (`envdoctor bench list` shows all)")
            chosen.update(found)
        return tuple(k for k in known if k in chosen)

    def suite(self, name: str) -> tuple[str, ...]:
        return tuple(listed.name for listed in self.workloads if name in listed.suites)


class RunPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A run to be done. `budget`: seconds for each launch, with its imports."""

    workloads: tuple[str, ...]
    suite: str | None = None
    launches: int = 1
    budget: float
    device: str | None = None
    threads: int | None = None
    seed: int = 0
    preset: str | None = None
    data: str | None = None
    parameters: dict[str, str] = {}

    def arguments(self, launch: int, workloads: Sequence[str], budget: float) -> list[str]:
        """The command line of a child that runs these workloads in launch number `launch` (from 1)."""
        arguments = [f"--budget={budget:.3f}", f"--seed={self.seed + launch - 1}"]
        options = {"suite": self.suite, "device": self.device, "threads": self.threads, "preset": self.preset}
        arguments += [
            f"--{name}={value}" for name, value in {**options, "data": self.data}.items() if value is not None
        ]
        arguments += [f"--workload={name}" for name in workloads]
        return [*arguments, *(f"--parameter={name}={value}" for name, value in self.parameters.items())]


def listing(machine: Machine, benchmarks: str | Path | None = None) -> Listing:
    """Asks `benchmarks` (the bundled ones) what there is, in our own interpreter. Raises InputError where it does not answer."""
    folder = benchmarks or resource_folder("benchmarks")
    done = machine.run([sys.executable, "-I", folder, "--list", "--events"], timeout=LIST_TIMEOUT)
    try:
        return msgspec.json.decode(done.stdout, type=Listing)
    except msgspec.DecodeError:
        last = (done.error or done.stderr).strip().splitlines()[-1:] or [f"exit code {done.code}"]
        raise InputError(f"{folder} does not list its workloads: {last[0]}") from None


def plan(
    listed: Listing,
    *,
    suite: str | None,
    workloads: Sequence[str] = (),
    launches: int | None = None,
    budget: float | None = None,
) -> RunPlan:
    """A plan from what the command line says: a suite (quick where nothing is named), or some workloads.

    `budget`: seconds for all launches together. Raises InputError on an unknown workload.
    """
    if not workloads and suite is None:
        suite = "quick"
    names = listed.select(workloads) if workloads else listed.suite(suite or "quick")
    if not names:
        raise InputError(f"the suite {suite} holds no workload here; `envdoctor bench list` shows all")
    count = launches or (LAUNCHES[suite] if suite else 1)
    if budget is None:
        known = listed.budgets.get(suite) if suite else None
        budget = known or SECONDS_EACH * len(names) * count
    return RunPlan(workloads=names, suite=suite, launches=count, budget=budget / count)
