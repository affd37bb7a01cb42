"""What torch's own environment dump says, in the layouts of torch 1.0 to 2.15."""

from __future__ import annotations

import pytest

from envdoctor.errors import InputError
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.host import LinuxDistribution
from envdoctor.facts.sections.interpreter import CondaPackage, Interpreter, Torch
from envdoctor.facts.sections.interpreter import Distribution as Installed
from envdoctor.facts.sections.software import Nvcc
from envdoctor.reading.dumps import read
from envdoctor.reading.dumps.gpu_facts import SILENT
from tests.reading.dumps import samples


def torch_of(snapshot: Snapshot) -> Torch:
    assert snapshot.torch is not None
    return snapshot.torch


def interpreter_of(snapshot: Snapshot) -> Interpreter:
    assert snapshot.interpreter is not None
    return snapshot.interpreter


def test_an_old_dump_is_read_whole() -> None:
    snapshot = read(samples.OLD)
    torch = torch_of(snapshot)
    assert snapshot.source == "collect_env"
    assert (torch.version, torch.build, torch.cuda, torch.debug) == ("1.4.0", "cuda", "10.1", False)
    assert torch.cudnn_built == "7.6.3"
    assert torch.run is not None
    assert (torch.run.outcome, torch.run.cuda_available) == ("ok", False)
    assert snapshot.driver_version == "410.79"
    assert [gpu.name for gpu in snapshot.gpus or ()] == ["GeForce GTX 1080 Ti", "GeForce GTX 1080 Ti"]
    assert snapshot.nvml is not None
    assert snapshot.nvml.working is True  # nvidia-smi listed them
    assert snapshot.toolkit is not None
    assert snapshot.toolkit.nvcc == (Nvcc(path="nvcc", version="10.0.130", found_by=("PATH",)),)
    assert snapshot.host is not None
    assert snapshot.host.distribution == LinuxDistribution(
        id="ubuntu", version_id="18.04", name="Ubuntu 18.04.5 LTS", like=("debian",)
    )
    assert snapshot.host.architecture is None  # it did not say
    interpreter = interpreter_of(snapshot)
    assert interpreter.version == "3.7"
    assert interpreter.distribution("torchvision") == Installed(name="torchvision", version="0.5.0")
    assert interpreter.conda_packages is not None
    assert interpreter.conda_packages[1] == CondaPackage(
        name="pytorch", version="1.4.0", build="py3.7_cuda10.1.243_cudnn7.6.3_0", channel="pytorch"
    )
    assert interpreter.duplicates is None  # pip lists what conda installed as well
    assert snapshot.messages == ()


def test_cudnn_files_of_the_system_are_libraries_and_not_torchs_own() -> None:
    snapshot = read(samples.OLD)
    assert snapshot.libraries is not None
    assert [(file.name, file.version) for file in snapshot.libraries.files or ()] == [
        ("libcudnn", "7.6.5"),
        ("libcudnn", "7.4.2"),
    ]
    assert torch_of(snapshot).run is not None
    assert torch_of(snapshot).run.cudnn_version is None  # type: ignore[union-attr]


def test_a_new_dump_is_read_whole() -> None:
    snapshot = read(samples.NEW)
    host = snapshot.host
    assert host is not None
    assert (host.system, host.architecture, host.kernel, host.glibc, host.wsl) == (
        "Linux",
        "x86_64",
        "5.14.0-427.el9.x86_64",
        "2.34",
        0,
    )
    assert (host.cpu_model, host.cpu_count, host.virtualization) == ("AMD EPYC 9454 48-Core Processor", 96, "kvm")
    assert host.distribution is not None
    assert (host.distribution.id, host.distribution.version_id) == ("rocky", "9.4")
    interpreter = interpreter_of(snapshot)
    assert (interpreter.version, interpreter.bits, interpreter.implementation) == ("3.12.4", 64, "cpython")
    assert interpreter.distribution("nvidia-cudnn-cu12") == Installed(name="nvidia-cudnn-cu12", version="9.10.2.21")
    assert interpreter.conda_packages is None  # 'Could not collect'
    assert not interpreter.distributions_complete
    assert snapshot.environment is None
    assert torch_of(snapshot).run is not None
    assert torch_of(snapshot).run.cuda_available is True  # type: ignore[union-attr]


