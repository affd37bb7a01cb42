"""Dumps of other tools: vLLM, sglang, detectron2, mmcv, transformers, Lightning, DeepSpeed, xformers."""

from __future__ import annotations

from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.gpu import MigInstance
from envdoctor.facts.sections.interpreter import ExtensionBuild, Interpreter, TorchDevice, TorchRun
from envdoctor.facts.sections.software import Compiler, Nvcc
from envdoctor.reading.dumps import read
from tests.reading.dumps import samples


def interpreter_of(snapshot: Snapshot) -> Interpreter:
    assert snapshot.interpreter is not None
    return snapshot.interpreter


def run_of(snapshot: Snapshot) -> TorchRun:
    assert snapshot.torch is not None
    assert snapshot.torch.run is not None
    return snapshot.torch.run


def test_vllm_with_its_sections_mig_and_environment() -> None:
    snapshot = read(samples.VLLM)
    assert snapshot.source is not None
    assert snapshot.source.startswith("vllm collect_env")
    assert snapshot.torch is not None
    assert (snapshot.torch.version, snapshot.torch.cuda) == ("2.9.0+cu128", "12.8")
    assert snapshot.gpus is not None
    assert [gpu.name for gpu in snapshot.gpus] == ["NVIDIA A100-SXM4-40GB", "NVIDIA A100-SXM4-40GB"]
    assert snapshot.gpus[0].mig_enabled is True
    assert snapshot.gpus[0].mig_instances == (MigInstance(name="3g.20gb"), MigInstance(name="3g.20gb"))
    assert snapshot.gpus[1].mig_enabled is None
    assert snapshot.environment == {
        "TORCH_CUDA_ARCH_LIST": "8.0;9.0",
        "NVIDIA_VISIBLE_DEVICES": "all",
        "CUDA_VISIBLE_DEVICES": "0,1",
        "LD_LIBRARY_PATH": "/usr/local/nvidia/lib:/usr/local/nvidia/lib64",
        "VLLM_USAGE_SOURCE": "production-docker-image",
        "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
    }
    assert snapshot.environment_complete is False  # only some variables are shown
    assert snapshot.libraries is not None
    assert snapshot.libraries.ld_library_path == ("/usr/local/nvidia/lib", "/usr/local/nvidia/lib64")
    vllm = interpreter_of(snapshot).distribution("vllm")
    assert vllm is not None
    assert vllm.version == "0.11.1"
    assert snapshot.messages == ()  # the topology is neither a fact nor a message


def test_sglang_asks_torch_for_the_devices() -> None:
    snapshot = read(samples.SGLANG)
    assert snapshot.source == "sglang check_env"
    run = run_of(snapshot)
    assert (run.cuda_available, run.device_count) == (True, 2)
    assert run.devices == (
        TorchDevice(index=0, name="NVIDIA H20", compute_capability="9.0"),
        TorchDevice(index=1, name="NVIDIA H20", compute_capability="9.0"),
    )
    assert snapshot.nvml is None  # nvidia-smi was asked for the driver's version only
    assert snapshot.driver_version == "550.127.08"
    assert snapshot.toolkit is not None
    assert snapshot.toolkit.nvcc == (
        Nvcc(path="/usr/local/cuda/bin/nvcc", version="12.4.131", found_by=("CUDA_HOME",)),
    )
    interpreter = interpreter_of(snapshot)
    assert interpreter.distribution("flashinfer-python") is not None
    assert interpreter.distribution("vllm") is None
    assert not interpreter.distributions_complete
    assert snapshot.messages == ()


def test_detectron2_tells_what_its_extension_was_built_for() -> None:
    snapshot = read(samples.DETECTRON2)
    interpreter = interpreter_of(snapshot)
    assert interpreter.extension_builds == (
        ExtensionBuild(distribution="detectron2", cuda="11.1", compiler="GCC 9.4", arch_flags=("sm_70", "sm_75")),
    )
    assert run_of(snapshot).devices == (
        TorchDevice(index=0, name="Tesla V100-SXM2-16GB", compute_capability="7.0"),
        TorchDevice(index=1, name="NVIDIA GeForce RTX 3090", compute_capability="8.6"),
    )
    assert snapshot.driver_version == "470.82.01"
    assert snapshot.toolkit is not None
    assert (snapshot.toolkit.cuda_home, snapshot.toolkit.cuda_home_exists) == ("/usr/local/cuda", False)
    assert snapshot.torch is not None
    assert snapshot.torch.location == "/opt/venv/lib/python3.8/site-packages/torch"
    torchvision = interpreter.distribution("torchvision")
    assert torchvision is not None
    assert (torchvision.version, torchvision.location) == ("0.11.2+cu111", "/opt/venv/lib/python3.8/site-packages")


