"""A good many machines to try properties on: healthy ones told in full, and ones that break in many ways."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from envdoctor.facts.model import ProbeReport, Snapshot
from envdoctor.facts.sections.driver import (
    DeviceNode,
    DkmsState,
    Driver,
    DriverLibrary,
    FabricManager,
    KernelModule,
    ModuleFile,
    Package,
)
from envdoctor.facts.sections.gpu import CudaDevice, CudaDriver, Gpu, GpuProcess, NvLink, Nvml
from envdoctor.facts.sections.host import Container, Host, LinuxDistribution, LogLine, Logs, PciDevice
from envdoctor.facts.sections.interpreter import (
    BrokenPin,
    CondaPackage,
    Duplicate,
    ExtensionBuild,
    Interpreter,
    MappedLibrary,
    ShadowedModule,
    Torch,
    TorchDevice,
    TorchRun,
)
from envdoctor.facts.sections.interpreter import Distribution as Installed
from envdoctor.facts.sections.software import Compiler, Libraries, LibraryFile, Nvcc, Toolkit
from tests.diagnosis.snapshots import FLAGS_2_15, KERNEL

VERSION = "580.159.04"
SITE = "/home/ada/venv/lib/python3.12/site-packages"
SYSTEM = "/usr/lib/x86_64-linux-gnu"
WITHOUT_TORCH = Interpreter(
    executable="/home/ada/venv/bin/python", version="3.12.3", distributions=(), torch_installed=False
)


def healthy() -> dict[str, Snapshot]:
    """Machines on which nothing is wrong, with as many facts as a live look gives."""
    workstation = computing(1, "NVIDIA GeForce RTX 4090", "2684", "8.9")
    server = computing(8, "NVIDIA H100 80GB HBM3", "2330", "9.0")
    return {
        "workstation": workstation,
        "two old cards": computing(2, "Tesla T4", "1eb8", "7.5"),
        "NVSwitch server": _with_fabric(server),
        "container": _in_container(server),
        "torch not imported": replace(workstation, interpreter=_interpreter(None)),
        "another torch": replace(workstation, interpreter=_interpreter(_run(1, workstation), version="2.9.1+cu128")),
        "toolkit of the same CUDA": replace(workstation, toolkit=_toolkit("13.2.51")),
        "WSL": _wsl(workstation),
        "CPU only": _cpu(workstation),
    }


def computing(
    number: int, name: str, device: str, capability: str, version: str = "2.15.0+cu132", flags: str = FLAGS_2_15
) -> Snapshot:
    """A machine whose `number` GPUs torch computes on; `flags`: what that torch has code for."""
    gpus = tuple(_gpu(index, name, device, capability) for index in range(number))
    bare = Snapshot(
        source="live",
        created="2026-11-23T10:00:00+00:00",
        host=Host(
            system="Linux", architecture="x86_64", kernel=KERNEL, glibc="2.39", libstdcxx="3.4.33", wsl=0,
            distribution=LinuxDistribution(id="ubuntu", version_id="24.04", codename="noble", like=("debian",)),
            os_name="Ubuntu 24.04.3 LTS", virtualization="none", cpu_model="AMD EPYC 9454", cpu_count=96, cpu_usable=96,
            memory_total=512 << 30, memory_available=400 << 30, shm_total=256 << 30, shm_free=256 << 30, disk_free=1 << 40,
            root=False, groups=("ada", "video", "render"),
        ),
        pci=tuple(
            PciDevice(
                address=f"0000:{index + 1:02x}:00.0", vendor="10de", device=device, class_code="030200", driver="nvidia",
                link_speed_gts=16.0, link_speed_max_gts=16.0, link_width=16, link_width_max=16, numa_node=0,
            ) for index in range(number)
        ),
        driver=_driver(number),
        nvml=Nvml(
            source="nvml", library=f"{SYSTEM}/libnvidia-ml.so.1", status="SUCCESS", status_code=0, driver_version=VERSION,
            cuda_version="13.0", nvml_version=f"13.{VERSION}", gpus=gpus,
        ),
        cuda_driver=CudaDriver(
            library=f"{SYSTEM}/libcuda.so.1", library_missing=False, init_code=0, init_name="CUDA_SUCCESS", version="13.0",
            device_count=number, outcome="ok",
            devices=tuple(
                CudaDevice(index=g.index, name=name, compute_capability=capability, memory_total=80 << 30, uuid=g.uuid)
                for g in gpus
            ),
        ),
        toolkit=Toolkit(nvcc=(), cuda_home="", compilers=_compilers(), ninja="/usr/bin/ninja"),
        libraries=Libraries(
            files=(
                LibraryFile(name="libcuda", path=f"{SYSTEM}/libcuda.so.1", version=VERSION, via="ld.so.cache"),
                LibraryFile(name="libstdc++", path=f"{SYSTEM}/libstdc++.so.6", version="6.0.33", via="ld.so.cache"),
            ),
            ld_library_path=(), ld_preload=(),
        ),
        container=Container(kind="none", kubernetes=False, slurm=False, toolkit_version="", docker_runtimes=(), cdi_specs=()),
        logs=Logs(
            readable=True,
            lines=(LogLine(text=f"NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  {VERSION}", source="journalctl"),),
        ),
        environment={"PATH": "/home/ada/venv/bin:/usr/bin", "VIRTUAL_ENV": "/home/ada/venv"},
        probes=(ProbeReport(name="nvml", outcome="ok", seconds=0.1),),
    )  # fmt: skip
    return replace(bare, interpreter=_interpreter(_run(number, bare), version, flags))


def _gpu(index: int, name: str, device: str, capability: str) -> Gpu:
    return Gpu(
        index=index, name=name, uuid=f"GPU-0000000{index}-1111-2222-3333-444444444444", pci_device=device,
        pci_address=f"0000:{index + 1:02x}:00.0", compute_capability=capability, lost=False, memory_total=80 << 30,
        memory_used=1 << 30, memory_free=79 << 30, bar1_total=128 << 30, sm_clock=1980, sm_clock_max=1980, memory_clock=2619,
        memory_clock_max=2619, performance_state=0, throttle_reasons=("gpu_idle",), utilization=0, power_draw=70.0,
        power_limit=700.0, power_limit_default=700.0, power_limit_min=200.0, power_limit_max=700.0, temperature=35,
        temperature_slowdown=95, ecc_enabled=True, ecc_pending=True, ecc_uncorrected_volatile=0, ecc_uncorrected_aggregate=0,
        ecc_corrected_volatile=0, rows_remapped_correctable=0, rows_remapped_uncorrectable=0, row_remap_pending=False,
        row_remap_failed=False, pcie_generation=4, pcie_generation_max=4, pcie_generation_gpu_max=4, pcie_width=16,
        pcie_width_max=16, mig_enabled=False, mig_pending=False, compute_mode="default", persistence_mode=True,
        processes=(GpuProcess(pid=4242, name="/usr/bin/Xorg", memory=100 << 20, kind="graphics"),),
        nvlinks=(NvLink(link=0, active=True, version=4, errors=0),), fabric_state="not_supported",
    )  # fmt: skip


def _driver(number: int) -> Driver:
    nodes = ("nvidiactl", "nvidia-uvm", *(f"nvidia{index}" for index in range(number)))
    return Driver(
        module=KernelModule(
            loaded=True, version=VERSION, flavour="open", uvm_loaded=True, modeset_loaded=True, peermem_loaded=False,
            nouveau_loaded=False, blacklisted=False, nouveau_blacklisted=True,
        ),
        module_files=(
            ModuleFile(
                path=f"/lib/modules/{KERNEL}/updates/nvidia.ko", kernel=KERNEL, version=VERSION, flavour="open", signer="",
            ),
        ),
        kernel_headers=True,
        dkms=(DkmsState(version=VERSION, kernel=KERNEL, state="installed"),),
        packages=(Package(name="nvidia-driver-580-open", version=f"{VERSION}-0ubuntu1"),),
        libraries=(
            DriverLibrary(name="libcuda.so.1", path=f"{SYSTEM}/libcuda.so.1", version=VERSION),
            DriverLibrary(name="libnvidia-ml.so.1", path=f"{SYSTEM}/libnvidia-ml.so.1", version=VERSION),
        ),
        device_nodes=tuple(
            DeviceNode(path=f"/dev/{node}", exists=True, readable=True, writable=True, mode="0666", owner="root", group="root")
            for node in nodes
        ),
        secure_boot=False,
        fabric_manager=FabricManager(needed=False, installed=False, running=False),
        persistenced_running=True,
    )  # fmt: skip


def _compilers() -> tuple[Compiler, ...]:
    return (
        Compiler(name="gcc", path="/usr/bin/gcc", version="13.3.0"),
        Compiler(name="g++", path="/usr/bin/g++", version="13.3.0"),
    )


def _toolkit(version: str) -> Toolkit:
    nvcc = Nvcc(path="/usr/local/cuda/bin/nvcc", version=version, found_by=("PATH", "CUDA_HOME"))
    return Toolkit(
        nvcc=(nvcc,), cuda_home="/usr/local/cuda", cuda_home_exists=True, compilers=_compilers(), ninja="/usr/bin/ninja"
    )


def _run(number: int, machine: Snapshot) -> TorchRun:
    return TorchRun(
        outcome="ok", seconds=1.4, cuda_available=True, device_count=number, computation="ok", cudnn_convolution="ok",
        torchvision="ok", nccl_version="2.28.9",
        devices=tuple(
            TorchDevice(index=g.index, name=g.name, compute_capability=g.compute_capability, memory_total=79 << 30)
            for g in machine.gpus or ()
        ),
        mapped=(
            MappedLibrary(name="libcuda", path=f"{SYSTEM}/libcuda.so.1", version=VERSION),
            MappedLibrary(name="libstdc++", path=f"{SYSTEM}/libstdc++.so.6", version="6.0.33"),
        ),
    )  # fmt: skip


def _interpreter(run: TorchRun | None, version: str = "2.15.0+cu132", flags: str = FLAGS_2_15) -> Interpreter:
    variant = version.partition("+cu")[2]
    return Interpreter(
        executable="/home/ada/venv/bin/python", chosen_by="VIRTUAL_ENV", version="3.12.3", implementation="cpython",
        machine="x86_64", bits=64, free_threaded=False, prefix="/home/ada/venv", base_prefix="/usr", environment="venv",
        externally_managed=False, pip=True, sys_path=(SITE,), user_site="", broken_pins=(), duplicates=(), leftovers=(),
        shadowed=(),
        conda_packages=None, extension_builds=(),
        distributions=(
            Installed(name="torch", version=version, location=SITE, installer="pip", tag="cp312-cp312-manylinux_2_28_x86_64"),
            Installed(name="numpy", version="2.3.1", location=SITE, installer="pip", tag="cp312-cp312-manylinux_2_28_x86_64"),
        ),
        torch_installed=True,
        torch=Torch(
            version=version, location=f"{SITE}/torch", build="cuda" if variant else "cpu", debug=False,
            cuda=f"{variant[:-1]}.{variant[-1]}" if variant else None,
            arch_flags=tuple(flags.split()), cxx11_abi=True, run=run,
        ),
    )  # fmt: skip


def _with_fabric(server: Snapshot) -> Snapshot:
    assert server.driver and server.nvml and server.nvml.gpus and server.pci
    manager = FabricManager(needed=True, installed=True, version=VERSION, running=True)
    gpus = tuple(replace(gpu, fabric_state="completed", fabric_status="success") for gpu in server.nvml.gpus)
    switch = PciDevice(
        address="0000:c0:00.0", vendor="10de", device="22a3", class_code="068000", driver="nvidia-nvswitch"
    )
    return replace(
        server,
        pci=(*server.pci, switch),
        driver=replace(server.driver, fabric_manager=manager),
        nvml=replace(server.nvml, gpus=gpus),
    )


def _in_container(server: Snapshot) -> Snapshot:
    assert server.driver and server.environment is not None
    return replace(
        server,
        container=Container(kind="docker", kubernetes=False, slurm=False, toolkit_version="1.18.0"),
        driver=replace(server.driver, module_files=None, dkms=None, packages=()),
        environment={
            **server.environment,
            "NVIDIA_VISIBLE_DEVICES": "all",
            "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
        },
        logs=Logs(readable=False),
    )


def _wsl(workstation: Snapshot) -> Snapshot:
    assert workstation.host and workstation.nvml and workstation.cuda_driver
    library = "/usr/lib/wsl/lib/libcuda.so.1"
    return replace(
        workstation,
        host=replace(workstation.host, wsl=2, kernel="6.6.87.2-microsoft-standard-WSL2", virtualization="wsl"),
        pci=(),
        driver=Driver(
            module=KernelModule(loaded=False),
            libraries=(DriverLibrary(name="libcuda.so.1", path=library),),
            device_nodes=(DeviceNode(path="/dev/dxg", exists=True, readable=True, writable=True),),
        ),
        cuda_driver=replace(workstation.cuda_driver, library=library),
        libraries=Libraries(files=(LibraryFile(name="libcuda", path=library, via="ld.so.cache"),)),
        nvml=replace(workstation.nvml, driver_version="581.57"),
    )


def _cpu(workstation: Snapshot) -> Snapshot:
    assert workstation.interpreter and workstation.interpreter.torch
    torch = replace(
        workstation.interpreter.torch,
        version="2.15.0+cpu",
        build="cpu",
        cuda=None,
        arch_flags=(),
        run=TorchRun(outcome="ok", cuda_available=False),
    )
    return replace(
        workstation,
        pci=(),
        driver=Driver(module=KernelModule(loaded=False), libraries=(), device_nodes=(), packages=()),
        nvml=Nvml(status="LIBRARY_NOT_FOUND"),
        cuda_driver=CudaDriver(library_missing=True, outcome="ok"),
        libraries=Libraries(files=(), ld_library_path=(), ld_preload=()),
        logs=Logs(readable=True),
        interpreter=replace(
            workstation.interpreter, torch=torch, distributions=(Installed(name="torch", version="2.15.0+cpu"),)
        ),
    )


def machines() -> dict[str, Snapshot]:
    """The healthy ones, and the workstation with one thing or another wrong."""
    good = healthy()
    base = good["workstation"]
    python, driver, nvml = base.interpreter, base.driver, base.nvml
    assert (
        base.host and python and python.torch and driver and driver.module and nvml and nvml.gpus and base.cuda_driver
    )

    torch, first = python.torch, nvml.gpus[0]

    def failing(**run: Any) -> Snapshot:
        failed = replace(torch, run=TorchRun(**{"outcome": "ok", "cuda_available": False, **run}))
        return replace(base, interpreter=replace(python, torch=failed))

    def card(**fields: Any) -> Snapshot:
        return replace(base, nvml=replace(nvml, gpus=(replace(first, **fields),)))

    return {
        **good,
        "no driver": replace(base, driver=Driver(module=KernelModule(loaded=False), libraries=(), packages=()),
                             nvml=Nvml(status="LIBRARY_NOT_FOUND"), cuda_driver=CudaDriver(library_missing=True)),
        "not loaded": replace(base, driver=replace(driver, module=replace(driver.module, loaded=False, nouveau_loaded=True)),
                              nvml=Nvml(status="DRIVER_NOT_LOADED"), cuda_driver=CudaDriver(init_code=100, outcome="ok")),
        "mixed driver": replace(base, nvml=Nvml(status="LIB_RM_VERSION_MISMATCH"), cuda_driver=CudaDriver(init_code=803)),
        "old driver": replace(base, driver=replace(driver, module=replace(driver.module, version="470.82.01"))),
        "error 999": replace(base, cuda_driver=CudaDriver(init_code=999, init_name="CUDA_ERROR_UNKNOWN", outcome="ok")),
        "error 802": replace(good["NVSwitch server"], cuda_driver=CudaDriver(init_code=802, outcome="ok")),
        "lost": replace(card(lost=True), logs=Logs(readable=True, lines=(LogLine(text="NVRM: Xid 79", xid=79),))),
        "MIG": card(mig_enabled=True, mig_instances=()),
        "exclusive": card(compute_mode="prohibited"),
        "full": card(memory_used=80 << 30, memory_free=0),
        "faulty": card(ecc_uncorrected_volatile=3, row_remap_failed=True),
        "slow": card(pcie_width=1, throttle_reasons=("hw_thermal_slowdown",), power_limit=200.0),
        "too new": replace(card(name="NVIDIA X", compute_capability="13.0"), cuda_driver=None),
        "hidden": replace(base, environment={"CUDA_VISIBLE_DEVICES": "-1"}),
        "paths": replace(base, environment={"LD_LIBRARY_PATH": "/usr/local/cuda-11/lib64", "CUDA_HOME": "/x", "LD_PRELOAD": "/y"},
                         toolkit=_toolkit("11.8.89")),
        "denied": replace(base, driver=replace(driver, device_nodes=tuple(
            replace(node, readable=False, writable=False, error="EACCES") for node in driver.device_nodes or ()))),
        "compat": replace(base, cuda_driver=replace(
            base.cuda_driver, library="/usr/local/cuda/compat/libcuda.so.1", init_code=804)),
        "no torch": replace(base, interpreter=WITHOUT_TORCH),
        "CPU build": replace(base, interpreter=_interpreter(TorchRun(outcome="ok"), version="2.15.0+cpu")),
        "import error": failing(outcome="import-error", error="ImportError: libcudnn.so.9: cannot open shared object file",
                                error_type="ImportError", stage="import"),
        "crash": failing(outcome="crash", signal="SIGSEGV", stage="computation"),
        "undefined symbol": failing(outcome="import-error", error="ImportError: /x/libtorch.so: undefined symbol: ncclCommInit"),
        "conv fails": failing(
            cuda_available=True, computation="ok", cudnn_convolution="CUDNN_STATUS_NOT_INITIALIZED", cudnn_version=8907),
        "messy environment": replace(base, interpreter=replace(
            python,
            broken_pins=(BrokenPin(distribution="torch", requirement="nvidia-cudnn-cu13==9.26.0.1", installed="9.1"),),
            duplicates=(Duplicate(name="torch", versions=("2.15.0", "2.1.0"), locations=(SITE, "/x")),),
            shadowed=(ShadowedModule(module="torch", path="/home/ada/torch.py"),), leftovers=("~orch",),
            conda_packages=(CondaPackage(name="mkl", version="2025.0"),),
            extension_builds=(ExtensionBuild(distribution="xformers", cuda="11.8", torch="2.0.0", arch_flags=("sm_70",)),),
            distributions=(*(python.distributions or ()), Installed(name="torchvision", version="0.15.2", build="0.15.2+cu117"),
                           Installed(name="torchaudio", version="2.0.1"), Installed(name="triton", version="2.0.0"),
                           Installed(name="numpy", version="1.19"), Installed(name="flash-attn", version="2.5.8")))),
        "small shm": replace(good["container"], host=replace(base.host, shm_total=64 << 20, shm_free=64 << 20)),
        "old system": replace(base, host=replace(base.host, glibc="2.17", libstdcxx="3.4.19")),
        "nothing known": Snapshot(),
    }  # fmt: skip


_LINUX = """\
Collecting environment information...
PyTorch version: 2.8.0+cu128
Is debug build: False
CUDA used to build PyTorch: 12.8
ROCM used to build PyTorch: N/A

