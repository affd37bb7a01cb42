# ruff: noqa: E501, W291
"""Dumps of machines that do not exist, in the layouts of the tools that print them."""

from __future__ import annotations

# torch 1.1 to 1.6: booleans as Yes/No, two numbers of Python, no platform lines.
OLD = """\
Collecting environment information...
PyTorch version: 1.4.0
Is debug build: No
CUDA used to build PyTorch: 10.1

OS: Ubuntu 18.04.5 LTS
GCC version: (Ubuntu 7.5.0-3ubuntu1~18.04) 7.5.0
CMake version: version 3.10.2

Python version: 3.7
Is CUDA available: No
CUDA runtime version: 10.0.130
GPU models and configuration: 
GPU 0: GeForce GTX 1080 Ti
GPU 1: GeForce GTX 1080 Ti

Nvidia driver version: 410.79
cuDNN version: Probably one of the following:
/usr/lib/x86_64-linux-gnu/libcudnn.so.7.6.5
/usr/local/cuda-10.0/lib64/libcudnn.so.7.4.2

Versions of relevant libraries:
[pip3] numpy==1.18.5
[pip3] torch==1.4.0
[pip3] torchvision==0.5.0
[conda] blas                      1.0                         mkl  
[conda] pytorch                   1.4.0           py3.7_cuda10.1.243_cudnn7.6.3_0    pytorch
"""

# torch 2.x on Linux.
NEW = """\
Collecting environment information...
PyTorch version: 2.8.0+cu128
Is debug build: False
CUDA used to build PyTorch: 12.8
ROCM used to build PyTorch: N/A

OS: Rocky Linux 9.4 (Blue Onyx) (x86_64)
GCC version: (GCC) 11.4.1 20231218 (Red Hat 11.4.1-3)
Clang version: Could not collect
CMake version: version 3.26.5
Libc version: glibc-2.34

Python version: 3.12.4 (main, Jun  7 2024, 10:14:22) [GCC 11.4.1] (64-bit runtime)
Python platform: Linux-5.14.0-427.el9.x86_64-x86_64-with-glibc2.34
Is CUDA available: True
CUDA runtime version: 12.6.77
CUDA_MODULE_LOADING set to: LAZY
GPU models and configuration: 
GPU 0: NVIDIA L40S
GPU 1: NVIDIA L40S

Nvidia driver version: 570.86.15
cuDNN version: Could not collect
Is XPU available: False
HIP runtime version: N/A
MIOpen runtime version: N/A
Is XNNPACK available: True

CPU:
Architecture:                       x86_64
CPU op-mode(s):                     32-bit, 64-bit
CPU(s):                             96
On-line CPU(s) list:                0-95
Vendor ID:                          AuthenticAMD
Model name:                         AMD EPYC 9454 48-Core Processor
Thread(s) per core:                 2
Flags:                              fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36
Hypervisor vendor:                  KVM
Virtualization type:                full
NUMA node0 CPU(s):                  0-95
Vulnerability Meltdown:             Not affected

Versions of relevant libraries:
[pip3] numpy==2.1.2
[pip3] nvidia-cublas-cu12==12.8.4.1
[pip3] nvidia-cudnn-cu12==9.10.2.21
[pip3] torch==2.8.0+cu128
[pip3] torchvision==0.23.0+cu128
[pip3] triton==3.4.0
[conda] Could not collect
"""

