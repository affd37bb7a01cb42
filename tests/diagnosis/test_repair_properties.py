"""No repair kills what works: what holds for every command that is printed, on machines and environments of every kind.

Each diagnosis is asked for its repair on each of them, whether or not it would find anything there.
"""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from envdoctor.diagnosis.catalogue import all_diagnoses
from envdoctor.diagnosis.engine import UNREADABLE
from envdoctor.diagnosis.model import Fix
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.gpu import Gpu
from envdoctor.facts.sections.host import Container, Host, LinuxDistribution
from envdoctor.facts.sections.interpreter import Distribution as Installed
from envdoctor.facts.sections.interpreter import Interpreter, Torch, TorchRun
from envdoctor.knowledge import TorchBuild, load
from tests.diagnosis import population
from tests.diagnosis.snapshots import gpu, judge, nvml

WORLD = load()
GPUS: dict[str, tuple[Gpu, ...] | None] = {
    "unknown": None,
    "RTX 5090": (gpu("NVIDIA GeForce RTX 5090", "12.0"),),
    "Tesla P100": (gpu("Tesla P100-PCIE-16GB", "6.0"),),
    "V100 and RTX 4090": (gpu("Tesla V100-SXM2-32GB", "7.0"), gpu("NVIDIA GeForce RTX 4090", "8.9", index=1)),
    "AMD": None,
    "Intel": None,
}
WORDS = {"AMD": ("GPU: AMD Radeon RX 7900 XTX",), "Intel": ("GPU: Intel(R) Arc(TM) B580 Graphics",)}
TORCHES: dict[str, Torch | None] = {
    "none known": None,
    "bare": Torch(version="2.9.1"),
    "PyPI": Torch(version="2.9.1+cu128", build="cuda", cuda="12.8"),
    "cu126": Torch(version="2.10.0+cu126", build="cuda", cuda="12.6"),
    "cpu": Torch(version="2.9.1+cpu", build="cpu"),
    "nightly": Torch(version="2.13.0.dev20260514+cu130", build="cuda", cuda="13.0"),
    "ROCm": Torch(version="2.9.1+rocm6.4", build="rocm", hip="6.4.43482"),
    "XPU": Torch(version="2.9.1+xpu", build="xpu"),
    "NVIDIA's image": Torch(version="2.8.0a0+34c6371d24.nv25.08", build="cuda", cuda="13.0"),
    "broken": Torch(
        version="2.9.1+cu128", build="cuda", cuda="12.8", run=TorchRun(outcome="import-error", error="libcudnn")
    ),
}
LINUX = Host(
    system="Linux",
    architecture="x86_64",
    distribution=LinuxDistribution(id="ubuntu", version_id="24.04", like=("debian",)),
)
PLACES: dict[str, Snapshot] = {
    "Ubuntu": Snapshot(host=LINUX),
    "an unknown Linux": Snapshot(host=Host(system="Linux", architecture="x86_64")),
    "a container": Snapshot(host=LINUX, container=Container(kind="docker")),
    "WSL": Snapshot(host=replace(LINUX, wsl=2)),
    "Windows": Snapshot(host=Host(system="Windows", architecture="AMD64")),
    "a Mac": Snapshot(host=Host(system="Darwin", architecture="arm64")),
}
OF_DRIVER = re.compile(
    r"\bsudo\b.*(?:nvidia-driver|cuda-drivers|nvidia-open|nvidia-dkms|modprobe|rmmod|reboot|mokutil)"
)
FORBIDDEN = "driver commands where the driver is somebody else's"
HOSTILE = "/home/ada/my env; rm -rf ~ $(reboot) `id` 'x\"/bin/python"


