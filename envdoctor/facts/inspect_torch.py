"""Imports torch and uses it, and says at every step what is known so far: the next step may never return.

Runs inside the target through inspect_target.py; standard library only, Python 3.8 and later, any torch since 1.0. After the
import it does next to nothing on a machine without a GPU, so that the whole takes the time of the import.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

MOST_DEVICES = 16
MOST_FRAMES = 6
# Warnings that are for developers; everything else may say why CUDA does not work.
UNINTERESTING = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning, SyntaxWarning)
# Beginnings of the libraries that decide whether CUDA works, and which of several copies does.
LIBRARIES = (
    "libcuda", "libcudart", "libcudnn", "libcublas", "libcufft", "libcufile", "libcupti", "libcurand", "libcusolver",
    "libcusparse", "libnccl", "libnvrtc", "libnvJitLink", "libnvToolsExt", "libnvshmem", "libnvidia", "libcaffe2_nvrtc",
    "libgomp", "libiomp5", "libomp", "libmkl", "libopenblas", "libstdc++", "libgcc_s", "libc.so", "libtorch", "libc10",
    "libamdhip64", "libtriton", "libmagma",
)  # fmt: skip


def inspect(say: Callable[..., None], seconds: float) -> None:
    """`seconds`: after these the parent ends this process."""
    faulthandler.enable(file=2)
    # Where it hangs is worth more than that it hangs; this works while C code holds the interpreter.
    faulthandler.dump_traceback_later(seconds * 0.95, file=2)
    report = Report(say)
    torch = report.imported()
    if torch is not None:
        report.builds(torch)
        report.mapped()
        if report.availability(torch):
            report.properties(torch)
            report.computation(torch)
            report.mapped()
        else:
            report.cudnn_of(report.mapped() or [], torch)
        report.numpy(torch)
        report.torchvision(torch)
    say(end=True)
    # A shutdown that crashes (torch's static destructors do) says nothing about work, and takes time.
    os._exit(0)


def text_of(error: BaseException) -> str:
    """An exception's own words, without the C++ stack that some builds append."""
    words = str(error).partition("\nException raised from")[0].strip()
    return "%s: %s" % (type(error).__name__, words) if words else type(error).__name__