WINDOWS = """\
PyTorch version: 2.3.1
Is debug build: False
CUDA used to build PyTorch: Could not collect
ROCM used to build PyTorch: N/A

OS: Microsoft Windows 11 Pro (10.0.22631 64-bit)
GCC version: (x86_64-win32-seh-rev0, Built by MinGW-W64 project) 8.1.0
Clang version: Could not collect
CMake version: Could not collect
Libc version: N/A

Python version: 3.11.9 (tags/v3.11.9:de54cf5, Apr  2 2024, 10:12:12) [MSC v.1938 64 bit (AMD64)] (64-bit runtime)
Python platform: Windows-10-10.0.22631-SP0
Is CUDA available: False
CUDA runtime version: 12.5.40
Build cuda_12.5.r12.5/compiler.34177558_0
CUDA_MODULE_LOADING set to: N/A
GPU models and configuration: GPU 0: NVIDIA GeForce RTX 4070
Nvidia driver version: 555.85
cuDNN version: C:\\Program Files\\NVIDIA GPU Computing Toolkit\\CUDA\\v12.5\\bin\\cudnn_ops_infer64_8.dll
HIP runtime version: N/A
MIOpen runtime version: N/A
Is XNNPACK available: True

CPU:
Architecture=9
CurrentClockSpeed=3400
Name=AMD Ryzen 7 5800X3D 8-Core Processor
ProcessorType=3

Versions of relevant libraries:
[pip3] numpy==1.26.4
[pip3] torch==2.3.1
[conda] Could not collect
"""

MACOS = """\
PyTorch version: 2.4.0
Is debug build: False
CUDA used to build PyTorch: None
ROCM used to build PyTorch: N/A

OS: macOS 14.6 (arm64)
GCC version: Could not collect
Clang version: 15.0.0 (clang-1500.3.9.4)
CMake version: Could not collect
Libc version: N/A

Python version: 3.11.4 (v3.11.4:d2340ef257, Jun  6 2023, 19:15:51) [Clang 13.0.0 (clang-1300.0.29.30)] (64-bit runtime)
Python platform: macOS-14.6-arm64-arm-64bit
Is CUDA available: False
CUDA runtime version: No CUDA
CUDA_MODULE_LOADING set to: N/A
GPU models and configuration: No CUDA
Nvidia driver version: No CUDA
cuDNN version: No CUDA
HIP runtime version: N/A
MIOpen runtime version: N/A
Is XNNPACK available: True

CPU:
Apple M2 Pro

Versions of relevant libraries:
[pip3] numpy==2.0.1
[pip3] torch==2.4.0
[conda] No relevant packages
"""

# torch 2.15: ROCm's line became two.
NEWEST_ROCM = """\
PyTorch version: 2.15.0+rocm7.14
Is debug build: False
CUDA used to build PyTorch: N/A
ROCm SDK used to build PyTorch: 7.14.0
HIP used to build PyTorch: 7.14.25411-3f1c4b8d

OS: Ubuntu 24.04.3 LTS (x86_64)
Libc version: glibc-2.39

Python version: 3.12.3 (main, Aug 14 2025, 17:47:21) [GCC 13.3.0] (64-bit runtime)
Python platform: Linux-6.8.0-79-generic-x86_64-with-glibc2.39
Is CUDA available: True
CUDA runtime version: Could not collect
GPU models and configuration: AMD Instinct MI300X (gfx942:sramecc+:xnack-)
Nvidia driver version: Could not collect
HIP runtime version: 7.14.25411
Is XNNPACK available: True
Caching allocator config: N/A
"""

