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
from envdoctor.reading.messages.conditions import near
from envdoctor.reading.messages.loader_errors import Said, said
from envdoctor.reading.messages.message import Message

REDISTRIBUTABLE = "https://aka.ms/vs/17/release/vc_redist.x64.exe"
NUMBERS = ("WinError 126]", "WinError 127]", "WinError 182]", "WinError 1114]")


MESSAGES = (
    Message(
        '[WinError 126] {words} Error loading "{path}" or one of its dependencies',
        "torch/__init__.py: _load_dll_libraries",
    ),
    Message('[WinError 1114] {words} Error loading "{path}" or one of its dependencies', "torch/__init__.py"),
    Message('[WinError 127] {words} Error loading "{path}" or one of its dependencies', "torch/__init__.py"),
    Message('[WinError 182] {words} Error loading "{path}" or one of its dependencies', "torch/__init__.py"),
    Message('[WinError 193] {words} Error loading "{path}" or one of its dependencies', "torch/__init__.py", 0.85),
    Message(
        '[WinError 1455] {words} Error loading "{path}" or one of its dependencies',
        "torch/__init__.py: the paging file",
        0.7,
    ),
    Message('Error loading "{path}" or one of its dependencies', "torch/__init__.py: _load_dll_libraries", 0.95),
    Message("[WinError 126] The specified module could not be found", "Windows: ERROR_MOD_NOT_FOUND", 0.8),
    Message(
        "[WinError 1114] A dynamic link library (DLL) initialization routine failed",
        "Windows: ERROR_DLL_INIT_FAILED",
        0.85,
    ),
    Message("[WinError 127] The specified procedure could not be found", "Windows: ERROR_PROC_NOT_FOUND", 0.8),
    Message("[WinError 182] The operating system cannot run", "Windows: ERROR_INVALID_ORDINAL", 0.85),
    Message("DLL load failed: The specified module could not be found", "CPython 3.7 and before", 0.75),
    Message(
        "DLL load failed while importing {name}: The specified module could not be found", "CPython 3.8 and later", 0.7
    ),
    Message(
        "DLL load failed while importing {name}: A dynamic link library (DLL) initialization routine failed",
        "CPython 3.8 and later",
        0.85,
    ),
    Message(
        "DLL load failed while importing {name}: The specified procedure could not be found",
        "CPython 3.8 and later",
        0.65,
    ),
    Message(
        "Could not find module '{path}' (or one of its dependencies). Try using the full path with constructor syntax",
        "CPython, ctypes",
        0.75,
    ),
    Message(
        "Microsoft Visual C++ Redistributable is not installed, this may lead to the DLL load failure",
        "torch/__init__.py",
    ),
    Message("VCRUNTIME140{name}.dll was not found", "Windows loader"),
    Message("MSVCP140.dll was not found", "Windows loader"),
    Message("The code execution cannot proceed because {name}.dll was not found", "Windows loader", 0.9),
    Message("libomp140.x86_64.dll", "torch 2.4 on Windows", 0.85),
    Message("fbgemm.dll", "torch 2.4 on Windows: its OpenMP is missing", 0.9),
    Message("DLL load failed", "CPython", 0.5),
    Message(
        "[WinError 126]",
        "Windows: ERROR_MOD_NOT_FOUND in the system's language",
        0.6,
        when=near("torch", "cuda", ".dll"),
    ),
    Message(
        "[WinError 1114]",
        "Windows: ERROR_DLL_INIT_FAILED in the system's language",
        0.75,
        when=near("torch", "cuda", ".dll"),
    ),
    Message(
        "[WinError 127]",
        "Windows: ERROR_PROC_NOT_FOUND in the system's language",
        0.6,
        when=near("torch", "cuda", ".dll"),
    ),
    Message(
        "[WinError 182]",
        "Windows: ERROR_INVALID_ORDINAL in the system's language",
        0.7,
        when=near("torch", "cuda", ".dll"),
    ),
    Message("MSVCP140.dll", "Windows: the Visual C++ runtime", 0.6, when=near("not found", "missing", "torch")),
    Message("or one of its dependencies.", "torch/__init__.py: the end of its message", 0.5, when=near(".dll")),
    Message("aoti_custom_ops.dll", "torch on Windows", 0.4, when=near("error loading", "dependencies")),
    Message("torch_python.dll", "torch on Windows", 0.5, when=near("error loading", "dependencies", "could not")),
)


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