def story_of(error: BaseException) -> str:
    """Where an exception came from and what it says. The traceback module may be what PYTHONPATH hides."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename != "<envdoctor>" and not code.co_filename.startswith("<frozen importlib"):
            frames.append('File "%s", line %d, in %s' % (code.co_filename, trace.tb_lineno, code.co_name))
        trace = trace.tb_next
    cause = error.__cause__
    return "\n".join(frames[-MOST_FRAMES:] + ([text_of(cause)] if cause is not None else []) + [text_of(error)])


class Report:
    """Says the facts of one import of torch."""

    def __init__(self, say: Callable[..., None]) -> None:
        self.say = say

    def fact(self, name: str, ask: Callable[[], Any], failure: str | None = None) -> Any:
        """Says what `ask` returns; where it fails (an old torch lacks the name) that stays unknown, and `failure` says why."""
        try:
            value = ask()
        except Exception as error:
            if failure is not None:
                self.say(**{failure: text_of(error)})
            return None
        self.say(**{name: value})
        return value

    def imported(self) -> Any:
        """The module; None where the import failed."""
        self.say(stage="import")
        started = time.perf_counter()
        try:
            self.listen()
            torch = __import__("torch")
            seconds = time.perf_counter() - started
            if getattr(torch, "__version__", None) is None:
                where = getattr(torch, "__file__", None) or list(getattr(torch, "__path__", ()))
                raise ModuleNotFoundError(  # noqa: TRY301
                    "torch is a folder without torch in it: %s" % where, name="torch"
                )
        except BaseException as error:
            self.say(
                error=story_of(error),
                error_type=type(error).__name__,
                missing=getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None,
            )
            return None
        self.say(seconds=round(seconds, 4), version=str(torch.__version__), file=getattr(torch, "__file__", None))
        return torch

    def listen(self) -> None:
        """Says every warning as it is given, for the step that gave it may not return."""
        import warnings

        warnings.simplefilter("always")

        def show(message: Any, category: Any, *where: Any, **more: Any) -> None:
            if not issubclass(category, UNINTERESTING):
                self.say(warning=str(message).strip())

        warnings.showwarning = show

    def builds(self, torch: Any) -> None:
        for name in ("cuda", "hip", "xpu", "debug", "git_version"):
            if hasattr(torch.version, name):
                self.say(**{name: getattr(torch.version, name)})
        self.fact("arch_flags", lambda: (torch._C._cuda_getArchFlags() or "").split())
        self.fact("cxx11_abi", lambda: bool(torch._C._GLIBCXX_USE_CXX11_ABI))
        self.fact("cudnn_built", lambda: ".".join(map(str, torch._C._cudnn.getCompileVersion())))
        self.fact("nccl_version", lambda: ".".join(map(str, nccl_version(torch))))
        self.fact("mps_available", lambda: torch.backends.mps.is_available())

    def availability(self, torch: Any) -> bool | None:
        self.say(stage="is_available")
        self.listen()  # some packages silence all warnings when they are imported
        available: bool | None = self.fact("cuda_available", lambda: bool(torch.cuda.is_available()), "cuda_error")
        self.fact("device_count", lambda: torch.cuda.device_count())
        self.fact("xpu_available", lambda: bool(torch.xpu.is_available()))
        if available is False and (getattr(torch.version, "cuda", None) or getattr(torch.version, "hip", None)):
            try:
                torch.cuda.init()
            except Exception as error:
                self.say(cuda_error=text_of(error))
        return available

    def mapped(self) -> list[str] | None:
        mapped = mapped_libraries()
        if mapped is not None:
            self.say(mapped=mapped)
        return mapped

    def cudnn_of(self, mapped: list[str], torch: Any) -> None:
        """The version of cuDNN where no GPU can be used."""
        cudnn = [path for path in mapped if os.path.basename(path).startswith("libcudnn.so")]
        # Asking cuDNN makes it load 130 MB, a tenth of the import's time. The wheel that the library comes from answers as
        # well, unless there are two, of which one has overwritten the other.
        wheels = wheels_of_cudnn(cudnn[0]) if len(cudnn) == 1 else []
        if len(wheels) == 1:
            self.say(cudnn_wheel=wheels[0])
        else:
            self.cudnn(torch)

    def cudnn(self, torch: Any) -> None:
        if getattr(torch.version, "hip", None) is None:  # there it is MIOpen's version
            self.fact("cudnn_version", lambda: torch.backends.cudnn.version(), "cudnn_error")

    def properties(self, torch: Any) -> None:
        self.say(stage="properties")
        devices = []
        for index in range(min(torch.cuda.device_count(), MOST_DEVICES)):
            try:
                found = torch.cuda.get_device_properties(index)
                devices.append(
                    {
                        "index": index,
                        "name": found.name,
                        "compute_capability": "%d.%d" % (found.major, found.minor),
                        "memory_total": found.total_memory,
                        "multiprocessors": getattr(found, "multi_processor_count", None),
                    }
                )
            except Exception as error:
                devices.append({"index": index})
                self.say(cuda_error="cuda:%d: %s" % (index, text_of(error)))
            self.say(devices=devices)
        self.cudnn(torch)

    def computation(self, torch: Any) -> None:
        """A product of small integers, which every precision gets exactly right, and a convolution through cuDNN."""
        self.say(stage="computation")
        count = min(torch.cuda.device_count(), MOST_DEVICES)
        for name, compute in (("computation", product), ("cudnn_convolution", convolution)):
            if name == "cudnn_convolution" and not self.fact(
                "cudnn_available", lambda: torch.backends.cudnn.is_available()
            ):
                continue
            outcome = "ok"
            for index in range(count):
                self.say(device=index)
                one = attempt(compute, torch, "cuda:%d" % index)
                if one != "ok" and outcome == "ok":
                    outcome = one if count == 1 or one == "wrong" else "cuda:%d: %s" % (index, one)
            self.say(**{name: outcome})

    def numpy(self, torch: Any) -> None:
        """Shares a tensor with NumPy; older releases of torch look for its ABI only then, newer ones when imported."""
        self.say(stage="numpy")
        try:
            __import__("numpy")
        except ModuleNotFoundError:
            return
        except Exception as error:
            self.say(numpy=text_of(error))
            return
        try:
            torch.zeros(1).numpy()
            self.say(numpy="ok")
        except Exception as error:
            self.say(numpy=text_of(error))

    def torchvision(self, torch: Any) -> None:
        """Loads torchvision's operators, which fails when they were built for another torch; importing all of it takes 2 s."""
        library = library_of_torchvision()
        if library is None:
            return
        self.say(stage="torchvision")
        try:
            torch.ops.load_library(library)
            self.say(torchvision="ok")
        except Exception as error:
            # torch says no more than that it could not load the library; the loader's words are the cause.
            self.say(torchvision=text_of(error.__cause__ or error))
            return
        self.fact("torchvision_cuda", lambda: int(torch.ops.torchvision._cuda_version()))