OS: Ubuntu 22.04.5 LTS (x86_64)
GCC version: (Ubuntu 11.4.0-1ubuntu1~22.04) 11.4.0
Clang version: Could not collect
CMake version: version 3.22.1
Libc version: glibc-2.35

Python version: 3.11.9 (main, Apr  6 2024, 17:59:24) [GCC 11.4.0] (64-bit runtime)
Python platform: Linux-6.5.0-35-generic-x86_64-with-glibc2.35
Is CUDA available: True
CUDA runtime version: 12.8.93
CUDA_MODULE_LOADING set to: LAZY
GPU models and configuration: GPU 0: NVIDIA RTX A6000
Nvidia driver version: 570.133.20
cuDNN version: Could not collect
HIP runtime version: N/A
MIOpen runtime version: N/A
Is XNNPACK available: True

Versions of relevant libraries:
[pip3] numpy==2.1.2
[pip3] nvidia-cublas-cu12==12.8.4.1
[pip3] nvidia-cudnn-cu12==9.10.2.21
[pip3] torch==2.8.0+cu128
[pip3] torchaudio==2.8.0+cu128
[pip3] torchvision==0.23.0+cu128
[pip3] triton==3.4.0
[conda] Could not collect
"""
_SMI = """\
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI 570.133.20             Driver Version: 570.133.20     CUDA Version: 12.8     |
|-----------------------------------------+------------------------+----------------------+
| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |
| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |
|                                         |                        |               MIG M. |
|=========================================+========================+======================|
|   0  NVIDIA RTX A6000               On  |   00000000:01:00.0 Off |                  Off |
| 30%   34C    P8             22W /  300W |      12MiB /  49140MiB |      0%      Default |
|                                         |                        |                  N/A |
+-----------------------------------------+------------------------+----------------------+
+-----------------------------------------------------------------------------------------+
| Processes:                                                                              |
|  GPU   GI   CI              PID   Type   Process name                        GPU Memory |
|=========================================================================================|
|  No running processes found                                                             |
+-----------------------------------------------------------------------------------------+
"""
_WINDOWS = """\
PyTorch version: 2.5.1+cu124
Is debug build: False
CUDA used to build PyTorch: 12.4
ROCM used to build PyTorch: N/A

