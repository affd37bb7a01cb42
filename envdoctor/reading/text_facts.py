"""What an error text states as facts, made whole by what it implies: a Snapshot for the diagnoses to judge."""

from __future__ import annotations

import re

from msgspec.structs import replace

from envdoctor.errors import InputError
from envdoctor.facts.model import Snapshot
from envdoctor.facts.numbers import cuda_version
from envdoctor.facts.sections.driver import Driver
from envdoctor.facts.sections.host import Container, Host
from envdoctor.facts.sections.interpreter import Interpreter, Torch
from envdoctor.knowledge import Knowledge
from envdoctor.reading.failures import is_change_note
from envdoctor.reading.messages.scan import Scan
from envdoctor.reading.other_gpus import other_gpu

MOST_MESSAGES = 300
_DRIVER_CUDA = re.compile(r"too old \(found version (\d{4,6})\)")


def stated(found: Scan, world: Knowledge) -> tuple[Snapshot, bool]:
    """What the text states (dumps, tables, torch's own warnings; its other lines are messages), and whether its platform is
    assumed.

    Three things that such texts leave out are filled in. torch with a list of CUDA architectures is a CUDA build. Where nothing
    names the platform it is the one that paths and words in the text are of, else Linux on x86-64. And a driver that is known
    by its CUDA version only is taken for the oldest that has it. All of them steer fixes; no diagnosis accuses by them alone.
    """
    from envdoctor.reading.dumps import read

    lines = tuple(line[:1000] for line in found.excerpt.splitlines() if line.strip())
    try:
        snapshot = read(found.excerpt)
    except InputError:
        snapshot = Snapshot(
            environment_complete=False, messages=lines if len(lines) <= 200 else (*lines[:100], *lines[-100:])
        )
    # The readers keep what is no dump; the lines that matched are messages in any case.
    kept = set(snapshot.messages)
    others = (line for line in lines[:400] if other_gpu(line) is not None)
    more = tuple(dict.fromkeys(line for line in (*(m.line for m in found.matches), *others) if line not in kept))
    said = tuple(line for line in (*snapshot.messages, *more) if not is_change_note(line))
    snapshot = replace(snapshot, messages=said[:MOST_MESSAGES])
    interpreter = snapshot.interpreter
    if interpreter is not None and interpreter.torch is not None and interpreter.torch.build is None:
        torch = interpreter.torch
        if torch.arch_flags and any(flag.startswith("sm_") for flag in torch.arch_flags):
            snapshot = replace(snapshot, interpreter=replace(interpreter, torch=replace(torch, build="cuda")))
    snapshot = _with_torchs_cuda(snapshot, found)
    assumed = snapshot.host is None or snapshot.host.system is None
    if assumed:
        snapshot = replace(snapshot, host=_host(found.excerpt, snapshot.host))
    if snapshot.container is None and len(_COMPOSE.findall(found.excerpt)) > 1:
        snapshot = replace(snapshot, container=Container(kind="docker"))
    number = _DRIVER_CUDA.search(found.excerpt)
    if snapshot.driver_version is None and number is not None:
        cuda = cuda_version(int(number[1]))
        oldest = world.toolkit_driver(cuda)
        if oldest is not None:
            driver = snapshot.driver or Driver()
            snapshot = replace(snapshot, driver=replace(driver, reported_version=oldest))
    return snapshot, assumed


# What docker compose puts before each line of a service: 'worker_1  | ', 'train-1  | '.
_COMPOSE = re.compile(r"^[\w.-]{1,60}[-_]\d{1,3}\s+\| ", re.MULTILINE)


def _with_torchs_cuda(snapshot: Snapshot, found: Scan) -> Snapshot:
    """The CUDA of torch, where the refusal of an extension's build names it."""
    named = (match.values.get("torch", "") for match in found.matches if match.code == "toolkit-mismatch")
    cuda = next((text for text in named if re.fullmatch(r"\d{1,2}\.\d{1,2}", text)), None)
    interpreter = snapshot.interpreter or Interpreter(distributions_complete=False)
    torch = interpreter.torch or Torch(build="cuda")
    if cuda is None or torch.cuda is not None:
        return snapshot
    return replace(snapshot, interpreter=replace(interpreter, torch=replace(torch, cuda=cuda)))


def _host(text: str, known: Host | None) -> Host:
    """The platform that a text is about, by its words and paths: an assumption, Linux on x86-64 where nothing tells."""
    low = text[:200_000].lower()
    architecture: str | None
    if any(word in low for word in _WINDOWS_WORDS) or _DRIVE.search(low):
        system, architecture = "Windows", "AMD64"
    elif any(word in low for word in _MAC_WORDS) or _APPLE_CHIP.search(low):
        system, architecture = (
            "Darwin",
            "arm64" if "arm64" in low or _APPLE_CHIP.search(low) else "x86_64" if "x86_64" in low else None,
        )
    else:
        system, architecture = "Linux", "aarch64" if "aarch64" in low else "x86_64"
    host = known or Host()
    return replace(host, system=system, architecture=host.architecture or architecture)


_WINDOWS_WORDS = (
    ".dll", "dll load failed", "winerror", "\\\\site-packages", "\\site-packages", ":\\\\", "win_amd64", ".exe", "c:\\users",
    "powershell", " wddm ", "cmd.exe", ".bat", "visual studio", "msvc", "vcvars", "on windows", "windows 10", "windows 11",
)  # fmt: skip
_DRIVE = re.compile(r"(?<![\w:/.])[a-z]:\\[a-z_]\w")
"""'D:\\envs', and not the line's end in 'error:\\n' of a quoted string."""
_MAC_WORDS = (
    "macosx", "darwin", ".dylib", "/users/", "/library/frameworks/", "macos", "macbook", "mac mini", "mac studio",
    ", 0x0006): ",  # dyld's words: dlopen(PATH, 0x0006): Symbol not found
)  # fmt: skip
_APPLE_CHIP = re.compile(r"\bapple (?:silicon|m[1-9])\b")
