"""Errors whose words are shared by several causes: the lines around them tell which one it is."""

from __future__ import annotations

import pytest

from tests.diagnosis.texts import codes


def causes(text: str) -> list[str]:
    return codes(text)


SITE = "/home/ada/venv/lib/python3.11/site-packages"
HALF = (
    "AttributeError: partially initialized module 'torch' has no attribute 'nn' (most likely due to a circular import)"
)
CUDNN8 = "Could not load library libcudnn_cnn_train.so.8. Error: "
WHEEL = "ERROR: fancy_attn-1.4.0-{tags}.whl is not a supported wheel on this platform.\n"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (HALF, "module-shadowed"),
        (f'  File "/home/ada/net/torch.py", line 3, in <module>\n    import torch\n{HALF}', "module-shadowed"),
        (
            (
                f'  File "/home/ada/net/train.py", line 1, in <module>\n    import torch\n  File "{SITE}/torch/__init__.py", '
                f'line 40, in <module>\n  File "/home/ada/net/random.py", line 2, in <module>\n{HALF}'
            ),
            "module-shadowed",
        ),
        (
            (
                f'  File "/home/ada/net/train.py", line 1, in <module>\n    import torch\n  File "{SITE}/torch/__init__.py", '
                f'line 40, in <module>\n  File "{SITE}/torch/functional.py", line 2, in <module>\n{HALF}'
            ),
            "torch-install-corrupt",
        ),
    ],
)
def test_a_module_that_is_half_imported(text: str, cause: str) -> None:
    assert causes(text)[0] == cause


def test_a_half_imported_module_of_a_package_of_ones_own_is_no_shadow() -> None:
    text = (
        "ImportError: cannot import name 'Node' from partially initialized module 'shop.types' (most likely due to a "
        "circular import) (/home/ada/shop/types.py)"
    )
    assert causes(text) == []


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("$ python --version\nPython 3.13.1\n" + WHEEL.format(tags="cp311-cp311-linux_x86_64"), "python-unsupported"),
        ("C:\\tools>pip install it.whl\n" + WHEEL.format(tags="cp311-cp311-linux_x86_64"), "platform-unsupported"),
        ("C:\\tools>pip install it.whl\n" + WHEEL.format(tags="cp311-cp311-win_amd64"), "python-unsupported"),
        ("/Users/ada/venv/bin/pip\n" + WHEEL.format(tags="cp311-abi3-manylinux_2_28_x86_64"), "platform-unsupported"),
        ("Jetson AGX Orin, aarch64\n" + WHEEL.format(tags="cp310-cp310-linux_x86_64"), "platform-unsupported"),
        ("$ uname -m\nx86_64\n" + WHEEL.format(tags="py3-none-manylinux2014_aarch64"), "platform-unsupported"),
        (WHEEL.format(tags="cp39-cp39-linux_x86_64"), "python-unsupported"),
    ],
)
def test_a_wheel_that_pip_refuses(text: str, cause: str) -> None:
    assert causes(text)[0] == cause


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("RuntimeError: CUDA error: invalid device ordinal", "visible-devices-hidden"),
        (
            (
                "$ nvidia-smi -L\nGPU 0: NVIDIA H100 (UUID: GPU-1)\n  MIG 1g.10gb Device 0: (UUID: MIG-7a)\n"
                "RuntimeError: CUDA error: invalid device ordinal"
            ),
            "mig-misconfigured",
        ),
        (
            (
                "export CUDA_VISIBLE_DEVICES=MIG-0d1c\nRuntimeError: device >= 0 && device < num_gpus INTERNAL ASSERT FAILED at "
                '"/pytorch/aten/src/ATen/cuda/CUDAContext.cpp":51, please report a bug to PyTorch.'
            ),
            "mig-misconfigured",
        ),
    ],
)
def test_a_device_that_is_not_there(text: str, cause: str) -> None:
    assert causes(text)[0] == cause


@pytest.mark.parametrize(
    "message",
    [
        "NVIDIA-SMI couldn't find libnvidia-ml.so library in your system.",
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
        "RuntimeError: Found no NVIDIA driver on your system.",
        "OSError: libcuda.so.1: cannot open shared object file: No such file or directory",
    ],
)
def test_a_driver_that_is_missed_under_wsl(message: str) -> None:
    assert causes(f"Linux box 5.15.167.4-microsoft-standard-WSL2 x86_64\n{message}")[0] == "wsl-driver-problem"
    assert "wsl-driver-problem" not in causes(message)[:1]


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("libcudnn_cnn_train.so.8: cannot open shared object file: No such file or directory", "cudnn-missing"),
        ("/opt/cudnn/lib/libcudnn_ops_train.so.8: undefined symbol: _Z9cudnnPartv, version libcudnn_ops_infer.so.8",
         "cudnn-shadowed"),
        (("/opt/cudnn/lib/libcudnn_ops_train.so.8: symbol _Z9cudnnPartv, version libcudnn_ops_infer.so.8 not defined in file "
         "libcudnn_ops_infer.so.8 with link time reference"), "cudnn-shadowed"),
    ],
)  # fmt: skip
def test_a_part_of_cudnn_that_does_not_load(error: str, cause: str) -> None:
    assert causes(CUDNN8 + error)[0] == cause


