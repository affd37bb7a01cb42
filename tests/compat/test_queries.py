"""What the typed queries promise, each by the rule behind it."""

from __future__ import annotations

import pytest

from envdoctor.compat import answer, parse
from envdoctor.knowledge import AmbiguousGpu, KnowledgeError, UnknownGpu
from tests.as_of import then

WORLD = then()


@pytest.mark.parametrize(
    ("flags", "capability", "cuda", "runs"),
    [
        ("sm_86", "8.6", "12.8", True),
        ("sm_86", "8.9", "12.8", True),  # same major, higher minor
        ("sm_89", "8.6", "12.8", False),  # lower minor
        ("sm_80", "9.0", "12.8", False),  # another major
        ("sm_120", "12.1", "13.0", True),
        ("sm_100", "10.3", "12.9", True),
        ("sm_100", "12.0", "12.8", False),
        ("sm_75", "8.0", "13.0", False),
        ("sm_60", "6.2", "12.6", False),  # Jetson TX2 stands apart
        ("sm_62", "6.2", "12.6", True),
        ("sm_80", "8.7", "13.0", False),  # Orin before the unification ...
        ("sm_80", "8.7", "13.2", True),  # ... and after
        ("sm_80", "8.7", None, False),
        ("sm_87", "8.7", "12.6", True),
        ("sm_87", "8.9", "12.6", False),
        ("sm_101", "11.0", "12.9", True),  # Thor was renamed
        ("sm_110", "11.0", "13.0", True),
        ("sm_90a", "9.0", "12.8", True),
        ("sm_100a", "10.3", "12.9", False),  # architecture-specific code runs on its own capability only
        ("sm_100f", "10.3", "12.9", True),  # family-specific code on its family
        ("sm_120f", "10.0", "12.9", False),
        ("compute_90", "12.0", "12.8", True),  # PTX compiles forward
        ("compute_90", "8.9", "12.8", False),
        ("compute_90a", "10.0", "12.8", False),
        ("compute_100f", "10.3", "12.9", True),
        ("gfx90a", "9.0", None, False),  # ROCm
        ("sm_140", "14.1", "15.0", True),  # an architecture newer than the rules: same major
        ("sm_140", "15.0", "15.0", False),
    ],
)
def test_device_code_runs_where_torch_says_it_does(flags: str, capability: str, cuda: str | None, runs: bool) -> None:
    assert WORLD.runs_on(flags.split(), capability, cuda) is runs


def test_the_rules_are_those_of_the_installed_torch_for_every_pair() -> None:
    """Spelt out from torch 2.15.0's own table, so that a slip in the data file shows."""
    torch_rules = {
        50: ({50, 52}, {53}),
        60: ({60, 61}, {62}),
        70: ({70, 75}, {72}),
        75: ({75}, {80}),
        80: ({80, 86, 89}, {87, 90}),
        90: ({90}, {100}),
        100: ({100, 103}, {101, 110, 120}),
        120: ({120, 121}, {130}),
    }
    for sm, (yes, no) in torch_rules.items():
        for device in yes | no:
            capability = f"{device // 10}.{device % 10}"
            assert WORLD.runs_on([f"sm_{sm}"], capability, "12.6") is (device in yes), (sm, device)


@pytest.mark.parametrize(
    ("cuda", "platform", "minimum"),
    [
        ("13.2", "linux_x86_64", "580"),
        ("13.9", "linux_x86_64", "580"),  # a minor newer than the table
        ("12.8", "linux_x86_64", "525.60.13"),
        ("12.8", "windows_amd64", "528.33"),
        ("11.8", "linux_x86_64", "450.80.02"),
        ("11.8", "windows_amd64", "452.39"),
        ("11.0", "linux_x86_64", "450.36.06"),  # older than minor-version compatibility
        ("10.2", "linux_x86_64", "440.33"),
        ("14.0", "linux_x86_64", None),
    ],
)
def test_the_driver_a_runtime_needs_is_that_of_its_major(cuda: str, platform: str, minimum: str | None) -> None:
    assert WORLD.minimum_driver(cuda, platform) == minimum


@pytest.mark.parametrize(
    ("cuda", "own"),
    [
        ("12.8", "570.26"),
        ("12.8.1", "570.124.06"),
        ("12.8.2", "570.124.06"),  # no row of its own: the update below
        ("12.4.1", "550.54.15"),
        ("11.8", "520.61.05"),
        ("13.0", "580.65.06"),
        ("13.4.1", "615"),  # NVIDIA names only the branch
        ("13.5", "620"),  # the branch that came with it
        ("14.0", None),
    ],
)
def test_the_toolkit_s_own_driver_is_the_table_s(cuda: str, own: str | None) -> None:
    assert WORLD.toolkit_driver(cuda) == own


