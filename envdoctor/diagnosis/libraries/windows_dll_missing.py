"""A DLL that torch needs on Windows is missing or of the wrong version.

What it is
    torch's DLLs need Microsoft's Visual C++ runtime, which Windows does not bring. Without it, or with one that is older than
    torch was built with, loading fails: 'WinError 126 ... Error loading fbgemm.dll or one of its dependencies', 'WinError
    1114 ... initialization routine failed ... c10.dll', 'DLL load failed while importing _C'. Now and then an antivirus
    has removed a DLL.

Told apart by
    Windows' own words at the import. When files of torch itself are gone it is `torch-install-corrupt`.

Repair
    The newest Visual C++ Redistributable; then torch once more.

Sources
    torch/__init__.py, `_load_dll_libraries`; learn.microsoft.com, System Error Codes 126, 127, 182, 193, 1114
"""

from __future__ import annotations

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.python_environment import run_python
from envdoctor.diagnosis.repairs.torch_install import restore_torch
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.loader_errors import Said, said
from envdoctor.reading.messages.message_files import beside

REDISTRIBUTABLE = "https://aka.ms/vs/17/release/vc_redist.x64.exe"
NUMBERS = ("WinError 126]", "WinError 127]", "WinError 182]", "WinError 1114]")


MESSAGES = beside(__file__)


@diagnosis(
    "windows-dll-missing",
    layer=Layer.LIBRARIES,
    severity=Severity.ERROR,
    follows_from=("torch-install-corrupt",),
    messages=MESSAGES,
    remedy=lambda machine, world: (_runtime(machine), restore_torch(machine, world)),
)
def windows_dll_missing(machine: Snapshot, world: Knowledge) -> Finding | None:
    host = machine.host
    if host is not None and host.system not in (None, "Windows"):
        return None
    error = next((line for line in said(machine) if _says(line)), None)
    if error is None:
        return None
    started = "1114]" in error.text
    return Finding(
        summary="A DLL that torch loads "
        + (
            "failed to start: most often the Visual C++ runtime is older than the one torch was built with."
            if started
            else "is missing, or one that it needs in turn: most often the Visual C++ runtime."
        ),
        evidence=(error.evidence(), *((fact("host.os_name", host.os_name),) if host and host.os_name else ())),
        fixes=(_runtime(machine), restore_torch(machine, world)),
        confidence=0.8,
    )


def _runtime(machine: Snapshot) -> Fix:
    return Fix(
        title="Install the newest Visual C++ Redistributable",
        commands=("winget install --exact --id Microsoft.VCRedist.2015+.x64",),
        note=f"Download: {REDISTRIBUTABLE} (arm64: vc_redist.arm64.exe)",
        needs_root=True,
        verify=run_python(machine, "import torch; print(torch.__version__)"),
    )


def _says(line: Said) -> bool:
    text = line.text
    if "Microsoft Visual C++ Redistributable is not installed" in text:
        return True
    if any(number in text for number in NUMBERS):
        # Windows says its part in the user's language; the number, the file and torch's own words are always there.
        return "torch" in text or ".dll" in text or line.fact == "torch.run.error"
    return "DLL load failed" in text and ("_C" in text or "torch" in text or line.fact == "torch.run.error")