def test_torchs_configuration_gives_its_architectures_and_the_cudnn_it_runs_with() -> None:
    snapshot = read(samples.DETECTRON2[samples.DETECTRON2.index("PyTorch built with") :])
    assert snapshot.source == "torch config"
    torch = snapshot.torch
    assert torch is not None
    assert (torch.version, torch.build, torch.cuda) == ("1.10.1", "cuda", "11.1")
    assert torch.arch_flags == ("sm_70", "sm_86", "compute_86")
    assert (torch.cudnn_built, torch.cxx11_abi) == ("8.0.5", False)
    assert run_of(snapshot).cudnn_version == 8005


def test_a_configuration_built_without_cuda() -> None:
    settings = "BUILD_TYPE=Release, TORCH_VERSION=2.1.0, USE_CUDA=0, USE_NCCL=OFF, "
    torch = read(f"PyTorch built with:\n  - GCC 9.3\n  - Build settings: {settings}").torch
    assert torch is not None
    assert (torch.build, torch.cuda) == ("cpu", None)


def test_detectron2_of_2019_and_newer_cards_whose_architecture_it_spells_oddly() -> None:
    snapshot = read("""\
------------------------  --------------------------------------------
sys.platform              linux
Python                    3.7.3 (default, Mar 27 2019, 22:11:17) [GCC 7.3.0]
Numpy                     1.17.2
Detectron2 Compiler       GCC 7.4
Detectron2 CUDA Compiler  10.0
detectron2 arch flags     1.2.0, 8.6
PyTorch                   1.3.0
PyTorch Debug Build       False
CUDA available            False
Pillow                    6.1.0
------------------------  --------------------------------------------
""")
    assert interpreter_of(snapshot).extension_builds == (
        ExtensionBuild(distribution="detectron2", cuda="10.0", compiler="GCC 7.4", arch_flags=("sm_120", "sm_86")),
    )
    assert run_of(snapshot).cuda_available is False
    assert run_of(snapshot).devices is None


def test_detectron2_that_cannot_see_a_gpu() -> None:
    text = samples.DETECTRON2.replace(
        "GPU available                    Yes",
        "GPU available                    No: torch.cuda.is_available() == False",
    )
    assert run_of(read(text)).cuda_available is False


def test_mmcv_with_cards_of_two_kinds_and_operators_without_cuda() -> None:
    snapshot = read(samples.MMCV)
    assert run_of(snapshot).device_count == 3
    assert [device.name for device in run_of(snapshot).devices or ()] == [
        "NVIDIA TITAN RTX",
        "NVIDIA TITAN RTX",
        "Quadro RTX 8000",
    ]
    assert interpreter_of(snapshot).extension_builds == (
        ExtensionBuild(distribution="mmcv", cuda="", compiler="GCC 7.3"),
    )
    mmdet = interpreter_of(snapshot).distribution("mmdet")
    assert mmdet is not None
    assert mmdet.version == "2.25.0+ca11860"
    assert snapshot.toolkit is not None
    assert snapshot.toolkit.compilers == (Compiler(name="gcc", version="9.4.0"),)
    assert snapshot.toolkit.nvcc is not None
    assert snapshot.toolkit.nvcc[0].version == "11.3.58"
    assert snapshot.torch is not None
    assert (snapshot.torch.version, snapshot.torch.cuda, snapshot.torch.arch_flags) == ("1.11.0", "11.3", ("sm_75",))
    assert run_of(snapshot).cudnn_version == 8200


def test_transformers_env() -> None:
    snapshot = read(samples.TRANSFORMERS)
    assert snapshot.source == "transformers env"
    assert snapshot.torch is not None
    assert (snapshot.torch.version, snapshot.torch.cuda) == ("2.8.0+cu126", "12.6")
    assert run_of(snapshot).cuda_available is True
    assert run_of(snapshot).devices == (TorchDevice(index=0, name="NVIDIA RTX 6000 Ada Generation"),)
    assert run_of(snapshot).device_count is None  # it names one of them
    assert snapshot.host is not None
    assert (snapshot.host.kernel, snapshot.host.glibc) == ("6.8.0-85-generic", "2.39")
    transformers = interpreter_of(snapshot).distribution("transformers")
    assert transformers is not None
    assert transformers.version == "4.57.1"


def test_transformers_env_of_a_cpu_build_and_of_no_torch() -> None:
    windows = "- `transformers` version: 4.30.2\n- Platform: Windows-10-10.0.19045-SP0\n"
    snapshot = read(windows + "- PyTorch version (GPU?): 2.0.1+cpu (False)\n")
    assert snapshot.torch is not None
    assert snapshot.torch.build == "cpu"
    assert run_of(snapshot).cuda_available is False
    snapshot = read(
        "- `transformers` version: 4.30.2\n- Python version: 3.11.4\n- PyTorch version (GPU?): not installed (NA)\n"
    )
    assert snapshot.torch is None
    assert interpreter_of(snapshot).torch_installed is False