OS: Microsoft Windows 11 Pro (10.0.22631 64-bit)
GCC version: Could not collect
Libc version: N/A

Python version: 3.11.9 (tags/v3.11.9:de54cf5, Apr  2 2024, 10:12:12) [MSC v.1938 64 bit (AMD64)] (64-bit runtime)
Python platform: Windows-10-10.0.22631-SP0
Is CUDA available: True
CUDA runtime version: Could not collect
GPU models and configuration: GPU 0: NVIDIA GeForce RTX 3080
Nvidia driver version: 566.36
cuDNN version: Could not collect

Versions of relevant libraries:
[pip3] numpy==1.26.4
[pip3] torch==2.5.1+cu124
[pip3] torchvision==0.20.1+cu124
[conda] Could not collect
"""
_OLD = """\
PyTorch version: 1.4.0
Is debug build: No
CUDA used to build PyTorch: 10.1

OS: Ubuntu 18.04.5 LTS
GCC version: (Ubuntu 7.5.0-3ubuntu1~18.04) 7.5.0
CMake version: version 3.10.2

Python version: 3.7
Is CUDA available: Yes
CUDA runtime version: 10.1.243
GPU models and configuration: GPU 0: GeForce GTX 1080 Ti
Nvidia driver version: 450.80.02
cuDNN version: Could not collect

Versions of relevant libraries:
[pip3] numpy==1.18.5
[pip3] torch==1.4.0
[pip3] torchvision==0.5.0
[conda] Could not collect
"""
_PIP = """\
Package            Version
------------------ -----------
numpy              2.1.2
torch              2.8.0
triton             3.4.0
"""


def healthy_dumps() -> dict[str, str]:
    """What people paste from machines on which torch works."""
    return {
        "collect_env": _LINUX,
        "collect_env and nvidia-smi": f"{_LINUX}\n{_SMI}",
        "Windows": _WINDOWS,
        "old torch": _OLD,
        "nvidia-smi": _SMI,
        "nvidia-smi and pip list": f"{_SMI}\n{_PIP}",
    }
