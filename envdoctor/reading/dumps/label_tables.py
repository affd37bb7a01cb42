"""The table of labels: what the collecting tools call the same thing. Layouts that differ only in words need nothing else."""

from __future__ import annotations

import re

# Label (lower case, single spaces) -> canonical name. From torch/utils/collect_env.py of torch 1.0 to 2.15 and vLLM's copy.
COLLECT_ENV: dict[str, str] = {
    "pytorch version": "torch.version",
    "torch version": "torch.version",
    "is debug build": "torch.debug",
    "cuda used to build pytorch": "torch.cuda",
    "rocm used to build pytorch": "torch.hip",
    "hip used to build pytorch": "torch.hip",
    "rocm sdk used to build pytorch": "torch.rocm",
    "xpu used to build pytorch": "torch.xpu",
    "os": "os",
    "gcc version": "gcc",
    "clang version": "clang",
    "cmake version": "ignored",
    "libc version": "libc",
    "python version": "python",
    "python platform": "platform",
    "is cuda available": "torch.cuda_available",
    "cuda available": "torch.cuda_available",
    "is xpu available": "torch.xpu_available",
    "is mps available": "torch.mps_available",
    "is mps (metal performance shader) built": "ignored",
    "cuda runtime version": "nvcc",
    "cuda_module_loading set to": "ignored",
    "gpu models and configuration": "gpus",
    "nvidia driver version": "driver",
    "cudnn version": "cudnn",
    "hip runtime version": "ignored",
    "miopen runtime version": "ignored",
    "is xnnpack available": "xnnpack",
    "caching allocator config": "allocator",
    "versions of relevant libraries": "libraries",
    "cpu": "cpu",
    "intel gpu driver version": "intel",
    "intel gpu models onboard": "intel",
    "intel gpu models detected": "intel",
    # vLLM
    "rocm version": "ignored",
    "neuron sdk version": "ignored",
    "vllm version": "vllm",
    "vllm build flags": "build flags",
    "gpu topology": "topology",
    "nvidia topology": "topology",
    "amd topology": "topology",
    "xpu runtime version": "ignored",
    "intel gpu models": "ignored",
    "oneapi compiler version": "ignored",
    "sycl compiler build": "ignored",
    "oneccl version": "ignored",
    "lmcache version": "ignored",
    "lmcache build flags": "build flags",
}  # fmt: skip

# Only torch's script and its copies say these; the rest of the table is also what people write by hand.
DISTINCTIVE = frozenset(
    (
        "is debug build", "cuda used to build pytorch", "rocm used to build pytorch", "is cuda available",
        "cuda runtime version", "cuda_module_loading set to", "nvidia driver version", "is xnnpack available",
        "versions of relevant libraries", "libc version", "python platform", "hip used to build pytorch",
    )
)  # fmt: skip

# detectron2, mmcv/mmengine and sglang: `torch` is what these tools import and ask.
TABLE: dict[str, str] = {
    "sys.platform": "sys.platform",
    "python": "python",
    "cuda available": "torch.cuda_available",
    "gpu available": "torch.cuda_available",
    "rocm available": "torch.rocm_available",
    "pytorch": "torch.version",
    "pytorch version": "torch.version",
    "pytorch debug build": "torch.debug",
    "torch._c._glibcxx_use_cxx11_abi": "torch.abi",
    "cuda_home": "cuda_home",
    "rocm_home": "rocm_home",
    "nvcc": "nvcc",
    "hipcc": "ignored",
    "driver version": "driver",
    "cuda driver version": "driver",
    "cuda driver versions": "driver",
    "rocm driver version": "ignored",
    "gcc": "gcc",
    "msvc": "msvc",
    "compiler": "detectron2.compiler",
    "compiler ($cxx)": "cxx",
    "cuda compiler": "detectron2.cuda",
    "detectron2 compiler": "detectron2.compiler",
    "detectron2 cuda compiler": "detectron2.cuda",
    "detectron2 arch flags": "detectron2.arch",
    "detectron2": "detectron2",
    "detectron2._c": "detectron2._C",
    "detectron2_env_module": "ignored",
    "torch_cuda_arch_list": "env.TORCH_CUDA_ARCH_LIST",
    "torchvision": "torchvision",
    "torchvision arch flags": "torchvision.arch",
    "torchvision._c": "ignored",
    "numpy": "numpy",
    "pillow": "pillow",
    "cv2": "ignored",
    "fvcore": "fvcore",
    "iopath": "iopath",
    "opencv": "ignored",
    "mmcv": "mmcv",
    "mmcv compiler": "mmcv.compiler",
    "mmcv cuda compiler": "mmcv.cuda",
    "mmengine": "mmengine",
    "mmdetection": "mmdet",
    "mmdetection compiler": "mmdet.compiler",
    "mmdetection cuda compiler": "mmdet.cuda",
    "mmsegmentation": "mmsegmentation",
    "mmpose": "mmpose",
    "mmpretrain": "mmpretrain",
    "mmaction2": "mmaction2",
    "mmdet3d": "mmdet3d",
    "mmdetection3d": "mmdet3d",
    "mmclassification": "mmcls",
    "numpy_random_seed": "ignored",
    "musa available": "ignored",
    "supa available": "ignored",
    "hypervisor vendor": "ignored",
    "ulimit soft": "ignored",
    "sglang": "sglang",
}  # fmt: skip