@pytest.mark.parametrize(
    ("driver", "branch", "cuda", "newer"),
    [
        ("535.183.01", "535", "12.2", False),
        ("418.87.01", "418", "10.1", False),
        ("572.83", "570", "12.8", False),  # Windows
        ("616.92", "615", "13.4", False),
        ("620.70.06", "620", "13.5", False),
        ("640.10", "640", None, True),
    ],
)
def test_a_driver_version_says_its_branch(driver: str, branch: str, cuda: str | None, newer: bool) -> None:
    found = WORLD.driver_branch(driver)
    assert found is not None
    assert (found.branch, found.max_cuda, found.newer_than_table) == (branch, cuda, newer)


def test_a_branch_between_two_known_ones_is_at_least_the_lower() -> None:
    found = WORLD.driver_branch("585.10")
    assert found is not None
    assert (found.known, found.max_cuda, found.confidence) == (False, "13.0", "lower bound")


@pytest.mark.parametrize(
    ("name", "found", "capability"),
    [
        ("4090", "NVIDIA GeForce RTX 4090", "8.9"),
        ("rtx4090", "NVIDIA GeForce RTX 4090", "8.9"),
        ("NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 4090", "8.9"),
        ("AD102 [GeForce RTX 4090] (rev a1)", "NVIDIA GeForce RTX 4090", "8.9"),
        ("H100 PCIe", "NVIDIA H100 PCIe", "9.0"),
        ("GH100 [H100 SXM5 80GB]", "NVIDIA H100 80GB HBM3", "9.0"),
        ("A100-SXM4-80GB", "NVIDIA A100-SXM4-80GB", "8.0"),
        ("GA100 [A100 PCIe 40GB]", "NVIDIA A100-PCIE-40GB", "8.0"),
        ("3090ti", "NVIDIA GeForce RTX 3090 Ti", "8.6"),
        ("4070 ti super", "NVIDIA GeForce RTX 4070 Ti SUPER", "8.9"),
        ("2080s", "NVIDIA GeForce RTX 2080 SUPER", "7.5"),
        ("RTX 3080 12GB", "NVIDIA GeForce RTX 3080", "8.6"),
        ("a6000", "NVIDIA RTX A6000", "8.6"),
        ("Quadro RTX 6000", "Quadro RTX 6000", "7.5"),
        ("RTX 6000 Ada", "NVIDIA RTX 6000 Ada Generation", "8.9"),
        ("GeForce GTX TITAN", "GeForce GTX TITAN", "3.5"),
        ("GeForce GTX TITAN X", "NVIDIA GeForce GTX TITAN X", "5.2"),
        ("NVIDIA TITAN X (Pascal)", "NVIDIA TITAN X (Pascal)", "6.1"),
        ("TU106M [GeForce RTX 2060 Mobile]", "NVIDIA GeForce RTX 2060", "7.5"),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "NVIDIA A100-SXM4-40GB", "8.0"),
        ("GRID T4-16Q", "Tesla T4", "7.5"),
        ("GeForce RTX 3080 Lite Hash Rate", "NVIDIA GeForce RTX 3080", "8.6"),
        ("DGX Spark", "NVIDIA GB10", "12.1"),
    ],
)
def test_a_gpu_is_found_as_people_and_tools_write_it(name: str, found: str, capability: str) -> None:
    gpu = WORLD.gpu(name)
    assert (gpu.name, gpu.capability) == (found, capability)


@pytest.mark.parametrize(("name", "capability", "memory"), [("V100", "7.0", (16, 32)), ("A100", "8.0", (40, 80))])
def test_a_family_is_one_answer_where_only_memory_and_form_factor_differ(
    name: str, capability: str, memory: tuple[float, ...]
) -> None:
    gpu = WORLD.gpu(name)
    assert gpu.capability == capability
    assert len(gpu.models) > 3
    assert gpu.memory_gb is None
    assert gpu.memory_gb_options == memory


@pytest.mark.parametrize("name", ["RTX 6000", "TITAN X", "Nano", "RTX 4000"])
def test_a_name_of_two_architectures_is_an_error_that_lists_them(name: str) -> None:
    with pytest.raises(AmbiguousGpu) as caught:
        WORLD.gpu(name)
    assert len({WORLD.gpu(other).capability for other in caught.value.suggestions}) > 1


@pytest.mark.parametrize(
    ("name", "near"), [("RTX 4909", "RTX 4090"), ("H1000", "H100"), ("GTX 1080 Tii", "GTX 1080 Ti")]
)
def test_an_unknown_gpu_is_an_error_with_suggestions(name: str, near: str) -> None:
    with pytest.raises(UnknownGpu) as caught:
        WORLD.gpu(name)
    assert any(near in suggestion for suggestion in caught.value.suggestions)
    assert "Did you mean" in str(caught.value)


def test_a_pci_id_is_found_exactly_or_by_its_block() -> None:
    exact = WORLD.gpu_by_pci_id("0x2684")
    assert exact is not None
    assert exact.name == "NVIDIA GeForce RTX 4090"
    assert WORLD.gpu_by_pci_id("2684") == exact
    assert WORLD.gpu_by_pci_id("ffff") is None
    assert WORLD.capability_of_pci_id("268e") == "8.9"  # no record; every known 268x is Ada
    assert WORLD.capability_of_pci_id("ffff") is None