def test_a_windows_cpu_build_beside_a_working_driver() -> None:
    # torch.version.cuda is None, and collect_env prints that as 'Could not collect' where nvidia-smi answered.
    snapshot = read(samples.WINDOWS)
    assert (torch_of(snapshot).build, torch_of(snapshot).cuda) == ("cpu", None)
    assert snapshot.host is not None
    assert (snapshot.host.platform, snapshot.host.os_name, snapshot.host.kernel) == (
        "windows_amd64",
        "Windows 11 Pro",
        "10.0.22631",
    )
    assert snapshot.host.cpu_model == "AMD Ryzen 7 5800X3D 8-Core Processor"
    assert snapshot.toolkit is not None
    assert snapshot.toolkit.nvcc is not None
    assert snapshot.toolkit.nvcc[0].version == "12.5.40"
    assert snapshot.gpus is not None


def test_a_mac_has_no_nvidia_facts() -> None:
    snapshot = read(samples.MACOS)
    assert snapshot.host is not None
    assert (snapshot.host.platform, snapshot.host.os_name) == ("macos_arm64", "macOS 14.6")
    assert (snapshot.nvml, snapshot.driver) == (None, None)
    assert torch_of(snapshot).build == "cpu"
    assert interpreter_of(snapshot).conda_packages == ()  # conda answered, with none of these
    assert snapshot.toolkit is not None
    assert snapshot.toolkit.nvcc is None


def test_a_rocm_build_is_no_cuda_build_and_its_card_no_nvidia_card() -> None:
    snapshot = read(samples.NEWEST_ROCM)
    torch = torch_of(snapshot)
    assert (torch.build, torch.cuda, torch.hip) == ("rocm", None, "7.14.25411-3f1c4b8d")
    assert torch.run is not None
    assert [device.name for device in torch.run.devices or ()] == ["AMD Instinct MI300X"]
    assert snapshot.nvml is None


@pytest.mark.parametrize(
    ("said", "version", "available", "build", "cuda"),
    [
        ("11.8", "2.0.1", "True", "cuda", "11.8"),
        ("9.0.176", "1.0.0", "Yes", "cuda", "9.0"),
        ("None", "2.1.0", "False", "cpu", None),
        ("Could not collect", "2.1.0", "False", "cpu", None),
        ("None", "2.5.0+xpu", "False", "xpu", None),
        ("Could not collect", "1.5.0", "Yes", "rocm", None),  # before 1.7 ROCm had no line of its own
    ],
)
def test_the_kind_of_build(said: str, version: str, available: str, build: str, cuda: str | None) -> None:
    torch = torch_of(
        read(
            f"PyTorch version: {version}\nIs debug build: False\nCUDA used to build PyTorch: {said}\n"
            f"Is CUDA available: {available}"
        )
    )
    assert (torch.build, torch.cuda) == (build, cuda)


@pytest.mark.parametrize(
    ("version", "build", "cuda"),
    [("2.8.0+cu129", "cuda", "12.9"), ("1.7.1+cu92", "cuda", "9.2"), ("2.8.0+cpu", "cpu", None)],
)
def test_a_dump_cut_after_its_first_line_has_the_build_from_the_version(
    version: str, build: str, cuda: str | None
) -> None:
    torch = torch_of(read(f"Collecting environment information...\nPyTorch version: {version}\nIs de"))
    assert (torch.version, torch.build, torch.cuda) == (version, build, cuda)


def test_a_cpu_only_conda_build_is_known_by_its_build_string_where_nothing_else_says() -> None:
    torch = torch_of(read("[conda] pytorch  1.8.1  py3.8_cpu_0  pytorch\n[conda] torchvision 0.9.1 py38_cpu pytorch"))
    assert (torch.version, torch.build) == ("1.8.1", "cpu")


NOT_IMPORTED = """\
PyTorch version: N/A
Is debug build: N/A
CUDA used to build PyTorch: N/A

OS: Fedora Linux 40 (Workstation Edition) (x86_64)

Python version: 3.12.3 (main, Apr 17 2024, 00:00:00) [GCC 14.0.1] (64-bit runtime)
Is CUDA available: N/A
GPU models and configuration: GPU 0: NVIDIA GeForce RTX 4060
Nvidia driver version: 550.78

Versions of relevant libraries:
[pip3] numpy==1.26.4
"""


def test_torch_is_missing_where_the_whole_list_does_not_have_it() -> None:
    snapshot = read(NOT_IMPORTED + "[conda] Could not collect\n")
    assert snapshot.torch is None
    assert interpreter_of(snapshot).torch_installed is False