VLLM = """\
Collecting environment information...
==============================
        System Info
==============================
OS                           : Ubuntu 22.04.5 LTS (x86_64)
GCC version                  : (Ubuntu 11.4.0-1ubuntu1~22.04) 11.4.0
Clang version                : Could not collect
CMake version                : version 3.31.6
Libc version                 : glibc-2.35

==============================
       PyTorch Info
==============================
PyTorch version              : 2.9.0+cu128
Is debug build               : False
CUDA used to build PyTorch   : 12.8
ROCM used to build PyTorch   : N/A

==============================
      Python Environment
==============================
Python version               : 3.12.11 (main, Jun  4 2025, 08:56:18) [GCC 11.4.0] (64-bit runtime)
Python platform              : Linux-6.8.0-60-generic-x86_64-with-glibc2.35

==============================
       CUDA / GPU Info
==============================
Is CUDA available            : True
CUDA runtime version         : 12.8.93
CUDA_MODULE_LOADING set to   : 
GPU models and configuration : 
GPU 0: NVIDIA A100-SXM4-40GB
  MIG 3g.20gb     Device  0:
  MIG 3g.20gb     Device  1:
GPU 1: NVIDIA A100-SXM4-40GB

Nvidia driver version        : 570.133.20
cuDNN version                : Probably one of the following:
/usr/lib/x86_64-linux-gnu/libcudnn.so.9.8.0
/usr/lib/x86_64-linux-gnu/libcudnn_ops.so.9.8.0
HIP runtime version          : N/A
MIOpen runtime version       : N/A
Is XNNPACK available         : True

==============================
          CPU Info
==============================
Architecture:                         x86_64
CPU(s):                               64
Model name:                           Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz

==============================
Versions of relevant libraries
==============================
[pip3] flashinfer-python==0.4.1
[pip3] numpy==2.2.6
[pip3] torch==2.9.0
[conda] Could not collect

==============================
         vLLM Info
==============================
ROCM Version                 : Could not collect
vLLM Version                 : 0.11.1
vLLM Build Flags:
  CUDA Archs: 8.0;9.0; ROCm: Disabled
GPU Topology:
  \tGPU0\tGPU1\tNIC0\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID
GPU0\t X \tNV12\tSYS\t0-31\t0\t\tN/A
GPU1\tNV12\t X \tSYS\t0-31\t0\t\tN/A
NIC0\tSYS\tSYS\t X 

Legend:

  X    = Self
  SYS  = Connection traversing PCIe as well as the SMP interconnect between NUMA nodes (e.g., QPI/UPI)
  NV#  = Connection traversing a bonded set of # NVLinks

NIC Legend:

  NIC0: mlx5_0

==============================
     Environment Variables
==============================
NVIDIA_VISIBLE_DEVICES=all
CUDA_VISIBLE_DEVICES=0,1
LD_LIBRARY_PATH=/usr/local/nvidia/lib:/usr/local/nvidia/lib64
VLLM_USAGE_SOURCE=production-docker-image
PYTORCH_NVML_BASED_CUDA_CHECK=1
"""

SGLANG = """\
Python: 3.10.12 (main, Feb  4 2025, 14:57:36) [GCC 11.4.0]
CUDA available: True
GPU 0,1: NVIDIA H20
GPU 0,1 Compute Capability: 9.0
CUDA_HOME: /usr/local/cuda
NVCC: Cuda compilation tools, release 12.4, V12.4.131
CUDA Driver Version: 550.127.08
PyTorch: 2.7.1+cu126
sglang: 0.4.9
sgl_kernel: 0.2.4
flashinfer_python: 0.2.7.post1
triton: 3.3.1
numpy: 2.3.1
vllm: Module Not Found
NVIDIA Topology: 
\tGPU0\tGPU1\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID
GPU0\t X \tNV18\t0-95\t0\t\tN/A
GPU1\tNV18\t X \t0-95\t0\t\tN/A

Legend:

  X    = Self

Hypervisor vendor: KVM
ulimit soft: 1048576
"""

