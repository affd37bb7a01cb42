"""Which CUDA libraries the loader would find, in its own order."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from envdoctor.facts import loader
from envdoctor.facts.host import Machine
from envdoctor.facts.probes import libraries
from envdoctor.facts.sections.software import LibraryFile
from tests import simulated
from tests.sysroot import Sysroot, elf, library_cache


def files(machine: Machine) -> tuple[LibraryFile, ...]:
    found = libraries.probe(machine).files
    assert found is not None
    return found


def test_the_cache_is_read_without_ldconfig(tmp_path: Path) -> None:
    found = {file.name: file for file in files(simulated.ubuntu_2404(tmp_path).machine())}
    assert found["libcuda"].version == "580.159.04"
    assert (found["libcudart"].version, found["libcudart"].via) == ("12.8.90", "ld.so.cache")
    assert found["libstdc++"].version == "6.0.33"
    assert not any(file.stub or file.compat for file in found.values())


def test_the_cache_of_an_older_glibc_has_another_table_first(tmp_path: Path) -> None:
    (cuda,) = files(simulated.ubuntu_2204_hgx(tmp_path).machine())
    assert (cuda.path, cuda.version) == ("/usr/lib/x86_64-linux-gnu/libcuda.so.1", "535.183.01")


def test_the_order_is_preload_then_library_path_then_cache_then_default_folders(tmp_path: Path) -> None:
    s = (
        Sysroot(tmp_path)
        .library("/a/libcudnn.so.8.9.7", "libcudnn.so.8")
        .library("/b/libcudnn.so.9.1.0", "libcudnn.so.9")
    )
    s.library("/opt/c/libcudnn.so.9.9.0", "libcudnn.so.9").library("/usr/lib/libcudnn.so.9.5.1", "libcudnn.so.9")
    s.cache([("libcudnn.so.9", "/opt/c/libcudnn.so.9")])
    found = libraries.probe(s.machine({"LD_PRELOAD": "/a/libcudnn.so.8 libjemalloc.so", "LD_LIBRARY_PATH": "/none:/b"}))
    assert [(file.version, file.via) for file in found.files or ()] == [
        ("8.9.7", "LD_PRELOAD"),
        ("9.1.0", "LD_LIBRARY_PATH"),
        ("9.9.0", "ld.so.cache"),
        ("9.5.1", "default"),
    ]
    assert found.ld_library_path == ("/none", "/b")
    assert found.ld_preload == ("/a/libcudnn.so.8", "libjemalloc.so")


def test_one_file_by_many_names_is_one(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).link("/lib", "usr/lib").library("/usr/lib/libnccl.so.2.27.3", "libnccl.so.2", "libnccl.so")
    s.cache([("libnccl.so.2", "/lib/libnccl.so.2")])
    (nccl,) = files(s.machine({"LD_LIBRARY_PATH": "/usr/lib:/lib"}))
    assert (nccl.path, nccl.version, nccl.via) == ("/usr/lib/libnccl.so.2", "2.27.3", "LD_LIBRARY_PATH")


def test_stubs_and_forward_compatibility_are_told_apart(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).library("/usr/local/cuda-12.8/lib64/stubs/libcuda.so")
    s.library("/usr/local/cuda-12.8/compat/libcuda.so.570.124.06", "libcuda.so.1")
    s.library("/usr/lib64/libcuda.so.535.183.01", "libcuda.so.1").link("/usr/local/cuda", "cuda-12.8")
    path = "/usr/local/cuda/lib64/stubs:/usr/local/cuda/compat"
    found = files(s.machine({"LD_LIBRARY_PATH": path}))
    assert [(file.version, file.stub, file.compat) for file in found] == [
        (None, True, False),
        ("570.124.06", False, True),
        ("535.183.01", False, False),
    ]


def test_a_wheels_library_has_its_version_in_the_metadata_beside_it(tmp_path: Path) -> None:
    site = "/opt/venv/lib/python3.12/site-packages"
    s = (
        Sysroot(tmp_path)
        .library(f"{site}/nvidia/cudnn/lib/libcudnn.so.9")
        .folder(f"{site}/nvidia_cudnn_cu12-9.10.2.21.dist-info")
    )
    s.library(f"{site}/nvidia/nccl/lib/libnccl.so.2")
    found = files(s.machine({"LD_LIBRARY_PATH": f"{site}/nvidia/cudnn/lib:{site}/nvidia/nccl/lib"}))
    assert [(file.name, file.version) for file in found] == [("libcudnn", "9.10.2.21"), ("libnccl", "2")]


def test_wsls_libcuda_has_no_driver_version_in_its_name(tmp_path: Path) -> None:
    (cuda,) = files(simulated.wsl2(tmp_path).machine())
    assert (cuda.path, cuda.version) == ("/usr/lib/wsl/lib/libcuda.so.1", None)


def test_libraries_that_the_loader_passes_over_are_not_listed(tmp_path: Path) -> None:
    s = (
        Sysroot(tmp_path)
        .library("/usr/lib/libcuda.so.1", content=elf("i686"))
        .link("/usr/lib64/libcudart.so.12", "gone")
    )
    s.library("/usr/lib64/libcudart.so.11.0").file("/usr/lib64/libcudart_static.a").library("/usr/lib64/libcudart.so")
    s.cache([("libnccl.so.2", "/opt/removed/libnccl.so.2")])
    assert [file.path for file in files(s.machine())] == ["/usr/lib64/libcudart.so.11.0"]


def test_entries_of_another_abi_are_not_this_machines(tmp_path: Path) -> None:
    s = (
        Sysroot(tmp_path)
        .library("/opt/narrow/libcuda.so.1")
        .cache([("libcuda.so.1", "/opt/narrow/libcuda.so.1")], flags=0x0003)
    )
    assert files(s.machine()) == ()
    s.cache([("libcuda.so.1", "/opt/narrow/libcuda.so.1")], flags=0x0A03)  # aarch64
    assert len(files(s.machine())) == 1


def test_without_a_cache_its_configuration_is_followed(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).file("/etc/ld.so.conf", "include /etc/ld.so.conf.d/*.conf\ninclude more.conf\n/opt/last\n")
    s.file("/etc/ld.so.conf.d/cuda.conf", "# CUDA\n/opt/cuda/lib64/\n").file(
        "/etc/more.conf", "include /etc/ld.so.conf\n"
    )
    s.library("/opt/cuda/lib64/libcudart.so.12.1.105", "libcudart.so.12").library("/opt/last/libnccl.so.2.21.5")
    assert [(file.name, file.via) for file in files(s.machine())] == [
        ("libcudart", "ld.so.cache"),
        ("libnccl", "ld.so.cache"),
    ]


@pytest.mark.parametrize("cut", [0, 10, 30, 50, 90])
def test_a_cut_off_cache_is_no_cache(tmp_path: Path, cut: int) -> None:
    data = library_cache([("libcuda.so.1", "/usr/lib64/libcuda.so.1")])
    s = Sysroot(tmp_path).library("/usr/lib64/libcuda.so.1").file("/etc/ld.so.cache", data[:cut])
    assert [file.via for file in files(s.machine())] == ["default"]


def test_a_folder_of_a_variable_may_lie_outside_a_simulated_machine(tmp_path: Path) -> None:
    inside = Sysroot(tmp_path / "root").library("/opt/lib/libcudart.so.12.1.1")
    outside = Sysroot(tmp_path / "outside").library("/libcudart.so.11.8.89", "libcudart.so.11.0")
    path = f"/opt/lib:{outside.root}:{inside.root}/opt/lib"
    found = files(inside.machine({"LD_LIBRARY_PATH": path}))
    assert [(file.version, file.path) for file in found] == [
        ("12.1.1", "/opt/lib/libcudart.so.12.1.1"),
        ("11.8.89", f"{outside.root}/libcudart.so.11.0"),
    ]


def test_nothing_is_known_of_an_empty_folder(tmp_path: Path) -> None:
    assert libraries.probe(Sysroot(tmp_path).machine()).files is None


@pytest.mark.skipif(not Path("/sbin/ldconfig").exists(), reason="no glibc loader here")
def test_this_machines_cache_holds_what_ldconfig_prints() -> None:
    printed = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    expected = [
        line.split(" => ")[1]
        for line in printed.splitlines()
        if " => " in line and ("x86-64" in line or "AArch64" in line)
    ]
    cached = loader._cache(Machine(environment={}))
    assert cached is not None
    assert [path for _, path in cached] == expected


@pytest.mark.skipif(sys.platform != "linux", reason="LD_LIBRARY_PATH is Linux's")
def test_an_empty_entry_is_the_current_folder() -> None:
    assert loader.library_path(Machine(environment={"LD_LIBRARY_PATH": "/a:"})) == ("/a", ".")
    assert loader.library_path(Machine(environment={"LD_LIBRARY_PATH": ""})) == ()
