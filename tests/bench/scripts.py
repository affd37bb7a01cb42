"""Children that speak the protocol of benchmarks/, or fail at it, written as small scripts and really run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PRELUDE = """
import json, os, random, signal, sys, time
start = time.monotonic()
def emit(event, **fields):
    print(json.dumps({"event": event, "t": round(time.monotonic() - start, 6), **fields}), flush=True)
def options(name):
    return [word.split("=", 1)[1] for word in sys.argv if word.startswith(name + "=")]
def option(name, default=None):
    return (options(name) or [default])[-1]
"""
# A benchmark of four workloads: `alpha`, `beta.one`, `beta.two`, `gamma`. What happens in one is its entry in FAULTS.
BENCHMARK = (
    PRELUDE
    + """
NAMES = ["alpha", "beta.one", "beta.two", "gamma"]
if "--list" in sys.argv:
    table = [{"name": name, "summary": "what %s measures" % name, "suites": ["quick", "standard"]} for name in NAMES]
    print(json.dumps({"workloads": table, "budgets": {"quick": 20.0, "standard": 60.0}}))
    sys.exit()
FAULTS = {}
DEVICE = {"type": "cpu", "name": "Test Device", "memory_bytes": 8 << 30}
SPEED = 100.0
SECONDS = 0.0
WATCHED = False  # whether what else goes on in this machine counts
METRICS = {}
NO_WINDOWS = False  # it does not say when it measured
DETAILS = {}
REASONS = []  # why the figures are invalid
TIMED = None  # the unit of a throughput whose own windows are told
def hello():
    emit("hello", schema="envdoctor.events/1", monotonic=time.monotonic(), pid=os.getpid(), python="3.12.1",
         torch="2.15.0", torchvision=None, cuda="13.2", cudnn=92600, device=DEVICE, threads=2, precision={}, seed=0)
def metric(values, unit="TFLOP/s", better="higher"):
    ordered = sorted(values)
    middle = ordered[len(ordered) // 2]
    return {"value": middle, "unit": unit, "better": better, "samples": values, "p10": ordered[len(ordered) // 10],
            "p90": ordered[len(ordered) * 9 // 10], "ci95": [ordered[len(ordered) // 4], ordered[len(ordered) * 3 // 4]],
            "n": len(values), "rcv": 0.01, "drift": 0.0, "outliers": 0,
            "limit": {"value": 2 * SPEED, "percent": 50 * middle / SPEED, "what": "a limit"}}
def measure(name):
    work = {"name": name, "version": 1, "parameters": {"size": 8}, "work_hash": "hash of " + name, "knobs": {}}
    emit("workload", budget_s=2.0, **work)
    emit("progress", workload=name, phase="measure", step=3, steps=9, figure={"value": SPEED, "unit": "TFLOP/s"},
         elapsed_s=0.1, remaining_s=1.0)
    exec(FAULTS.get(name, ""), globals())
    time.sleep(0.25 if WATCHED else 0.0)  # a real one warms up here
    began = time.monotonic()
    time.sleep(SECONDS)
    rng = random.Random(name + option("--seed", "0") + str(os.getpid()))
    launch = SPEED * rng.gauss(1, 0.01)
    metrics = METRICS.get(name) or {"throughput": metric([launch * rng.gauss(1, 0.01) for _ in range(40)])}
    details = dict(DETAILS)
    if TIMED:
        metrics["throughput"].update(unit=TIMED, timing="step")
        details["timing"] = {"step": {"host_gap": 0.0, "windows": [[began, time.monotonic()]]}}
    emit("result", workload=dict(work, metrics=metrics, valid=not REASONS, invalid_because=REASONS, warnings=[],
         windows=[[began, time.monotonic()]] if WATCHED and not NO_WINDOWS else [], details=details))
"""
)
MAIN = """
hello()
for name in options("--workload"):
    measure(name)
emit("bye")
"""


def script(folder: Path, body: str, name: str = "child.py") -> Path:
    """A script with `emit`, `option` and `options` at hand."""
    path = folder / name
    path.write_text(PRELUDE + body)
    return path


def benchmark(folder: Path, settings: str = "", name: str = "benchmark.py", main: str = MAIN) -> Path:
    """A whole benchmark; `settings` overrides FAULTS, DEVICE, SPEED and the other names in capitals."""
    path = folder / name
    path.write_text(BENCHMARK + settings + main)
    return path


def envdoctor(*arguments: str | Path, home: Path, timeout: float = 120, **environment: str) -> tuple[int, str, str]:
    """Runs the real command with its history in `home`; returns exit code, stdout, stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "envdoctor", *map(str, arguments)],
        capture_output=True,
        timeout=timeout,
        env=surroundings(home, **environment),
        check=False,
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in err, err
    return done.returncode, out, err


def surroundings(home: Path, **environment: str) -> dict[str, str]:
    """An environment in which a run leaves nothing outside of `home`."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("CUDA_", "VIRTUAL_ENV"))}
    return {**plain, "HOME": str(home), "XDG_DATA_HOME": str(home / "data"), "COLUMNS": "80", **environment}


def bench(folder: Path, program: Path, *more: str | Path) -> tuple[int, str, str]:
    """One launch, where the arguments ask for no other number: the quick suite's three would tell each fault three times."""
    launches = () if {"--launches", "--suite"} & set(more) else ("--launches", "1")
    return envdoctor("bench", "--benchmarks", program, "--python", sys.executable, *launches, *more, home=folder)


def saved(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(path.read_text())
    assert data["schema"] == "envdoctor.bench/1"
    return data


def workload(data: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(w for w in data["workloads"] if w["name"] == name)
    return found