def test_torch_and_its_companions_are_paired_both_ways() -> None:
    assert WORLD.torchvision_for("2.14.1+cu126") == "0.29.1"
    assert WORLD.torch_for_torchvision("0.29.2+cu132") == "2.15.0"
    assert WORLD.torchaudio_for("2.9.1") == "2.9.1"
    assert WORLD.torchaudio_for("2.15.0") == "2.11.1"
    assert WORLD.torch_for_torchaudio("2.11.0") == "2.11.0"
    assert WORLD.torch_for_torchvision("9.9") is None
    newest = WORLD.companions("xformers", "2.9.1")
    assert newest[0].torch == "==2.9.1"


@pytest.mark.parametrize(
    ("package", "release", "torch", "accepts"),
    [
        ("torchaudio", "2.11.1", "2.11.0", True),  # github.com/pytorch/audio/releases/tag/v2.11.1
        ("torchaudio", "2.11.0+cu126", "2.14.1+cu126", True),  # docs.pytorch.org/audio/2.11.0/installation.html
        ("torchaudio", "2.11.1", "2.10.0", False),
        ("torchaudio", "2.10.0", "2.11.0", False),  # its Requires-Dist
        ("torchvision", "0.29.1", "2.15.0", True),  # Requires-Dist: torch>=2.14.0
        ("torchcodec", "0.9.1", "2.9.1", True),  # its README
        ("torchcodec", "0.9.1", "2.13.0", False),
        ("torchcodec", "0.14.0", "2.15.0", True),
        ("torchaudio", "9.9", "2.15.0", None),
        ("unheard-of", "1.0", "2.15.0", None),
    ],
)
def test_whether_a_companion_goes_with_a_torch(package: str, release: str, torch: str, accepts: bool | None) -> None:
    assert WORLD.companion_accepts(package, release, torch) is accepts


@pytest.mark.parametrize(
    ("package", "release", "platform", "majors"),
    [
        ("torchaudio", "2.11.1", "linux_x86_64", (13,)),
        ("torchaudio", "2.11.1", "windows_amd64", ()),
        ("torchcodec", "0.17.0", "linux_x86_64", (13,)),
        ("torchvision", "0.24.1", "linux_x86_64", (12,)),
        ("onnxruntime-gpu", "1.31.1", "linux_x86_64", (13,)),
        ("bitsandbytes", "0.50.2", "linux_x86_64", (13, 12, 11)),
    ],
)
def test_what_a_companion_s_wheel_was_built_for(
    package: str, release: str, platform: str, majors: tuple[int, ...]
) -> None:
    wheel = WORLD.companion_wheel(package, release, platform)
    assert wheel is not None
    assert wheel.cuda_majors == majors


def test_cudnn_kernels_follow_the_release() -> None:
    assert WORLD.cudnn_supports("9.10.2.21", "12.6", "7.0") is True
    assert WORLD.cudnn_supports("9.11.0.98", "12.8", "7.0") is False
    assert WORLD.cudnn_supports("9.17.1.4", "12.8", "7.0") is False
    assert WORLD.cudnn_supports("99.0", "14.0", "9.0") is None


def test_images_are_found_by_cuda_flavour_and_system() -> None:
    tags = [image.reference for image in WORLD.cuda_images("12.6.3", os="ubuntu22.04", flavour="devel", cudnn=False)]
    assert tags == ["nvidia/cuda:12.6.3-devel-ubuntu22.04"]
    assert WORLD.pytorch_images("2.9.1", cuda="12.8", flavour="runtime")[0].tag == "2.9.1-cuda12.8-cudnn9-runtime"
    assert WORLD.cuda_images("12.7") == ()


def test_driver_packages_carry_the_branch() -> None:
    names = {name for rule in WORLD.driver_packages("ubuntu-archive") for name in rule.packages_for("580")}
    assert {"nvidia-driver-580", "nvidia-driver-580-open"} <= names


@pytest.mark.parametrize("question", [lambda: WORLD.minimum_driver("latest"), lambda: WORLD.driver_branch("new")])
def test_what_is_no_version_is_said_so(question: object) -> None:
    assert callable(question)
    with pytest.raises(KnowledgeError, match="is not a version"):
        question()


def test_forward_compatibility_is_for_data_center_boards() -> None:
    assert [WORLD.forward_compatible(kind) for kind in ("data-center", "jetson", "geforce", "workstation")] == [
        True,
        True,
        False,
        None,
    ]
    assert WORLD.bridged_branches("12.4") == ("470", "525", "535")
    assert WORLD.bridged_branches("13.9") == ()


@pytest.mark.parametrize(("gpu", "offered"), [("A100", True), ("RTX 4090", False)])
def test_the_compat_package_is_offered_only_to_data_center_boards(gpu: str, offered: bool) -> None:
    found = answer(WORLD, parse([f"gpu {gpu} cuda 13.0 driver 535.183.01"]))
    assert found.answer == "no"
    assert any(change.change == "forward compatibility" for change in found.nearest) is offered