@pytest.mark.parametrize(
    ("path", "cause"),
    [
        (f"{SITE}/_torch_sox.cpython-311-darwin.so", "torchaudio-mismatch"),
        (f"{SITE}/torchvision/image.so", "torchvision-mismatch"),
        (f"{SITE}/fancy_ops/_C.cpython-311-darwin.so", "extension-abi-mismatch"),
    ],
)
def test_a_symbol_that_dyld_misses(path: str, cause: str) -> None:
    text = f"ImportError: dlopen({path}, 2): Symbol not found: __ZN3c105thingEv\n  Referenced from: {path}\n  Expected in: x"
    assert causes(text)[0] == cause


def test_a_library_of_another_torch_that_torchaudio_asks_for() -> None:
    text = (
        "      1 import torchaudio\n~/venv/lib/python3.9/site-packages/torchaudio/_extension.py in _init_extension()\n"
        "OSError: libtorch_hip.so: cannot open shared object file: No such file or directory"
    )
    assert causes(text)[0] == "torchaudio-mismatch"


def test_an_addons_kernel_that_is_called_through_torchs_dispatcher() -> None:
    text = (
        f'  File "{SITE}/fancy_attn/ops.py", line 88, in run\n    return torch.ops.fancy.run(x)\n'
        f'  File "{SITE}/torch/_ops.py", line 1061, in __call__\n    return self_._op(*args, **kwargs)\n'
        "RuntimeError: CUDA error: no kernel image is available for execution on the device"
    )
    assert causes(text)[0] == "extension-arch-missing"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (("nvcc fatal   : nvcc cannot find a supported version of Microsoft Visual Studio. Only the versions between 2017 and "
         "2022 (inclusive) are supported!"), "host-compiler-unsupported"),
        ("OSError: The nvcc binary could not be located in your $PATH. Either add it to your path, or set $CUDAHOME",
         "toolkit-missing"),
        ("ImportError: libtorch_cuda.so: undefined symbol: nvtxRangePushA", "nvidia-wheels-mismatch"),
        ('Unable to dynamically load the "cudnn" shared library - searched for library names: ["libcudnn.so"]', "cudnn-missing"),
    ],
)  # fmt: skip
def test_wordings_of_one_cause(text: str, cause: str) -> None:
    assert causes(text)[0] == cause


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("docker: Error response from daemon: failed to discover GPU vendor from CDI: no known GPU vendor found",
         "container-no-gpu"),
        ("factory.go:78] If this is a GPU node, did you set the docker default runtime to `nvidia`?", "container-no-gpu"),
        ("Uh oh. Your card is not supported by any driver version up to 550.163.01.", "driver-too-old-for-gpu"),
        ("DKMS module 'nvidia-470.256' failed to build, please check /var/lib/dkms", "driver-not-loaded"),
        ("make[2]: *** [/usr/src/linux/Makefile:1944: /var/lib/dkms/nvidia/550.1/build] Fehler 2", "driver-not-loaded"),
        ("modprobe: FATAL: Module nvidia-uvm not found in directory /lib/modules/6.8.0", "uvm-broken"),
        ("-- Could NOT find CUDA (missing: CUDA_NVCC_EXECUTABLE)", "toolkit-missing"),
        ("ptxas fatal   : Value 'sm_121a' is not defined for option 'gpu-name'", "triton-problem"),
        ("ImportError: DLL load failed while importing libtriton: The specified module could not be found.", "triton-problem"),
        ("AttributeError: module 'torch._C' has no attribute '_cuda_getCurrentRawStream'", "torch-cpu-only"),
        ("ImportError: cannot import name 'nn' from 'torch' (unknown location)", "torch-install-corrupt"),
        ("WARNING: Failed to import from vllm._C with ImportError('libcuda.so.1: cannot open shared object file')",
         "driver-missing"),
        ("Failed to compile. cc_cmd: ['D:\\py\\Lib\\site-packages\\triton\\runtime\\tcc\\tcc.exe', 'D:\\t\\cuda_utils.c']",
         "triton-problem"),
        ("Command '['C:\\VC\\bin\\cl.EXE', 'C:\\Temp\\tmp1\\cuda_utils.c', '/nologo']' returned non-zero exit status 2.",
         "triton-problem"),
        ("Because torch==2.0.1 is unusable because no wheels are available with a matching platform", "platform-unsupported"),
        ("Because torch==2.0.1 is unusable because no wheels are available with a matching Python ABI", "python-unsupported"),
        ("TypeError: argument of type 'WindowsPath' is not iterable", "extension-abi-mismatch"),
        ("Error: crun: cannot stat `/usr/lib64/libnvidia-ml.so.550.1`: No such file or directory", "container-no-gpu"),
        ("Unit nvidia-fabricmanager.service could not be found.", "fabric-manager-down"),
        ("Remapped Rows\n    Uncorrectable Error : 2\n    Pending : Yes", "gpu-hw-fault"),
        ("/usr/include/bits/floatn.h(86): error: invalid combination of type specifiers", "host-compiler-unsupported"),
        ("  File \"/Users/ada/train.py\", line 3\nAssertionError: Torch not compiled with CUDA enabled", "platform-unsupported"),
        ("The MPS backend is supported on MacOS 14.0+. Current OS version can be queried using `sw_vers`",
         "platform-unsupported"),
        ("3D controller: NVIDIA Corporation GA100\n LnkSta: Speed 16GT/s, Width x4 (downgraded)", "gpu-degraded"),
        ("  File \"/home/ada/numpy.py\", line 2, in <module>\nAttributeError: module 'numpy' has no attribute 'array'",
         "module-shadowed"),
        ("NOTE: The SHMEM allocation limit is set to the default of 64MB.\nBus error (core dumped)", "shm-too-small"),
        ("ERROR : Arch conditional MMA instruction used without targeting appropriate compute capability. Aborting.",
         "extension-arch-missing"),
        ("RuntimeError: No supported CUDA architectures found for major versions [12].", "extension-arch-missing"),
        ("NotImplementedError: No compiled cutlass_scaled_mm for a compute capability less than CUDA device capability: 121",
         "extension-arch-missing"),
        ("ImportError: /opt/x/_C.so: undefined symbol: __cudaPopCallConfiguration", "extension-abi-mismatch"),
        ("ValueError: invalid literal for int() with base 10: 'NoDevFiles'", "visible-devices-hidden"),
        ("UnboundLocalError: local variable 'cublas_path' referenced before assignment", "nvidia-wheels-mismatch"),
        ("NVRM: Xid (PCI:0000:dc:00): 45, pid=181, name=python3, Ch 00000001 caused by previous Xid 149", "gpu-hw-fault"),
        ("Python 3.12 (32-bit)\nERROR: Could not find a version that satisfies the requirement torch (from versions: none)",
         "platform-unsupported"),
    ],
)  # fmt: skip
def test_wordings_that_name_the_cause(text: str, cause: str) -> None:
    assert causes(text)[0] == cause


