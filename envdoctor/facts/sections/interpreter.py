"""The target Python interpreter and what is installed in it, statically and as it behaves when torch is imported."""

from __future__ import annotations

from envdoctor.facts.sections.base import Exact, Facts


class Distribution(Facts, frozen=True, kw_only=True):
    """An installed distribution of interest: torch's family, nvidia-*, numpy, and what requires torch or an nvidia-* wheel."""

    name: Exact
    """Normalised (PEP 503)."""
    version: Exact | None = None
    location: str | None = None
    """The folder that holds its metadata."""
    installer: Exact | None = None
    """pip, uv, conda, poetry, ... from INSTALLER."""
    requires: tuple[str, ...] = ()
    """Requires-Dist lines that apply here and name a distribution of interest: markers evaluated, and of the extras only those
    that another requirement here asks for (torch asks for cuda-toolkit[cublas,...])."""
    origin: str | None = None
    """The URL or path of direct_url.json, for installs from a file, a folder or version control."""
    editable: bool = False
    tag: Exact | None = None
    """A tag of its wheel: 'cp311-cp311-manylinux_2_28_x86_64'."""
    build: Exact | None = None
    """What the version.py of torchvision or torchaudio says, with the build's variant: '0.29.2+cu132'."""
    missing_files: tuple[str, ...] = ()
    """Files of its RECORD that are not there, at most ten (checked for torch and the libraries it loads only)."""
    damaged_files: tuple[str, ...] = ()
    """Shared libraries whose size is not that of RECORD, at most ten, with both sizes: truncated, or another wheel's."""


class BrokenPin(Facts, frozen=True, kw_only=True):
    """A requirement that the environment does not meet."""

    distribution: Exact
    requirement: str
    installed: Exact | None = None
    """The version that is there; None when the distribution is not installed at all."""


class Duplicate(Facts, frozen=True, kw_only=True):
    """A distribution that is installed more than once on sys.path; the first is the one that Python imports."""

    name: Exact
    versions: tuple[Exact, ...]
    locations: tuple[str, ...]


class ShadowedModule(Facts, frozen=True, kw_only=True):
    """A file or folder that hides a real module of that name from programs started in the current folder or by PYTHONPATH."""

    module: str
    path: str


class CondaPackage(Facts, frozen=True, kw_only=True):
    """A package of the conda environment, from conda-meta."""

    name: Exact
    version: Exact
    build: Exact | None = None
    channel: str | None = None


class TorchDevice(Facts, frozen=True, kw_only=True):
    """A device as torch sees it."""

    index: int
    name: Exact | None = None
    compute_capability: Exact | None = None
    memory_total: int | None = None
    multiprocessors: int | None = None


class MappedLibrary(Facts, frozen=True, kw_only=True):
    """A shared library really mapped after the import, from /proc/self/maps."""

    name: Exact
    """The soname's stem: libcudart, libcudnn, libnccl, libcublas, libcuda, libgomp, libiomp5, libmkl_core, libstdc++, ..."""
    path: str
    version: Exact | None = None
    distribution: Exact | None = None
    """The distribution whose RECORD lists the file; None where none that was looked at does."""


class TorchRun(Facts, frozen=True, kw_only=True):
    """What happened when the target interpreter imported torch and used it, in a child with a time limit."""

    outcome: Exact
    """'ok', 'import-error', 'crash' (a signal or exit code), 'timeout', 'garbage' (no answer could be read)."""
    error: str | None = None
    """The exception's last lines, or the end of stderr."""
    error_type: Exact | None = None
    signal: Exact | None = None
    exit_code: int | None = None
    seconds: float | None = None
    """Of `import torch` alone."""
    stage: Exact | None = None
    """What was under way when it ended badly: import, is_available, properties, computation."""
    cuda_available: bool | None = None
    cuda_error: str | None = None
    """What torch.cuda.init() raises where CUDA is not available in a GPU build, or the error of a device's properties."""
    warnings: tuple[str, ...] = ()
    """Texts of the warnings that torch gave, each once."""
    device_count: int | None = None
    """As torch.cuda.device_count() gives it: newer releases count by NVML, so it may be 1 where CUDA is not available."""
    devices: tuple[TorchDevice, ...] | None = None
    computation: str | None = None
    """'ok' when a tiny CUDA computation gave the right numbers, 'wrong' when it gave others, else the error's text."""
    cudnn_version: int | None = None
    """As torch.backends.cudnn.version() gives it: 92600 for 9.26.0, 8907 for 8.9.7."""
    cudnn_error: str | None = None
    """What asking for that version raised: another cuDNN than torch was compiled with is on the loader's path."""
    cudnn_convolution: str | None = None
    """The same as `computation`, for a small convolution through cuDNN."""
    numpy: str | None = None
    """'ok' when a tensor became a NumPy array, else the error's text; None where NumPy is not installed or it was not tried."""
    torchvision: str | None = None
    """'ok' when torchvision's compiled operators loaded into this torch, else the loader's text or how the process ended."""
    nccl_version: Exact | None = None
    mapped: tuple[MappedLibrary, ...] | None = None
    stderr: str | None = None
    """The end of what the libraries themselves wrote to stderr while all this went well."""
    mps_available: bool | None = None
    xpu_available: bool | None = None