def test_torch_is_broken_where_pip_lists_it_and_it_cannot_be_imported() -> None:
    snapshot = read(NOT_IMPORTED + "[pip3] torch==2.3.0\n[conda] Could not collect\n")
    torch = torch_of(snapshot)
    assert interpreter_of(snapshot).torch_installed is True
    assert torch.version == "2.3.0"
    assert torch.run is not None
    assert torch.run.outcome == "import-error"
    assert torch.build is None  # 'N/A' says nothing of the build


def test_a_list_that_is_cut_off_does_not_prove_that_torch_is_missing() -> None:
    snapshot = read(NOT_IMPORTED)
    assert interpreter_of(snapshot).torch_installed is None
    assert torch_of(snapshot).run is not None


def test_no_answer_of_nvidia_smi_is_told_and_judges_nothing() -> None:
    text = samples.OLD.replace("GPU 0: GeForce GTX 1080 Ti\nGPU 1: GeForce GTX 1080 Ti\n", "")
    text = text.replace("configuration: ", "configuration: Could not collect").replace("410.79", "Could not collect")
    snapshot = read(text)
    assert snapshot.nvml is not None
    assert (snapshot.nvml.status, snapshot.nvml.gpus, snapshot.nvml.message) == (None, None, SILENT)
    assert snapshot.driver is None


def test_a_driver_from_610_on_is_not_seen_by_collect_env_and_stays_unknown() -> None:
    # Its regex wants 'Driver Version:', which nvidia-smi no longer prints; the list of GPUs is there.
    snapshot = read(samples.NEW.replace("Nvidia driver version: 570.86.15", "Nvidia driver version: Could not collect"))
    assert snapshot.driver is None
    assert snapshot.nvml is not None
    assert (snapshot.nvml.working, len(snapshot.nvml.gpus or ())) == (True, 2)
    assert snapshot.nvml.message is None


@pytest.mark.parametrize(
    ("python", "glibc"), [("3.7.10 (default)", None), ("3.8.5 (default)", "2.31"), ("3.11.2 (main)", "2.31")]
)
def test_glibc_is_believed_from_python_38_on(python: str, glibc: str | None) -> None:
    # Older Pythons printed the newest symbol version that their own executable needs.
    text = f"PyTorch version: 1.9.0\nLibc version: glibc-2.31\n\nPython version: {python} (64-bit runtime)\n"
    host = read(text + "Is CUDA available: True\nOS: Ubuntu 20.04.2 LTS (x86_64)").host
    assert host is not None
    assert host.glibc == glibc


def test_two_torches_of_different_releases_are_a_duplicate_with_the_imported_one_first() -> None:
    text = samples.OLD.replace("[pip3] torch==1.4.0", "[pip3] torch==1.2.0")
    duplicates = interpreter_of(read(text)).duplicates
    assert duplicates is not None
    assert (duplicates[0].name, duplicates[0].versions) == ("torch", ("1.4.0", "1.2.0"))


@pytest.mark.parametrize("listed", ["1.4.0", "1.4.0.post2", "1.4.0+cu101"])
def test_the_same_release_by_pip_and_conda_is_one_install(listed: str) -> None:
    text = samples.OLD.replace("[pip3] torch==1.4.0", f"[pip3] torch=={listed}")
    assert interpreter_of(read(text)).duplicates is None


def test_a_cpu_build_by_conda_and_a_cuda_build_by_pip_are_two() -> None:
    text = samples.OLD.replace("py3.7_cuda10.1.243_cudnn7.6.3_0", "py3.7_cpu_0").replace(
        "torch==1.4.0", "torch==1.4.0+cu101"
    )
    assert interpreter_of(read(text)).duplicates is not None


def test_another_interpreters_pip_does_not_make_a_duplicate() -> None:
    # Until 1.9 collect_env listed the packages of whatever pip3 was on PATH.
    text = samples.OLD.replace("[pip3] torch==1.4.0", "[pip3] torch==1.2.0").replace(
        "[conda] pytorch  ", "[conda] nothing  "
    )
    assert interpreter_of(read(text)).duplicates is None


def test_the_interpreters_own_pip_does() -> None:
    text = samples.NEW.replace("[pip3] torch==2.8.0+cu128", "[pip3] torch==2.6.0")
    duplicates = interpreter_of(read(text)).duplicates
    assert duplicates is not None
    assert duplicates[0].versions == ("2.8.0+cu128", "2.6.0")


def test_of_two_dumps_the_first_is_read_and_not_mixed_with_the_second() -> None:
    first, second = read(samples.OLD), read(samples.OLD + "\nand on the other machine\n\n" + samples.NEW)
    assert second.torch == first.torch
    assert second.host == first.host
    assert second.gpus == first.gpus