def test_an_out_of_memory_in_a_container_is_ones_own_by_what_torch_allocated() -> None:
    text = (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 96.00 MiB. GPU 0 has a total capacity of 23.52 GiB of "
        "which 31.19 MiB is free. Process 70112 has 23.48 GiB memory in use. Of the allocated memory {own} is allocated by "
        "PyTorch, and 210.00 MiB is reserved by PyTorch but unallocated."
    )
    assert causes(text.format(own="22.41 GiB")) == []
    assert causes(text.format(own="1.02 GiB"))[0] == "out-of-memory"


def test_a_cudnn_that_a_dump_names_is_not_missed() -> None:
    dump = "cuDNN version: C:\\cudnn\\bin\\cudnn64_9.dll\nCMake version: Could not collect\nIs CUDA available: True"
    assert "cudnn-missing" not in causes(dump)


def test_nccl_is_not_blamed_for_a_fault_of_the_program() -> None:
    failed = "what():  NCCL error in: ../torch/csrc/distributed/c10d/NCCLUtils.hpp:275, unhandled cuda error, NCCL version 2.21.5"
    assert causes(failed)[0] == "nccl-problem"
    assert causes(f"RuntimeError: CUDA error: device-side assert triggered\n{failed}") == []


@pytest.mark.parametrize(
    "text",
    [
        "NOTE: The SHMEM allocation limit is set to the default of 64MB.\nepoch 1 loss 0.3",
        (
            "RuntimeError: CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm( handle)`\n"
            "Indexing.cu:1093: block: [0,0,0], thread: [1,0,0] Assertion `srcIndex < srcSelectDimSize` failed."
        ),
        "AttributeError: module 'numpy' has no attribute 'float_'",
        "UserWarning: Failed to initialize NumPy: No module named 'numpy' (Triggered internally at tensor_numpy.cpp:84.)",
    ],
)
def test_what_looks_like_trouble_and_is_none(text: str) -> None:
    assert causes(text) == []


def test_cythons_warning_goes_behind_the_error() -> None:
    text = (
        "RuntimeWarning: numpy.dtype size changed, may indicate binary incompatibility. Expected 96, got 88\n"
        "RuntimeError: CUDA error (10): invalid device ordinal"
    )
    assert causes(text)[0] == "visible-devices-hidden"
    assert causes(text.replace("RuntimeWarning", "ValueError"))[0] == "numpy-abi-mismatch"


def test_an_unsigned_module_that_was_loaded_is_no_fault() -> None:
    assert causes("nvidia: module verification failed: signature and/or required key missing - tainting kernel") == []