class Torch(Facts, frozen=True, kw_only=True):
    """The torch that this interpreter imports."""

    version: Exact | None = None
    """With its local part: '2.15.0+cu132'."""
    location: str | None = None
    """The package folder."""
    build: Exact | None = None
    """'cuda', 'cpu', 'rocm', 'xpu' (macOS builds are 'cpu'), from torch/version.py."""
    cuda: Exact | None = None
    """The CUDA version it was built with, '13.2'; None where it is not a CUDA build or not known (see `build`)."""
    hip: Exact | None = None
    debug: bool | None = None
    git_version: Exact | None = None
    arch_flags: tuple[Exact, ...] | None = None
    """torch._C._cuda_getArchFlags(): ('sm_80', 'sm_90', 'compute_90')."""
    cudnn_built: Exact | None = None
    """The cuDNN that the build pins or was compiled with."""
    cxx11_abi: bool | None = None
    run: TorchRun | None = None
    """None where torch was not imported (--fast)."""

    @property
    def release(self) -> str | None:
        """The public version, without the local part: '2.15.0'."""
        return None if self.version is None else self.version.partition("+")[0]


class ExtensionBuild(Facts, frozen=True, kw_only=True):
    """How a compiled extension was built, as it says itself."""

    distribution: Exact
    """Normalised name: detectron2, torchvision, mmcv, xformers."""
    cuda: Exact | None = None
    """The CUDA version of its compiler, '10.2'; '' when it was built without CUDA."""
    compiler: Exact | None = None
    """The host compiler: 'GCC 7.5'."""
    arch_flags: tuple[Exact, ...] | None = None
    """The GPU code inside: ('sm_70', 'sm_75')."""
    torch: Exact | None = None
    """The torch that it was built against."""


class Interpreter(Facts, frozen=True, kw_only=True):
    """A Python interpreter and its environment."""

    executable: str | None = None
    chosen_by: str | None = None
    """--python, VIRTUAL_ENV, CONDA_PREFIX or PATH."""
    error: str | None = None
    """Why it could not be inspected."""
    version: Exact | None = None
    implementation: Exact | None = None
    machine: Exact | None = None
    bits: int | None = None
    free_threaded: bool | None = None
    prefix: str | None = None
    base_prefix: str | None = None
    environment: str | None = None
    """venv, conda, system or other."""
    externally_managed: bool | None = None
    pip: bool | None = None
    """Whether pip is installed in it."""
    sys_path: tuple[str, ...] | None = None
    user_site: str | None = None
    """The user site folder when it is on sys.path; '' when it is not."""
    distributions: tuple[Distribution, ...] | None = None
    distributions_complete: bool = True
    """False where only some were listed (a dump): then one that is in neither list, pip's or conda's, is unknown."""
    broken_pins: tuple[BrokenPin, ...] | None = None
    duplicates: tuple[Duplicate, ...] | None = None
    leftovers: tuple[str, ...] | None = None
    """What an interrupted pip left on sys.path: '~orch' folders, and *.dist-info folders without METADATA."""
    shadowed: tuple[ShadowedModule, ...] | None = None
    conda_packages: tuple[CondaPackage, ...] | None = None
    extension_builds: tuple[ExtensionBuild, ...] | None = None
    torch: Torch | None = None
    """None where torch is not installed or not known: `torch_installed` tells which."""
    torch_installed: bool | None = None

    def distribution(self, name: str) -> Distribution | None:
        """The installed distribution of this normalised name, the one that wins on sys.path."""
        return next((d for d in self.distributions or () if d.name == name), None)
