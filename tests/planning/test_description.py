"""A described machine: the forms that people write, and what is said of those that mean nothing."""

from __future__ import annotations

import pytest

from envdoctor.errors import InputError
from envdoctor.knowledge import load
from envdoctor.planning.model import Target
from envdoctor.planning.target import describe, for_image, parse_driver
from envdoctor.planning.wishes import checked


def capabilities(*gpus: str) -> list[str]:
    return [gpu.capability for gpu in describe(load(), gpus=gpus).gpus or ()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RTX 5090", ["12.0"]),
        ("nvidia geforce rtx 3090", ["8.6"]),
        ("2xH100", ["9.0", "9.0"]),
        ("8x H100", ["9.0"] * 8),
        ("H100 x2", ["9.0", "9.0"]),
        ("H100*2", ["9.0", "9.0"]),
        ("4 A100", ["8.0"] * 4),
        ("RTX 5090, RTX 3090", ["12.0", "8.6"]),
        ("sm_90", ["9.0"]),
        ("9.0", ["9.0"]),
        ("cc 8.9", ["8.9"]),
        ("sm_120", ["12.0"]),
        ("Tesla K40", ["3.5"]),
        ("Jetson Orin Nano Super", ["8.7"]),
        ("AGX Thor", ["11.0"]),
        ("8x HGX H100", ["9.0"] * 8),
        ("none", []),
    ],
)
def test_gpus_are_taken_as_people_write_them(text: str, expected: list[str]) -> None:
    assert capabilities(text) == expected


def test_gpus_of_several_options_are_in_order() -> None:
    assert capabilities("RTX 5090", "2x T4") == ["12.0", "7.5", "7.5"]


@pytest.mark.parametrize(
    ("gpus", "says"),
    [
        (["RTX 5900"], "RTX 5090"),
        (["RTX 6000"], "Quadro RTX 6000"),
        (["Voodoo 2"], "--gpu sm_90"),
        (["sm_99"], "known are"),
        (["none", "H100"], "stands alone"),
        (["100x H100"], "1 to 64"),
        ([""], "needs a name"),
    ],
)
def test_a_gpu_that_cannot_be_meant_is_told_with_what_to_write(gpus: list[str], says: str) -> None:
    with pytest.raises(InputError, match=says) as error:
        describe(load(), gpus=gpus)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "identifier", "glibc", "python"),
    [
        ("Ubuntu 24.04", "ubuntu24.04", "2.39", "3.12"),
        ("ubuntu-24.04", "ubuntu24.04", "2.39", "3.12"),
        ("ubuntu2404", "ubuntu24.04", "2.39", "3.12"),
        ("Ubuntu 22.04.5 LTS", "ubuntu22.04", "2.35", "3.10"),
        ("noble", "ubuntu24.04", "2.39", "3.12"),
        ("ubuntu18.04", "ubuntu18.04", "2.27", "3.6"),
        ("Debian GNU/Linux 12 (bookworm)", "debian12", "2.36", "3.11"),
        ("rocky9", "rocky9", "2.34", "3.9"),
        ("Rocky Linux 9.5 (Blue Onyx)", "rocky9", "2.34", "3.9"),
        ("rhel8", "rhel8", "2.28", "3.6"),
        ("sles15.6", "sles15.6", "2.38", "3.6"),
        ("SLES 15 SP6", "sles15.6", "2.38", "3.6"),
        ("amzn2023", "amzn2023", "2.34", "3.9"),
        ("alpine3.20", "alpine", "", None),
        ("ubuntu28.04", "ubuntu28.04", "2.43", None),
    ],
)
def test_a_system_brings_its_c_library_and_python(text: str, identifier: str, glibc: str, python: str | None) -> None:
    target = describe(load(), os=text)
    assert (target.os, target.glibc, target.python) == (identifier, glibc, python)
    assert target.platform == "linux_x86_64"


@pytest.mark.parametrize(
    ("os", "arch", "platform"),
    [
        ("windows", None, "windows_amd64"),
        ("Windows 11", None, "windows_amd64"),
        ("macos", None, "macos_arm64"),
        ("macos", "x86_64", "macos_x86_64"),
        ("wsl", None, "linux_x86_64"),
        ("WSL2 Ubuntu 22.04", None, "linux_x86_64"),
        (None, "arm64", "linux_aarch64"),
        ("ubuntu24.04", "aarch64", "linux_aarch64"),
    ],
)
def test_the_platform_follows_from_system_and_architecture(os: str | None, arch: str | None, platform: str) -> None:
    target = describe(load(), os=os, arch=arch)
    assert target.platform == platform
    assert target.wsl == ("wsl" in (os or "").lower())


