"""Something here needs the CUDA compiler nvcc, and there is none.

What it is
    torch runs without a CUDA toolkit. Compiling an extension with CUDA code (pip installing one that has no wheel for this
    Python, a JIT-compiled kernel) needs nvcc: 'CUDA_HOME environment variable is not set', 'nvcc not found'.

Told apart by
    Such an error, or a CUDA_HOME that points to a folder without nvcc while no other nvcc is on the machine. A machine without
    nvcc that builds nothing is healthy. A toolkit of the wrong version is `toolkit-mismatch`.

Repair
    A ready-made wheel of the extension, where there is one; else point CUDA_HOME at a toolkit that is there, or install the one
    of torch's CUDA version.

Sources
    torch/utils/cpp_extension.py, `_find_cuda_home`, `_join_cuda_home`, `_check_cuda_version`
"""

from __future__ import annotations

from envdoctor.diagnosis.building import SAME_VERSION, toolkit_fixes
from envdoctor.diagnosis.model import Finding, Layer, Severity, diagnosis
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.in_snapshot import first_said
from envdoctor.reading.messages.loader_errors import Said, first_saying
from envdoctor.reading.messages.message import Message

MESSAGES = (
    Message(
        "CUDA_HOME environment variable is not set. Please set it to your CUDA install root",
        "torch/utils/cpp_extension.py: _join_cuda_home",
    ),
    Message("CUDA_HOME environment variable is not set", "torch/utils/cpp_extension.py", 0.95),
    Message("CUDA_HOME does not exist, unable to compile CUDA op(s)", "deepspeed, op_builder"),
    Message("MissingCUDAException", "deepspeed, op_builder"),
    Message(
        "nvcc was not found. Are you sure your environment has nvcc available?",
        "flash-attn, causal-conv1d, mamba: setup.py",
    ),
    Message("nvcc: command not found", "bash"),
    Message("nvcc: not found", "dash"),
    Message("No such file or directory: '{path}/bin/nvcc'", "CPython, subprocess"),
    Message("No such file or directory: 'nvcc'", "CPython, subprocess"),
    Message("No such file or directory: ':/usr/local/cuda{version}/bin/nvcc'", "CUDA_HOME with a colon"),
    Message("/bin/nvcc: No such file or directory", "sh, make"),
    Message("'nvcc' is not recognized as an internal or external command", "cmd.exe"),
    Message("Failed to find nvcc", "cmake, CMakeDetermineCUDACompiler", 0.95),
    Message("No CMAKE_CUDA_COMPILER could be found", "cmake", 0.95),
    Message("Could NOT find CUDA (missing: CUDA_TOOLKIT_ROOT_DIR", "cmake, FindCUDA", 0.95),
    Message("Could not find CUDAToolkit", "cmake", 0.9),
    Message("Could NOT find CUDAToolkit (missing: {parts})", "cmake, FindCUDAToolkit", 0.95),
    Message("Specify CUDA_TOOLKIT_ROOT_DIR", "cmake, FindCUDA", 0.9),
    Message("cuda_runtime.h: No such file or directory", "gcc", 0.85),
    Message("cuda_runtime_api.h: No such file or directory", "gcc", 0.85),
    Message("cuda.h: No such file or directory", "gcc", 0.85),
    Message("cusparse.h: No such file or directory", "gcc: parts of the toolkit missing", 0.85),
    Message("cublas_v2.h: No such file or directory", "gcc", 0.85),
    Message("cusolverDn.h: No such file or directory", "gcc", 0.85),
    Message("curand.h: No such file or directory", "gcc", 0.8),
    Message("cuda_fp16.h: No such file or directory", "gcc", 0.8),
    Message("cannot find -lcudart", "binutils, ld: a library is not found", 0.85),
    Message("cannot find -lcublas", "binutils, ld: a library is not found", 0.85),
    Message("Command 'nvcc' not found", "Ubuntu's command-not-found"),
    Message("cannot find -lcuda", "ld: no stub of libcuda", 0.4),
    Message("No CUDA runtime is found, using CUDA_HOME='{path}'", "torch/utils/cpp_extension.py", 0.4),
    Message("Unable to find CUDA compiler", "meson", 0.6),
    Message("Failed to detect a default CUDA architecture", "cmake", 0.7),
    Message("error: command '{path}nvcc' failed: No such file or directory", "setuptools"),
    Message("error: command '{path}nvcc' failed with", "setuptools", 0.25),
    Message("nvcc not found at '{path}'. Ensure CUDA path", "torch/utils/cpp_extension.py, torch 2.3 and later"),
    Message(
        "CUDA was not found on the system, please set the CUDA_HOME or the CUDA_PATH",
        "torch/utils/cpp_extension.py, torch 2.5 and later",
    ),
    Message(
        "Cannot find CUDA_HOME. CUDA must be available to build the package", "extensions' setup.py (vLLM, NATTEN)"
    ),
    Message("CUDA_HOME is not set", "extensions' setup.py", 0.9),
    Message("CUDA_HOME must be set", "extensions' setup.py", 0.9),
    Message("Cannot compile CUDA extensions without nvcc", "extensions' setup.py"),
    Message("torch.utils.cpp_extension.CUDA_HOME is None", "apex, setup.py"),
    Message(
        "bare_metal_version = get_cuda_bare_metal_version(CUDA_HOME)", "flash-attn, apex: setup.py in a traceback", 0.5
    ),
    Message("--cuda_ext was requested, but nvcc was not found", "apex, setup.py"),
    Message("CUDA toolkit not found", "meson, cmake projects", 0.85),
    Message("Could not find nvcc", "cmake projects", 0.95),
    Message("Failed to find nvcc. Compiler requires the CUDA toolkit", "cmake, CMakeDetermineCUDACompiler"),
    Message("The CUDA compiler identification is unknown", "cmake", 0.7),
    Message("Cannot find cuda runtime header", "triton, cuda-python", 0.6),
    Message("cuda_runtime.h' file not found", "clang", 0.85),
    Message("'cuda.h' file not found", "clang", 0.85),
    Message("Cannot open include file: 'cuda_runtime.h'", "MSVC", 0.85),
    Message("Cannot open include file: 'cuda.h'", "MSVC", 0.85),
    Message("cannot open input file 'cudart.lib'", "MSVC's linker", 0.85),
    Message("thrust/complex.h: No such file or directory", "gcc: parts of the toolkit missing", 0.8),
    Message("nvrtc.h: No such file or directory", "gcc: parts of the toolkit missing", 0.8),
    Message("cufft.h: No such file or directory", "gcc: parts of the toolkit missing", 0.8),
    Message("nvToolsExt.h: No such file or directory", "gcc: parts of the toolkit missing", 0.6),
    Message("cannot find -lcusparse", "binutils, ld", 0.8),
    Message("cannot find -lcudart_static", "binutils, ld", 0.85),
    Message("cannot find -lnvrtc", "binutils, ld", 0.8),
    Message("bin/nvcc': No such file", "CPython, subprocess"),
    Message("bin/nvcc: not found", "dash, make"),
    Message("The nvcc binary could not be located in your $PATH", "py-faster-rcnn, lib/setup.py: locate_cuda"),
    Message("nvcc not found", "extensions' builds", 0.9),
    Message("CUDA_HOME does not exist", "deepspeed, op_builder", 0.95),
    Message("Could NOT find CUDA (missing: CUDA_", "cmake, FindCUDA", 0.95),
    Message("curand{name}.h: No such file or directory", "gcc: CUDA's headers are not on the path", 0.85),
    Message("nccl.h: No such file or directory", "gcc", 0.7),
    Message("cuda_fp8.h: No such file or directory", "gcc: none, or a toolkit before 11.8", 0.8),
    Message("Ninja is required to load C++ extensions", "torch/utils/cpp_extension.py", 0.45),
)