DETECTRON2 = """\
-------------------------------  -------------------------------------------------------------------
sys.platform                     linux
Python                           3.8.10 (default, Nov 26 2021, 20:14:08) [GCC 9.3.0]
numpy                            1.22.0
detectron2                       0.6 @/opt/venv/lib/python3.8/site-packages/detectron2
Compiler                         GCC 9.4
CUDA compiler                    CUDA 11.1
detectron2 arch flags            7.0, 7.5
DETECTRON2_ENV_MODULE            <not set>
PyTorch                          1.10.1+cu111 @/opt/venv/lib/python3.8/site-packages/torch
PyTorch debug build              False
GPU available                    Yes
GPU 0                            Tesla V100-SXM2-16GB (arch=7.0)
GPU 1                            NVIDIA GeForce RTX 3090 (arch=8.6)
Driver version                   470.82.01
CUDA_HOME                        /usr/local/cuda - invalid!
TORCH_CUDA_ARCH_LIST             7.0;7.5
Pillow                           9.0.0
torchvision                      0.11.2+cu111 @/opt/venv/lib/python3.8/site-packages/torchvision
torchvision arch flags           /opt/venv/lib/python3.8/site-packages/torchvision/_C.so; cannot find cuobjdump
fvcore                           0.1.5.post20211023
cv2                              4.5.5
-------------------------------  -------------------------------------------------------------------
PyTorch built with:
  - GCC 7.3
  - C++ Version: 201402
  - Intel(R) Math Kernel Library Version 2020.0.0 Product Build 20191122 for Intel(R) 64 architecture applications
  - OpenMP 201511 (a.k.a. OpenMP 4.5)
  - CPU capability usage: AVX2
  - CUDA Runtime 11.1
  - NVCC architecture flags: -gencode;arch=compute_70,code=sm_70;-gencode;arch=compute_86,code=sm_86;-gencode;arch=compute_86,code=compute_86
  - CuDNN 8.0.5
  - Magma 2.5.2
  - Build settings: BLAS_INFO=mkl, BUILD_TYPE=Release, CUDA_VERSION=11.1, CUDNN_VERSION=8.0.5, CXX_FLAGS= -D_GLIBCXX_USE_CXX11_ABI=0 -O2, TORCH_VERSION=1.10.1, USE_CUDA=ON, USE_NCCL=ON, USE_OPENMP=ON, 

"""

MMCV = """\
sys.platform: linux
Python: 3.7.13 (default, Mar 29 2022, 02:18:16) [GCC 7.5.0]
CUDA available: True
numpy_random_seed: 2147483648
GPU 0,1: NVIDIA TITAN RTX
GPU 2: Quadro RTX 8000
CUDA_HOME: /usr/local/cuda-11.3
NVCC: Cuda compilation tools, release 11.3, V11.3.58
GCC: gcc (Ubuntu 9.4.0-1ubuntu1~20.04.1) 9.4.0
PyTorch: 1.11.0
PyTorch compiling details: PyTorch built with:
  - GCC 7.3
  - C++ Version: 201402
  - CUDA Runtime 11.3
  - NVCC architecture flags: -gencode;arch=compute_75,code=sm_75
  - CuDNN 8.2

TorchVision: 0.12.0
OpenCV: 4.5.5
MMCV: 1.5.0
MMCV Compiler: GCC 7.3
MMCV CUDA Compiler: not available
MMDetection: 2.25.0+ca11860
"""

TRANSFORMERS = """\
Copy-and-paste the text below in your GitHub issue and FILL OUT the two last points.

- `transformers` version: 4.57.1
- Platform: Linux-6.8.0-85-generic-x86_64-with-glibc2.39
- Python version: 3.11.13
- Huggingface_hub version: 0.35.3
- Safetensors version: 0.6.2
- Accelerate version: 1.10.1
- Accelerate config: \tnot found
- DeepSpeed version: not installed
- PyTorch version (accelerator?): 2.8.0+cu126 (CUDA)
- Tensorflow version (GPU?): not installed (NA)
- Using distributed or parallel set-up in script?: <fill in>
- Using GPU in script?: <fill in>
- GPU type: NVIDIA RTX 6000 Ada Generation
"""

LIGHTNING = """\
<details>
  <summary>Current environment</summary>

* CUDA:
\t- GPU:
\t\t- Tesla T4
\t\t- Tesla T4
\t- available:         True
\t- version:           11.7
* Lightning:
\t- lightning:         2.0.9
\t- torch:             2.0.1
\t- torchmetrics:      1.1.2
\t- torchvision:       0.15.2
* Packages:
\t- numpy:             1.24.3
\t- triton:            2.0.0
* System:
\t- OS:                Linux
\t- architecture:
\t\t- 64bit
\t\t- ELF
\t- processor:         x86_64
\t- python:            3.9.16
\t- release:           5.4.0-150-generic
\t- version:           #167~18.04.1-Ubuntu SMP Wed May 24 00:51:42 UTC 2023

</details>
"""