def test_an_intel_accelerator_means_that_cuda_said_no() -> None:
    snapshot = read("- `transformers` version: 4.55.0\n- PyTorch version (accelerator?): 2.8.0+xpu (XPU)\n")
    assert snapshot.torch is not None
    assert snapshot.torch.build == "xpu"
    assert run_of(snapshot).cuda_available is False


def test_lightning() -> None:
    snapshot = read(samples.LIGHTNING)
    assert snapshot.source == "lightning"
    assert snapshot.torch is not None
    assert (snapshot.torch.version, snapshot.torch.build, snapshot.torch.cuda) == ("2.0.1", "cuda", "11.7")
    assert (run_of(snapshot).cuda_available, run_of(snapshot).device_count) == (True, 2)
    assert interpreter_of(snapshot).version == "3.9.16"
    assert snapshot.host is not None
    assert (snapshot.host.kernel, snapshot.host.platform) == ("5.4.0-150-generic", "linux_x86_64")


def test_deepspeeds_report() -> None:
    snapshot = read("""\
DeepSpeed general environment info:
torch install path ............... ['/opt/venv/lib/python3.10/site-packages/torch']
torch version .................... 2.1.2+cu121
deepspeed install path ........... ['/opt/venv/lib/python3.10/site-packages/deepspeed']
deepspeed info ................... 0.12.6, unknown, unknown
torch cuda version ............... 12.1
torch hip version ................ None
nvcc version ..................... 11.8
shared memory (/dev/shm) size .... 62.50 GB
""")
    assert snapshot.source == "ds_report"
    assert snapshot.torch is not None
    assert (snapshot.torch.version, snapshot.torch.cuda, snapshot.torch.location) == (
        "2.1.2+cu121",
        "12.1",
        "/opt/venv/lib/python3.10/site-packages/torch",
    )
    assert snapshot.toolkit is not None
    assert snapshot.toolkit.nvcc == (Nvcc(path="nvcc", version="11.8", found_by=("PATH",)),)
    assert snapshot.host is not None
    assert snapshot.host.shm_total == 67108864000


def test_xformers_info() -> None:
    snapshot = read("""\
xFormers 0.0.28.post3
pytorch.version:                                   2.5.1+cu124
pytorch.cuda:                                      available
gpu.compute_capability:                            8.9
gpu.name:                                          NVIDIA GeForce RTX 4060
build.cuda_version:                                1204
build.torch_version:                               2.5.1+cu124
build.env.TORCH_CUDA_ARCH_LIST:                    6.0+PTX 7.0 9.0a
""")
    assert interpreter_of(snapshot).extension_builds == (
        ExtensionBuild(
            distribution="xformers",
            cuda="12.4",
            arch_flags=("sm_60", "compute_60", "sm_70", "sm_90a"),
            torch="2.5.1+cu124",
        ),
    )
    assert run_of(snapshot).devices == (TorchDevice(index=0, name="NVIDIA GeForce RTX 4060", compute_capability="8.9"),)


def test_several_formats_in_one_paste_are_merged() -> None:
    snapshot = read(f"{samples.NEW}\n\n$ nvidia-smi\n{samples.SMI}\n\n{samples.SGLANG}")
    assert snapshot.source == "collect_env+sglang check_env+nvidia-smi"
    assert snapshot.gpus is not None
    assert [gpu.name for gpu in snapshot.gpus] == ["NVIDIA L40S", "NVIDIA L40S"]  # the list of GPUs has whole names
    assert [gpu.memory_total for gpu in snapshot.gpus] == [81920 * 1024**2, 81920 * 1024**2]
    assert snapshot.torch is not None
    assert snapshot.torch.version == "2.8.0+cu128"
    assert interpreter_of(snapshot).distribution("sglang") is not None


def test_sglang_that_asks_for_cuda_at_all_has_a_cuda_build() -> None:
    torch = read(
        "Python: 3.9.16 (main, Mar  8 2023, 14:00:05) [GCC 11.2.0]\nCUDA available: False\nPyTorch: 2.0.1\nsglang: 0.1\n"
    ).torch
    assert torch is not None
    assert torch.build == "cuda"
    torch = read(
        "Python: 3.9.16 (main, Mar  8 2023) [GCC 11.2.0]\nROCM available: True\nPyTorch: 2.8.0\nsglang: 0.4.9\n"
    ).torch
    assert torch is not None
    assert torch.build == "rocm"


def test_windows_paths_stay_windows_paths() -> None:
    text = samples.MMCV.replace("linux", "win32").replace("/usr/local/cuda-11.3", "C:\\CUDA\\v11.3")
    snapshot = read(text)
    assert snapshot.toolkit is not None
    assert snapshot.toolkit.nvcc is not None
    assert snapshot.toolkit.nvcc[0].path == "C:\\CUDA\\v11.3\\bin\\nvcc"
    assert snapshot.host is not None
    assert snapshot.host.system == "Windows"