@pytest.mark.parametrize(
    ("line", "system", "id_", "version"),
    [
        ("Ubuntu 25.10 (x86_64)", "Linux", "ubuntu", "25.10"),
        ("Ubuntu Jammy Jellyfish (development branch) (x86_64)", "Linux", "ubuntu", None),
        ("Debian GNU/Linux 12 (bookworm) (x86_64)", "Linux", "debian", "12"),
        ("CentOS Linux release 7.9.2009 (Core) (x86_64)", "Linux", "centos", "7"),
        ("Red Hat Enterprise Linux release 8.10 (Ootpa) (x86_64)", "Linux", "rhel", "8.10"),
        ("SUSE Linux Enterprise Server 15 SP4 (x86_64)", "Linux", "sles", "15.4"),
        ("openSUSE Leap 15.5 (x86_64)", "Linux", "opensuse-leap", "15.5"),
        ("Amazon Linux 2 (x86_64)", "Linux", "amzn", "2"),
        ("Amazon Linux 2023.5.20240819 (x86_64)", "Linux", "amzn", "2023"),
        ("Arch Linux (x86_64)", "Linux", "arch", None),
        ("Manjaro Linux (x86_64)", "Linux", "manjaro", None),
        ("Fedora release 31 (Thirty One)", "Linux", "fedora", "31"),
        ("NixOS 24.05 (Uakari) (x86_64)", "Linux", "nixos", "24.05"),
        ("Linux Mint 21.3 (x86_64)", "Linux", "linuxmint", "21.3"),
        ("Some New Linux 3 (aarch64)", "Linux", None, None),
        ("linux (x86_64)", "Linux", None, None),
    ],
)
def test_names_of_distributions(line: str, system: str, id_: str | None, version: str | None) -> None:
    host = read(f"PyTorch version: 2.1.0\nOS: {line}\nIs CUDA available: True").host
    assert host is not None
    assert host.system == system
    distribution = host.distribution or LinuxDistribution()
    assert (distribution.id, distribution.version_id) == (id_, version)


@pytest.mark.parametrize(
    ("kernel", "wsl"),
    [
        ("5.15.153.1-microsoft-standard-WSL2", 2),
        ("4.19.128-microsoft-standard", 2),
        ("4.4.0-19041-Microsoft", 1),
        ("6.8.0-31-generic", 0),
    ],
)
def test_wsl_is_seen_by_the_kernels_name(kernel: str, wsl: int) -> None:
    text = f"PyTorch version: 2.1.0\nPython version: 3.10.2 (main)\nPython platform: Linux-{kernel}-x86_64-with-glibc2.35\n"
    host = read(text).host
    assert host is not None
    assert (host.kernel, host.wsl, host.architecture, host.glibc) == (kernel, wsl, "x86_64", "2.35")


def test_the_old_name_of_macos() -> None:
    host = read(
        "PyTorch version: 1.2.0\nIs debug build: No\nCUDA used to build PyTorch: None\n\nOS: Mac OSX 10.14.6\n"
    ).host
    assert host is not None
    assert (host.system, host.os_name) == ("Darwin", "Mac OSX 10.14.6")


def test_a_free_threaded_python_is_seen() -> None:
    python = "3.13.5 experimental free-threading build (main, Jul  1 2025, 10:00:00) [GCC 13.3.0] (64-bit runtime)"
    assert interpreter_of(read(f"PyTorch version: 2.9.0\nPython version: {python}")).free_threaded is True


def test_what_a_person_wrote_into_a_template_is_read_as_notes() -> None:
    snapshot = read("""\
 - PyTorch Version (e.g., 1.0): 1.7.0
 - OS (e.g., Linux): Ubuntu 20.04
 - Python version: 3.8.5
 - GPU models and configuration: 2x RTX 3090
""")
    assert snapshot.source == "notes"
    assert [gpu.name for gpu in snapshot.gpus or ()] == ["RTX 3090", "RTX 3090"]
    assert torch_of(snapshot).version == "1.7.0"
    assert torch_of(snapshot).run is None  # nobody imported it
    assert snapshot.nvml is not None
    assert snapshot.nvml.status is None


@pytest.mark.parametrize(
    "text", ["", "hello", "Traceback (most recent call last):\nValueError: no", "OS:", "a: b\nc: d", "PyTorch version:"]
)
def test_text_without_any_fact_is_refused_with_what_is_accepted(text: str) -> None:
    with pytest.raises(InputError, match=r"nothing is recognised .* accepted are: .*collect_env") as caught:
        read(text)
    assert "\n" not in str(caught.value)
