"""Several CUDA toolkits are installed, and different searches find different ones.

What it is
    `nvcc --version` shows the toolkit that PATH finds; torch's extension builder takes CUDA_HOME first; the loader takes
    LD_LIBRARY_PATH. When they disagree, an extension is compiled with one CUDA version and runs with another, and every check by
    hand shows the wrong one.

Told apart by
    An nvcc on PATH of another version than the one of CUDA_HOME; or one of another CUDA major than the toolkit whose libraries
    LD_LIBRARY_PATH puts first. Several toolkits in /usr/local alone are normal. When none of them fits torch it is
    `toolkit-mismatch`.

Repair
    Let PATH, CUDA_HOME and LD_LIBRARY_PATH name one toolkit, that of torch's CUDA version.

Sources
    torch/utils/cpp_extension.py, `_find_cuda_home`; ld.so(8)
"""

from __future__ import annotations

from envdoctor.diagnosis.building import builders_nvcc, fitting_nvcc, minor
from envdoctor.diagnosis.companions import major_of
from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.python_environment import quoted
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.software import LibraryFile, Nvcc
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.message_files import beside

CHOOSE = Fix(
    title="Let PATH, CUDA_HOME and the build name the same toolkit: the one of torch's CUDA version",
    commands=(
        "ls -d /usr/local/cuda*; which -a nvcc; echo $CUDA_HOME",
        """export CUDA_HOME="/usr/local/cuda-$(python -c 'import torch; print(torch.version.cuda)')\"""",
        'export PATH="$CUDA_HOME/bin:$PATH"',
    ),
    verify="nvcc --version",
)


MESSAGES = beside(__file__)


@diagnosis(
    "toolkit-multiple",
    layer=Layer.TOOLKIT,
    severity=Severity.WARNING,
    messages=MESSAGES,
    remedy=lambda _machine, _world: (CHOOSE,),
)
def toolkit_multiple(machine: Snapshot, world: Knowledge) -> Finding | None:
    toolkit = machine.toolkit
    on_path = next((n for n in (toolkit.nvcc or () if toolkit else ()) if "PATH" in n.found_by), None)
    if toolkit is None or on_path is None or on_path.version is None:
        return None
    cuda = machine.torch.cuda if machine.torch else None
    fitting = fitting_nvcc(machine)
    if cuda is not None and fitting is None:
        return None  # none is right: that is toolkit-mismatch, where anybody builds
    by_home, by_loader = builders_nvcc(machine), _loaders_toolkit(machine)
    evidence: list[Evidence] = [fact("toolkit.nvcc", f"{on_path.path} {on_path.version} (PATH)")]
    if toolkit.cuda_home and by_home is not None and _differ(by_home.version, on_path.version):
        words = f"CUDA_HOME names {toolkit.cuda_home} (CUDA {by_home.version})"
        evidence.append(fact("toolkit.cuda_home", f"{toolkit.cuda_home}: {by_home.version}"))
    elif by_loader is not None and major_of(by_loader.version) not in (None, major_of(on_path.version)):
        words = f"LD_LIBRARY_PATH puts {by_loader.path} (CUDA {by_loader.version}) first"
        evidence.append(fact("libraries.files", f"{by_loader.path} {by_loader.version}"))
    else:
        return None
    return Finding(
        summary=f"PATH finds CUDA {on_path.version} ({on_path.path}), and {words}.",
        evidence=(*evidence, *((fact("torch.cuda", cuda),) if cuda else ())),
        fixes=(_one(fitting or on_path),),
    )


def _differ(one: str | None, other: str | None) -> bool:
    return minor(one) is not None and minor(other) is not None and minor(one) != minor(other)


def _loaders_toolkit(machine: Snapshot) -> LibraryFile | None:
    """The CUDA runtime that LD_LIBRARY_PATH puts before all others, where a whole version is known."""
    files = machine.libraries.files if machine.libraries else None
    first = next((file for file in files or () if file.name == "libcudart"), None)
    return first if first is not None and first.via == "LD_LIBRARY_PATH" else None


def _one(nvcc: Nvcc) -> Fix:
    folder = nvcc.path.rpartition("/bin/")[0] or "/usr/local/cuda"
    return Fix(
        title=f"Name one toolkit everywhere: CUDA {nvcc.version}",
        commands=(
            f"export CUDA_HOME={quoted([folder])}",
            'export PATH="$CUDA_HOME/bin:$PATH"',
            "unset LD_LIBRARY_PATH   # or take the other toolkit out of it, where it is set for good",
        ),
        verify='which nvcc && nvcc --version && echo "$CUDA_HOME"',
    )