@diagnosis(
    "toolkit-missing",
    layer=Layer.TOOLKIT,
    severity=Severity.WARNING,
    messages=MESSAGES,
    remedy=lambda machine, _: toolkit_fixes(machine) or (SAME_VERSION,),
)
def toolkit_missing(machine: Snapshot, world: Knowledge) -> Finding | None:
    toolkit, torch = machine.toolkit, machine.torch
    said = first_said(machine, MESSAGES) or _no_such_nvcc(machine)
    if said is not None:
        there = toolkit.nvcc if toolkit else None
        where = f" There is one at {there[0].path}, which was not looked at." if there else ""
        return Finding(
            summary=f"A build needed nvcc, the CUDA compiler, and did not find it.{where}",
            evidence=(said.evidence(), *((fact("toolkit.nvcc", None),) if there == () else ())),
            fixes=toolkit_fixes(machine),
        )
    # An empty list of nvcc is known absence; the variable shows that something is meant to find it.
    if toolkit is None or toolkit.nvcc != () or not toolkit.cuda_home or (torch and torch.build not in (None, "cuda")):
        return None
    gone = toolkit.cuda_home_exists is False
    return Finding(
        summary=f"CUDA_HOME is {toolkit.cuda_home}, {'which does not exist' if gone else 'where there is no nvcc'}: "
        "building extensions will fail. Running torch is not affected.",
        evidence=(fact("toolkit.cuda_home", toolkit.cuda_home), fact("toolkit.nvcc", None)),
        fixes=toolkit_fixes(machine),
        confidence=0.8,
    )


def _no_such_nvcc(machine: Snapshot) -> Said | None:
    """Python's own words: [Errno 2] No such file or directory: '/usr/local/cuda/bin/nvcc'."""
    said = first_saying(machine, "no such file or directory: '")
    return said if said is not None and "nvcc'" in said.text else None
