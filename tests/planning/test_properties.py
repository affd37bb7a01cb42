"""What holds of any plan, whatever is asked for; checked against the data files by rules of their own (`raw`)."""

from __future__ import annotations

import io
import json
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from envdoctor.console import Console
from envdoctor.knowledge import load
from envdoctor.planning.model import Alternative, Plan, Stack
from envdoctor.planning.planner import plan
from envdoctor.planning.target import describe
from envdoctor.planning.unlock import unlocks
from envdoctor.planning.wishes import checked
from envdoctor.report.plan.data import plan_json
from envdoctor.report.plan.text import print_plan
from tests.planning import raw

GPUS = (
    "RTX 5090",
    "RTX 5060 Ti",
    "B200",
    "GB300",
    "GB10",
    "RTX PRO 6000",
    "H100",
    "GH200",
    "RTX 4090",
    "L40S",
    "RTX 3090",
    "A100",
    "T4",
    "V100",
    "TITAN V",
    "GTX 1080",
    "P100",
    "GTX 980",
    "K80",
    "Tesla K40m",
    "Jetson AGX Orin",
    "Thor",
    "Xavier",
    "sm_107",
)
DRIVERS = (
    "418.39",
    "450.36.06",
    "450.80.02",
    "470",
    "470.256.02",
    "510",
    "520.61.05",
    "525",
    "525.53",
    "525.60.13",
    "528.24",
    "535.183.01",
    "550",
    "560.35.05",
    "565",
    "570",
    "570.26",
    "572.83",
    "575.57.08",
    "580",
    "580.95.05",
    "581.42",
    "590",
    "595.71.05",
    "610",
    "620",
    "700.1",
)
SYSTEMS = (
    "ubuntu14.04",
    "ubuntu18.04",
    "ubuntu22.04",
    "ubuntu24.04",
    "debian12",
    "rhel8",
    "rocky9",
    "centos7",
    "sles15.6",
    "alpine",
    "arch",
    "windows",
    "wsl",
    "macos",
)
PYTHONS = ("3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.13t", "3.14", "3.14t", "3.15", "3.15t")
TORCHES = ("2.0", "1.13.1", ">=2.6", ">=2.15", "==2.8.*", "<2.5", "~=2.9", "2.14.1", ">=2.7,<2.11", "3")
CUDAS = ("11.8", "12", "12.1", "12.6", "12.8", "12.9", "13", "13.0", "13.2", "13.4", "cpu")
PACKAGES = (
    "xformers",
    "xformers==0.0.33",
    "vllm",
    "vllm<0.30",
    "torchvision==0.21.0",
    "torchaudio",
    "timm",
    "triton==3.5.0",
    "torchtext",
)


def maybe(values: Any) -> Any:
    return st.none() | st.sampled_from(values)