def environments() -> Iterator[tuple[str, Snapshot]]:
    """Every torch in every place, with the GPUs in turn: pip's, uv's, vLLM's and a hostile one among them."""
    kinds = itertools.cycle(GPUS)
    for number, ((torch_name, torch), (place, base)) in enumerate(itertools.product(TORCHES.items(), PLACES.items())):
        for name in itertools.islice(kinds, 2):
            pinned = (Installed(name="vllm", version="0.11.0"),) if number % 4 == 3 else ()
            own = (
                (Installed(name="torch", version=torch.version, installer="uv" if number % 5 == 4 else "pip"),)
                if torch
                else ()
            )
            interpreter = Interpreter(
                executable=HOSTILE if number % 6 == 5 else "/opt/venv/bin/python",
                prefix="/opt/venv", version="3.12.4", distributions=(*own, *pinned), distributions_complete=False,
                torch=torch, torch_installed=True if torch else None,
            )  # fmt: skip
            listed = GPUS[name]
            snapshot = replace(
                base, source="live", interpreter=interpreter, nvml=nvml(*listed, driver="580.95.05") if listed else None,
                messages=WORDS.get(name, ()), environment_complete=False,
            )  # fmt: skip
            yield f"{torch_name} on {place}, GPU {name}", snapshot


ENVIRONMENTS = dict(environments())
MACHINES = {**population.machines(), **population.healthy()}


def repairs(snapshot: Snapshot) -> Iterator[tuple[str, Fix]]:
    for diagnosis in all_diagnoses():
        if diagnosis.remedy is None:
            continue
        try:
            fixes = diagnosis.remedy(snapshot, WORLD)
        except UNREADABLE:
            continue
        yield from ((diagnosis.code, fix) for fix in fixes)
    for finding in judge(snapshot).findings:
        yield from ((finding.code, fix) for fix in finding.fixes)


def words(command: str) -> list[str]:
    """The words of a command without the remark behind it; of several commands in a line, all."""
    return shlex.split(command, comments=True)


def installed_by(command: str) -> tuple[list[str], str | None, bool] | None:
    """What a pip command installs, its index, and whether pre-releases count; None for another command."""
    parts = words(command)
    if "install" not in parts or not ("pip" in parts or parts[:2] == ["uv", "pip"]):
        return None
    arguments = parts[parts.index("install") + 1 :]
    index = arguments[arguments.index("--index-url") + 1] if "--index-url" in arguments else None
    return [a for a in arguments if not a.startswith("-") and a != index], index, "--pre" in arguments


def variant_of(index: str | None) -> str | None:
    return None if index is None else index.rpartition("/")[2]


def build_of(requirement: str, index: str | None, snapshot: Snapshot) -> TorchBuild | None:
    """The published build that an exact requirement on torch takes there; None where the tables have none."""
    release = requirement.partition("==")[2].partition("+")[0]
    platform = snapshot.host.platform if snapshot.host else None
    builds = [b for b in WORLD.torch_builds(release) if b.platform == platform and b.torch == release]
    if index is None:
        return next((b for b in builds if b.index_url is None), None)
    return next((b for b in builds if b.variant == variant_of(index)), None)


def is_torch(requirement: str) -> bool:
    return re.fullmatch(r"torch(?:[=<>~!].*)?", requirement) is not None


def faults(name: str, snapshot: Snapshot, code: str, command: str) -> Iterator[str]:
    if command.lstrip().startswith("#"):
        return
    if re.search(r"\b(?:NAME|PACKAGE)\b", command.partition("   #")[0]):
        yield "a placeholder"
    try:
        parts = words(command)
    except ValueError:
        yield "no shell takes it"
        return
    if HOSTILE in (snapshot.interpreter.executable or "" if snapshot.interpreter else "") and "rm -rf" in command:
        if not any(HOSTILE in part for part in parts):
            yield "a name that is not one word"
        elif any("reboot" in part and HOSTILE not in part for part in parts):
            yield "a name that the shell would run"
    elsewhere = "on the host" in command or "IMAGE" in command
    inside = bool(snapshot.container and snapshot.container.inside) or bool(snapshot.host and snapshot.host.wsl)
    of_driver = re.search(
        r"\bsudo\b.*(?:nvidia-driver|cuda-drivers|nvidia-open|nvidia-dkms|modprobe|rmmod|reboot|mokutil)", command
    )
    removing = "remove" in parts or "purge" in command
    if inside and of_driver and not elsewhere and not removing:
        yield FORBIDDEN
    yield from install_faults(name, snapshot, command)


