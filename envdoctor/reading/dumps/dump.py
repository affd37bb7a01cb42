"""Text of many layouts -> one Snapshot: every line goes to the first reader that knows it, the rest are messages."""

from __future__ import annotations

from typing import Protocol

from envdoctor.errors import InputError
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.host import Container
from envdoctor.reading.dumps import gpu_facts, interpreter_facts, machine_facts
from envdoctor.reading.dumps.banners import Banners
from envdoctor.reading.dumps.labelled_values import Labelled
from envdoctor.reading.dumps.lightning import Lightning
from envdoctor.reading.dumps.lspci import Lspci, pci
from envdoctor.reading.dumps.merging import Merged
from envdoctor.reading.dumps.messages import Messages
from envdoctor.reading.dumps.nvidia_smi import NvidiaSmi
from envdoctor.reading.dumps.packages import Packages
from envdoctor.reading.dumps.prose import Prose
from envdoctor.reading.dumps.raw_values import Findings
from envdoctor.reading.dumps.shell import Shell
from envdoctor.reading.dumps.text import DumpLine, lines, unprefixed
from envdoctor.reading.dumps.torch_config import TorchConfig
from envdoctor.reading.failures import is_raised

ACCEPTED = (
    "accepted are: an envdoctor snapshot, report or bench file (JSON); the output of `python -m torch.utils.collect_env`, of "
    "vLLM's, sglang's, detectron2's or mmcv's environment script, of `transformers env`; of nvidia-smi, "
    "`pip list` or `conda list`. "
    "For an error message use `envdoctor explain`"
)


class Reader(Protocol):
    """A family of layouts."""

    def feed(self, line: DumpLine) -> bool:
        """Takes a line; False where it is not its own."""


def read(text: str) -> Snapshot:
    """The Snapshot of a pasted text; InputError where nothing in it is recognised."""
    findings = Findings()
    messages = Messages(findings)
    config = TorchConfig(findings)
    prose = Prose(findings)
    bus = Lspci(findings)
    readers: tuple[Reader, ...] = (
        bus,
        NvidiaSmi(findings),
        config,
        Lightning(findings),
        Labelled(findings),
        Packages(findings),
        Shell(findings),
        Banners(findings),
    )
    feeds = tuple(reader.feed for reader in readers)
    for findings.line, line in enumerate(unprefixed(lines(text)), 1):
        for feed in feeds:
            if feed(line):
                break
        else:
            if line.bare:
                prose.take(line)
                messages.take(line)
                if is_raised(line.bare):
                    findings.failed_at = findings.line
    bus.end()
    snapshot = _assemble(Merged(findings), messages.result())
    if snapshot is None:
        raise InputError(f"nothing is recognised in this text ({len(text):,} characters); {ACCEPTED}.")
    return snapshot


def _assemble(merged: Merged, messages: tuple[str, ...]) -> Snapshot | None:
    python = interpreter_facts.python_version(merged)
    interpreter = interpreter_facts.interpreter(merged)
    host = machine_facts.host(merged, python, merged.text("python"))
    system = host.system if host else None
    torch = interpreter.torch if interpreter else None
    hip = torch is not None and torch.build == "rocm"
    environment: dict[str, str] = {}
    for sheet in merged:
        for name, value in sheet.environment.items():
            environment.setdefault(name, value)
    arch_list = merged.text("env.TORCH_CUDA_ARCH_LIST")
    if arch_list:
        environment.setdefault("TORCH_CUDA_ARCH_LIST", arch_list)
    allocator = merged.text("allocator")
    if allocator and not allocator.startswith("{"):
        environment.setdefault("PYTORCH_CUDA_ALLOC_CONF", allocator)
    facts = Snapshot(
        host=host,
        pci=pci(merged),
        driver=machine_facts.driver(merged, system),
        nvml=gpu_facts.nvml(merged, system, hip),
        cuda_driver=machine_facts.cuda_driver(merged),
        toolkit=machine_facts.toolkit(merged),
        logs=machine_facts.logs(merged),
        container=Container(kind="docker") if merged.text("container") else None,
        libraries=machine_facts.libraries(merged, environment or None),
        environment=environment or None,
        interpreter=interpreter,
    )
    if facts == Snapshot():
        return None
    from msgspec.structs import replace

    return replace(facts, source=merged.source(), environment_complete=False, messages=messages)