DESCRIPTIONS = st.fixed_dictionaries(
    {
        "gpus": st.lists(st.sampled_from(GPUS), max_size=3) | st.just(["none"]),
        "driver": maybe(DRIVERS),
        "os": maybe(SYSTEMS),
        "python": maybe(PYTHONS),
        "torch": maybe(TORCHES),
        "cuda": maybe(CUDAS),
        "purpose": st.sampled_from(["run", "train", "build-extensions"]),
        "packages": st.lists(st.sampled_from(PACKAGES), max_size=2, unique=True).map(tuple),
        "container": st.booleans(),
    }
)
# The seed is fixed: what this run finds is a defect of the code and not of the day.
SETTINGS = settings(
    max_examples=300, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


def planned(words: dict[str, Any]) -> Plan:
    machine = {name: words[name] for name in ("gpus", "driver", "os")}
    wishes = {name: value for name, value in words.items() if name not in machine}
    return plan(describe(load(), **machine), checked(load(), **wishes), load())


def breaks(stack: Stack, words: dict[str, Any], *, wsl: bool, without: frozenset[str] = frozenset()) -> list[str]:
    """The constraints that a stack breaks, but for those in `without`."""
    found = []
    if raw.published(stack.torch, stack.channel, stack.platform) is None:
        found.append("published")
    if raw.doubted(stack.torch, stack.channel, stack.platform):
        found.append("doubted")
    if stack.python not in raw.python_tags(stack.torch, stack.platform):
        found.append("python wheel")
    if stack.cuda is not None:
        code = raw.flags(stack.torch, stack.channel, stack.platform)
        for gpu in stack.gpus:
            if not raw.runs(code, gpu.capability, stack.cuda):
                found.append(f"code for {gpu.capability}")
            if stack.cudnn is not None and not raw.cudnn_serves(stack.cudnn, stack.cuda, gpu.capability):
                found.append(f"cuDNN for {gpu.capability}")
    glibc = raw.glibc_of(stack.torch, stack.channel, stack.platform)
    if stack.platform.startswith("linux") and not _has_library(stack.glibc, glibc):
        found.append("glibc")
    driver = words["driver"]
    if "driver" not in without and driver is not None and stack.cuda is not None and stack.gpus:
        needed = raw.driver_for(stack.cuda, windows=stack.platform.startswith("windows") or wsl)
        if not raw.enough(driver, needed):
            found.append("driver")
        found += [f"driver for {gpu.capability}" for gpu in stack.gpus if not raw.drives(driver, gpu.capability)]
    if "python" not in without and words["python"] is not None and stack.python != words["python"]:
        found.append("python")
    if (
        "torch" not in without
        and words["torch"] is not None
        and not _asked(words["torch"]).contains(Version(stack.torch))
    ):
        found.append("torch")
    if "cuda" not in without and (cuda := words["cuda"]) is not None:
        fits = stack.cuda is None if cuda == "cpu" else stack.cuda == cuda or (stack.cuda or "").split(".")[0] == cuda
        if not fits:
            found.append("cuda")
    return found


def _has_library(have: str | None, needed: str | None) -> bool:
    if have is None:
        return True
    return have != "" and (needed is None or Version(have) >= Version(needed))


def _asked(text: str) -> SpecifierSet:
    if text[0].isdigit():
        return SpecifierSet(f"=={text}" if text.count(".") == 2 else f"=={text}.*")
    return SpecifierSet(text)


def drivable(stack: Stack, *, wsl: bool) -> bool:
    """Whether any one driver, of one flavour, drives all the stack's GPUs and runs its CUDA."""
    if stack.cuda is None or not stack.gpus:
        return True
    flavours = {raw.modules(gpu.capability) for gpu in stack.gpus}
    if stack.platform.startswith("linux") and not wsl and {"required", "unsupported"} <= flavours:
        return False
    needed = raw.driver_for(stack.cuda, windows=stack.platform.startswith("windows"))
    candidates = [f"{row['branch']}.999" for row in raw.table("drivers")["branches"]]
    return any(raw.enough(d, needed) and all(raw.drives(d, gpu.capability) for gpu in stack.gpus) for d in candidates)


@SETTINGS
@given(DESCRIPTIONS)
def test_no_plan_names_a_wheel_without_evidence_or_breaks_a_constraint(words: dict[str, Any]) -> None:
    found = planned(words)
    assert found.feasible is (found.stack is not None)
    assert found.reasons, "a plan says why"
    if found.stack is None:
        return
    assert breaks(found.stack, words, wsl=found.target.wsl) == []
    assert drivable(found.stack, wsl=found.target.wsl)
    for pin in found.stack.requirements:
        assert "==" in pin or pin == "numpy<2"
    assert found.stack.index_url == (
        None
        if raw.published(found.stack.torch, found.stack.channel, found.stack.platform) in _on_pypi(found.stack)
        else f"https://download.pytorch.org/whl/{found.stack.channel}"
    )


def _on_pypi(stack: Stack) -> tuple[str | None, ...]:
    wheel = raw.release(stack.torch)["wheels"].get(stack.platform) or {}
    return (wheel.get("file", "PyPI"), "PyPI")


FREED = {
    "none": frozenset({"gpus", "cuda", "driver"}),
    "reinstall": frozenset({"torch", "cuda", "packages"}),
    "python": frozenset({"python"}),
    "driver": frozenset({"driver"}),
    "os": frozenset({"os", "driver"}),
}


@SETTINGS
@given(DESCRIPTIONS)
def test_every_alternative_holds_under_the_constraint_that_it_changes(words: dict[str, Any]) -> None:
    found = planned(words)
    for one in found.alternatives:
        assert one.stack is not None
        assert breaks(one.stack, words, wsl=_in_wsl(one, found), without=_freed(one)) == [], one.change
        assert drivable(one.stack, wsl=_in_wsl(one, found)), one.change
        if found.stack is not None:
            assert Version(one.stack.torch) > Version(found.stack.torch), "it buys nothing"


def _freed(one: Alternative) -> frozenset[str]:
    """A pair of changes frees what both do; its text joins theirs."""
    if ", and " in one.change:
        return frozenset().union(*FREED.values())
    return FREED[one.cost]


def _in_wsl(one: Alternative, found: Plan) -> bool:
    return "WSL" in one.change or (
        found.target.wsl and one.stack is not None and one.stack.platform.startswith("linux")
    )


@SETTINGS
@given(DESCRIPTIONS, st.sampled_from(DRIVERS), st.sampled_from(DRIVERS))
def test_a_newer_driver_never_gives_an_older_torch(words: dict[str, Any], one: str, other: str) -> None:
    older, newer = sorted(
        (one, other), key=lambda text: (*Version(text).release, 999)[:3] if "." not in text else Version(text).release
    )
    assume(Version(older).major < Version(newer).major)
    first, second = planned({**words, "driver": older}), planned({**words, "driver": newer})
    if first.stack is None or not all(raw.drives(newer, gpu.capability) for gpu in first.target.gpus or ()):
        return  # a driver too new for an old GPU is the one that takes away
    assert second.stack is not None
    assert Version(second.stack.torch) >= Version(first.stack.torch)


@SETTINGS
@given(DESCRIPTIONS)
def test_each_step_of_the_ladder_of_drivers_buys_something_newer(words: dict[str, Any]) -> None:
    machine = {name: words[name] for name in ("gpus", "driver", "os")}
    wishes = {name: value for name, value in words.items() if name not in machine}
    found = unlocks(describe(load(), **machine), checked(load(), **wishes), load())
    steps = found.drivers
    bought = [(Version(step.stack.torch), Version(step.stack.cuda or "0")) for step in steps]
    assert bought == sorted(set(bought))
    assert sum(step.state == "current" for step in steps) <= 1
    for step in steps:
        broken = breaks(step.stack, {**words, "driver": step.min_driver}, wsl=found.plan.target.wsl)
        assert broken == [], step.min_driver


@SETTINGS
@given(DESCRIPTIONS)
def test_every_plan_reads_within_80_columns_and_as_json(words: dict[str, Any]) -> None:
    found = planned(words)
    shown = io.StringIO()
    print_plan(Console(file=shown, width=80, highlight=False), found)
    commands = ("    pip install", "    uv ", "      export", "      uv ")
    assert all(len(line) <= 80 for line in shown.getvalue().splitlines() if not line.startswith(commands))
    again = json.loads(plan_json(found))
    assert again["feasible"] is found.feasible
    assert (again["stack"] or {}).get("torch") == (found.stack.torch if found.stack else None)