def install_faults(name: str, snapshot: Snapshot, command: str) -> Iterator[str]:
    taken = installed_by(command)
    torch = snapshot.torch
    if taken is None or not (asked := [r for r in taken[0] if is_torch(r)]):
        return
    if "uv" in command and ".venv" in command:
        torch = None  # a new environment loses nothing
    index, pre = taken[1], taken[2]
    version = torch.version if torch and torch.version else ""
    cuda = index is None or "/cu" in index
    if "AMD" in name.rpartition("GPU ")[2] and cuda and not (index is None and "Mac" in name):
        yield "a CUDA wheel for an AMD GPU"
    if "Intel" in name.rpartition("GPU ")[2] and cuda and "Mac" not in name:
        yield "a CUDA wheel for an Intel GPU"
    if ".nv" in version:
        yield "pip's torch over an image's"
    if "dev" in asked[0] and not (index and "/nightly/" in index and pre):
        yield "a nightly that is not from its index"
    if asked[0] == "torch" and index is None and version and "+" in version:
        yield "the newest torch of PyPI for a torch of another kind"
    if asked[0] != "torch" and (build := build_of(asked[0], index, snapshot)) is not None:
        capabilities = [g.compute_capability for g in snapshot.gpus or () if g.compute_capability]
        if build.cuda is None and capabilities and torch is not None and torch.build == "cuda":
            yield "a build without CUDA in the place of one with it"
        same = torch is not None and build.torch == torch.release and (build.cuda == torch.cuda or torch.cuda is None)
        if build.cuda and not same and not all(WORLD.has_code(build, capability) for capability in capabilities):
            yield "a build without code for the GPU"


@pytest.mark.parametrize("place", sorted(PLACES))
def test_no_repair_kills_what_works(place: str) -> None:
    wrong: dict[tuple[str, str, str], str] = {}
    for name, snapshot in ENVIRONMENTS.items():
        if f"on {place}," not in name:
            continue
        for code, fix in repairs(snapshot):
            for command in fix.commands:
                for fault in faults(name, snapshot, code, command):
                    wrong.setdefault((fault, code, command), name)
    assert not wrong


def test_nor_does_one_on_the_machines_of_the_population() -> None:
    wrong: dict[tuple[str, str, str], str] = {}
    for name, snapshot in MACHINES.items():
        for finding in judge(snapshot).findings:
            for fix in finding.fixes:
                for command in fix.commands:
                    for fault in faults(name, snapshot, finding.code, command):
                        wrong.setdefault((fault, finding.code, command), name)
    assert not wrong


@pytest.mark.parametrize(
    ("name", "command", "fault"),
    [
        ("bare on Ubuntu, GPU AMD", "pip install torch==2.9.1", "a CUDA wheel for an AMD GPU"),
        ("nightly on Ubuntu, GPU unknown", "pip install torch==2.13.0.dev20260514", "a nightly that is not from its index"),
        ("cu126 on Ubuntu, GPU unknown", "pip install torch", "the newest torch of PyPI for a torch of another kind"),
        ("NVIDIA's image on Ubuntu, GPU unknown", "pip install torch==2.9.1", "pip's torch over an image's"),
        ("cpu on WSL, GPU unknown", "sudo apt-get install nvidia-driver-580", FORBIDDEN),
        ("cpu on Ubuntu, GPU unknown", "pip install NAME", "a placeholder"),
    ],
)  # fmt: skip
def test_the_rules_can_fail(name: str, command: str, fault: str) -> None:
    kind, _, rest = name.partition(" on ")
    place, _, _ = rest.partition(", GPU ")
    torch = TORCHES[kind]
    snapshot = replace(
        PLACES[place], interpreter=Interpreter(torch=torch), messages=WORDS.get(name.rpartition("GPU ")[2], ())
    )
    assert fault in list(faults(name, snapshot, "x", command))