def library_of_torchvision() -> str | None:
    for folder in sys.path:
        package = os.path.join(folder, "torchvision")
        if os.path.isfile(os.path.join(package, "__init__.py")):
            names = ("_C_stable.so", "_C.so", "_C_stable.pyd", "_C.pyd")
            return next((p for p in (os.path.join(package, name) for name in names) if os.path.exists(p)), None)
    return None


def attempt(compute: Callable[..., bool], torch: Any, device: str) -> str:
    try:
        return "ok" if compute(torch, device) else "wrong"
    except Exception as error:
        return text_of(error)


def product(torch: Any, device: str) -> bool:
    left = (torch.arange(64 * 64) % 7 - 3).reshape(64, 64)
    right = (torch.arange(64 * 64) % 5 - 2).reshape(64, 64)
    exact = torch.mm(left.double(), right.double())
    found = torch.mm(left.float().to(device), right.float().to(device))
    return bool(torch.equal(found.cpu().round().long(), exact.round().long()))


def convolution(torch: Any, device: str) -> bool:
    image = (torch.arange(3 * 16 * 16) % 7 - 3).float().reshape(1, 3, 16, 16)
    weight = (torch.arange(8 * 3 * 3 * 3) % 5 - 2).float().reshape(8, 3, 3, 3)
    # On the CPU in double precision; rounded, for cuDNN may choose an algorithm that multiplies by fractions.
    exact = torch.nn.functional.conv2d(image.double(), weight.double(), padding=1)
    found = torch.nn.functional.conv2d(image.to(device), weight.to(device), padding=1)
    return bool(torch.equal(found.cpu().round().long(), exact.round().long()))


def nccl_version(torch: Any) -> tuple[int, ...]:
    """The NCCL that the loader bound, as (2, 30, 7); raises where the build has none."""
    version: int | tuple[int, ...] = torch.cuda.nccl.version()
    if not isinstance(version, int):
        return version
    # As NCCL counts, before torch 1.10: 2708 for 2.7.8, and 20906 for 2.9.6.
    major = 1000 if version < 10000 else 10000
    return version // major, version % major // 100, version % 100


def mapped_libraries() -> list[str] | None:
    """The files of the libraries that the loader mapped; None where the system does not tell."""
    try:
        with open("/proc/self/maps", "rb") as maps:
            lines = maps.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return None
    paths: dict[str, None] = {}
    for line in lines:
        path = line[line.find("/") :] if "/" in line else ""
        if path.rpartition("/")[2].startswith(LIBRARIES):
            paths[path] = None
    return list(paths)


def wheels_of_cudnn(library: str) -> list[str]:
    """Names of the cuDNN wheels' metadata beside nvidia/cudnn/lib/libcudnn.so.9."""
    site, found, _ = library.rpartition("/nvidia/cudnn/")
    if not found:
        return []
    try:
        return [
            entry for entry in os.listdir(site) if entry.startswith("nvidia_cudnn") and entry.endswith(".dist-info")
        ]
    except OSError:
        return []