TABLE_PACKAGES = frozenset(
    (
        "numpy", "pillow", "fvcore", "iopath", "mmcv", "mmengine", "mmdet", "mmsegmentation", "mmpose", "mmpretrain",
        "mmaction2", "mmdet3d", "mmcls", "sglang", "torchvision", "detectron2",
    )
)  # fmt: skip

# `transformers env`, `accelerate env`, `diffusers-cli env`, DeepSpeed's ds_report, xformers.info, fastai's show_install.
REPORT: dict[str, str] = {
    "pytorch version (gpu?)": "torch.version(gpu)",
    "pytorch version (accelerator?)": "torch.version(gpu)",
    "pytorch version (gpu)": "torch.version(gpu)",
    "platform": "platform",
    "python version": "python",
    "pytorch version": "torch.version",
    "pytorch xpu available": "torch.xpu_available",
    "gpu type": "gpu.type",
    "accelerator": "gpu.type",
    "system ram": "memory",
    "cuda version": "ignored",
    "nvidia driver version": "driver",
    "torch version": "torch.version",
    "torch cuda version": "torch.cuda",
    "torch hip version": "torch.hip",
    "torch install path": "torch.location",
    "nvcc version": "nvcc",
    "deepspeed info": "deepspeed",
    "shared memory (/dev/shm) size": "shm",
    "deepspeed wheel compiled w.": "deepspeed.built",
    "pytorch.version": "torch.version",
    "pytorch.cuda": "torch.cuda_available",
    "gpu.compute_capability": "gpu.capability",
    "gpu.name": "gpu.type",
    "build.cuda_version": "xformers.cuda",
    "build.torch_version": "xformers.torch",
    "build.env.torch_cuda_arch_list": "xformers.arch",
    "torch": "torch.version",
    "torch cuda": "torch.cuda",
    "torch cudnn": "ignored",
    "nvidia driver": "driver",
    # Said by these tools and of no use here.
    "accelerate config": "ignored",
    "accelerate default config": "ignored",
    "pytorch npu available": "ignored",
    "pytorch mlu available": "ignored",
    "using gpu in script?": "ignored",
    "using distributed or parallel set-up in script?": "ignored",
    "running on google colab?": "ignored",
    "tensorflow version (gpu?)": "ignored",
    "flax version (cpu?/gpu?/tpu?)": "ignored",
    "jax version": "ignored",
    "jaxlib version": "ignored",
    "deepspeed version": "deepspeed",
    "numpy version": "numpy",
    "huggingface_hub version": "ignored",
    "safetensors version": "ignored",
    "xformers version": "xformers",
    "bitsandbytes version": "bitsandbytes",
}  # fmt: skip

REPORT_MARKS: dict[str, str] = {
    "transformers version": "transformers env",
    "accelerate version": "accelerate env",
    "accelerate default config": "accelerate env",
    "🤗 diffusers version": "diffusers env",
    "diffusers version": "diffusers env",
    "deepspeed install path": "ds_report",
    "torch install path": "ds_report",
    "xformers": "xformers.info",
    "pytorch.version": "xformers.info",
    "datasets version": "datasets env",
    "peft version": "peft env",
    "trl version": "trl env",
}

# What people write by hand. Weak: only values of the right form count, and every tool's word goes before it.
NOTES: dict[str, str] = {
    "gpu": "gpu.note",
    "gpus": "gpu.note",
    "gpu model": "gpu.note",
    "graphics card": "gpu.note",
    "nvidia driver": "driver",
    "gpu driver": "driver",
    "driver version": "driver",
    "cuda driver version": "driver",
    "driver": "driver",
    "operating system": "os",
    "os version": "os",
    "system": "os",
    "python": "python",
    "torch": "torch.version",
    "pytorch": "torch.version",
    "torchvision": "torchvision",
    "torchaudio": "torchaudio",
    "gcc": "gcc",
    "platform": "platform",
    "kernel": "kernel",
}

_EXAMPLE = re.compile(r"\s*\((?:e\.\s?g|eg|for example|ex)\b[^()]{0,60}\)?\s*$")
_SPACE = re.compile(r"\s+")


def normal(label: str) -> str:
    """A label as the tables spell it, '' for what is too long to be one."""
    if len(label) > 90:
        return ""
    label = _SPACE.sub(" ", label.strip(" \t*_`'\"|").lower())
    return _EXAMPLE.sub("", label).replace("`", "") if "(" in label or "`" in label else label