SMI = """\
Tue Mar 11 09:14:02 2025       
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI 550.144.03             Driver Version: 550.144.03     CUDA Version: 12.4     |
|-----------------------------------------+------------------------+----------------------+
| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |
| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |
|                                         |                        |               MIG M. |
|=========================================+========================+======================|
|   0  NVIDIA A100-SXM4-80GB          On  |   00000000:07:00.0 Off |                    0 |
| N/A   34C    P0             63W /  400W |   71234MiB /  81920MiB |     97%   E. Process |
|                                         |                        |             Disabled |
+-----------------------------------------+------------------------+----------------------+
|   1  NVIDIA A100-SXM4-80GB          On  |   00000000:0F:00.0 Off |                   12 |
| N/A   31C    P0             60W /  400W |       4MiB /  81920MiB |      0%      Default |
|                                         |                        |              Enabled |
+-----------------------------------------+------------------------+----------------------+

+-----------------------------------------------------------------------------------------+
| MIG devices:                                                                            |
+------------------+----------------------------------+-----------+-----------------------+
| GPU  GI  CI  MIG |                     Memory-Usage |        Vol|        Shared         |
|      ID  ID  Dev |                       BAR1-Usage | SM     Unc| CE ENC  DEC  OFA  JPG |
|==================+==================================+===========+=======================|
|  1    1   0   0  |              20MiB / 40192MiB    | 42      0 |  3   0    2    0    0 |
|                  |                 0MiB / 65535MiB  |           |                       |
+------------------+----------------------------------+-----------+-----------------------+

+-----------------------------------------------------------------------------------------+
| Processes:                                                                              |
|  GPU   GI   CI        PID   Type   Process name                              GPU Memory |
|        ID   ID                                                               Usage      |
|=========================================================================================|
|    0   N/A  N/A     41873      C   /opt/conda/bin/python                       71216MiB |
|    0   N/A  N/A      2211      G   /usr/lib/xorg/Xorg                                N/A |
+-----------------------------------------------------------------------------------------+
"""

SMI_610 = """\
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI 610.43.02              KMD Version: 610.43.02     CUDA UMD Version: 13.3     |
+-----------------------------------------+------------------------+----------------------+
| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |
| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |
|                                         |                        |               MIG M. |
|=========================================+========================+======================|
|   0  NVIDIA GeForce RTX 5090        Off |   00000000:01:00.0  On |                  N/A |
|  0%   41C    P8             18W /  575W |     812MiB /  32607MiB |      3%      Default |
|                                         |                        |                  N/A |
+-----------------------------------------+------------------------+----------------------+

+-----------------------------------------------------------------------------------------+
| Processes:                                                                              |
|  No running processes found                                                             |
+-----------------------------------------------------------------------------------------+
"""

SMI_2014 = """\
+------------------------------------------------------+                       
| NVIDIA-SMI 331.62     Driver Version: 331.62         |                       
|-------------------------------+----------------------+----------------------+
| GPU  Name        Persistence-M| Bus-Id        Disp.A | Volatile Uncorr. ECC |
| Fan  Temp  Perf  Pwr:Usage/Cap|         Memory-Usage | GPU-Util  Compute M. |
|===============================+======================+======================|
|   0  GeForce GTX 680     Off  | 0000:03:00.0     N/A |                  N/A |
| 30%   35C  N/A     N/A /  N/A |      9MiB /  4095MiB |     N/A      Default |
+-------------------------------+----------------------+----------------------+
"""

LAYOUTS = {
    "old": OLD,
    "new": NEW,
    "windows": WINDOWS,
    "macos": MACOS,
    "rocm": NEWEST_ROCM,
    "vllm": VLLM,
    "sglang": SGLANG,
    "detectron2": DETECTRON2,
    "mmcv": MMCV,
    "transformers": TRANSFORMERS,
    "lightning": LIGHTNING,
    "smi": SMI,
    "smi 610": SMI_610,
    "smi 2014": SMI_2014,
}