def test_wsl_keeps_the_distribution_that_was_named() -> None:
    assert describe(load(), os="WSL2 Ubuntu 22.04").glibc == "2.35"
    assert describe(load(), os="wsl").glibc is None


@pytest.mark.parametrize(
    ("text", "says"), [("ubunut22.04", "ubuntu22.04"), ("beos", "debian12"), ("ubuntu", "needs its release")]
)
def test_a_system_that_is_none_is_told_with_near_names(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        describe(load(), os=text)


@pytest.mark.parametrize("gpu", ["GB10", "GH200", "Jetson AGX Orin", "GB200"])
def test_a_gpu_that_is_found_on_arm_only_brings_the_architecture(gpu: str) -> None:
    assert describe(load(), gpus=[gpu]).platform == "linux_aarch64"
    with pytest.raises(InputError, match="aarch64 machines only"):
        describe(load(), gpus=[gpu], arch="x86_64")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("580", "580"),
        ("R580", "580"),
        ("v570.86.15", "570.86.15"),
        ("nvidia 535.183.01", "535.183.01"),
        ("580.xx", "580"),
        ("580.95.05-0ubuntu0.24.04.2", "580.95.05"),
        ("535.183.01-1", "535.183.01"),
        ("572.83", "572.83"),
        ("32.0.15.7283", "572.83"),
        ("none", None),
    ],
)
def test_a_driver_is_taken_in_every_form_that_is_printed(text: str, expected: str | None) -> None:
    assert parse_driver(text) == expected


@pytest.mark.parametrize("text", ["latest", "12.8", "5", "580-open", ""])
def test_a_driver_that_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no driver version"):
        parse_driver(text)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"torch": "2.6.0+cu124"}, ("2.6.0", "12.4", None)),
        ({"torch": "torch==2.6.0"}, ("==2.6.0", None, None)),
        ({"torch": "latest"}, (None, None, None)),
        ({"cuda": "cu128"}, (None, "12.8", None)),
        ({"cuda": "12.8.1"}, (None, "12.8", None)),
        ({"cuda": "CUDA 12"}, (None, "12", None)),
        ({"cuda": "none"}, (None, "cpu", None)),
        ({"python": "3.12.4"}, (None, None, "3.12")),
        ({"python": "cp313t"}, (None, None, "3.13t")),
    ],
)
def test_wishes_are_taken_in_the_forms_that_people_copy(
    given: dict[str, str], expected: tuple[str | None, ...]
) -> None:
    wishes = checked(load(), **given)  # type: ignore[arg-type]
    assert (wishes.torch, wishes.cuda, wishes.python) == expected


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"torch": "nightly"}, "stable"),
        ({"torch": "2.16.0.dev1"}, "stable"),
        ({"torch": "two"}, "requirement"),
        ({"torch": "2.6.0+rocm6.2"}, "no build for NVIDIA"),
        ({"torch": "2.6.0+cu124", "cuda": "12.6"}, "--cuda"),
        ({"cuda": "eleven"}, "no CUDA version"),
        ({"python": "py"}, "no Python version"),
        ({"purpose": "mine"}, "build-extensions"),
        ({"packages": ("-r x.txt",)}, "no requirement"),
        ({"packages": ("a\nb",)}, "no requirement"),
    ],
)
def test_a_wish_that_means_nothing_is_refused_in_one_line(given: dict[str, str], says: str) -> None:
    with pytest.raises(InputError, match=says) as error:
        checked(load(), **given)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_an_image_is_linux_whatever_its_host_is() -> None:
    windows = for_image(describe(load(), gpus=["RTX 4090"], driver="581.42", os="windows"))
    assert (windows.platform, windows.wsl, windows.driver) == ("linux_x86_64", True, "581.42")
    mac = for_image(describe(load(), os="macos"))
    assert (mac.platform, mac.gpus) == ("linux_aarch64", ())
    linux = describe(load(), gpus=["T4"], os="rhel9")
    assert for_image(linux) is linux


def test_words_are_laid_over_the_facts_of_a_machine() -> None:
    base = Target(
        os="ubuntu22.04", glibc="2.35", python="3.10", driver="535.183.01", arch="aarch64", platform="linux_aarch64"
    )
    target = describe(load(), driver="580", base=base)
    assert (target.driver, target.os, target.platform) == ("580", "ubuntu22.04", "linux_aarch64")
