from __future__ import annotations

from pathlib import Path

import pytest

from envdoctor.facts import driver_libraries
from envdoctor.facts.host import Machine
from envdoctor.facts.probes import cuda_driver, gpus
from tests.fakes import FakeDriver, FakeGpu, machine_without_driver

NOWHERE = "libenvdoctor-nowhere.so.1"


def machine(folder: Path, **environment: str) -> Machine:
    return Machine(environment={"PATH": str(folder), **environment})


def test_library_that_no_loader_finds_is_known_to_be_missing(tmp_path: Path) -> None:
    assert driver_libraries.load_names(machine(tmp_path), NOWHERE) == ()


def test_missing_library_costs_no_child_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Machine, "run", lambda *_, **__: pytest.fail("a child was started"))
    assert gpus.probe(machine_without_driver(tmp_path)).status == "LIBRARY_NOT_FOUND"
    assert cuda_driver.probe(machine_without_driver(tmp_path)).library_missing is True


@pytest.mark.parametrize("separator", [":", ";"])
def test_every_folder_of_the_library_path_is_looked_at(tmp_path: Path, separator: str) -> None:
    (tmp_path / NOWHERE).touch()
    path = separator.join(["/nowhere", str(tmp_path)])
    assert driver_libraries.load_names(machine(tmp_path, LD_LIBRARY_PATH=path), NOWHERE) == (NOWHERE,)


def test_empty_entry_of_the_library_path_is_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / NOWHERE).touch()
    assert driver_libraries.load_names(machine(tmp_path, LD_LIBRARY_PATH="/nowhere:"), NOWHERE) == (NOWHERE,)


def test_library_path_that_only_the_loader_can_expand_is_left_to_it(tmp_path: Path) -> None:
    found = driver_libraries.load_names(machine(tmp_path, LD_LIBRARY_PATH="/opt/$LIB"), NOWHERE)
    assert found == (NOWHERE,)


def test_preloaded_driver_is_found(tmp_path: Path) -> None:
    folder = FakeDriver(gpus=[FakeGpu("Tesla T4")]).install(tmp_path)
    found = gpus.probe(machine(tmp_path, LD_PRELOAD=f"{folder}/libnvidia-ml.so.1"))
    assert found.gpus is not None
    assert [gpu.name for gpu in found.gpus] == ["Tesla T4"]


def test_library_path_entry_of_a_sysroot_may_be_named_as_the_machine_does(tmp_path: Path) -> None:
    FakeDriver(gpus=[FakeGpu("Tesla T4")]).install(tmp_path / "opt/driver")
    FakeDriver(gpus=[FakeGpu("Tesla K80")]).install(tmp_path / "usr/lib64")
    found = gpus.probe(machine_without_driver(tmp_path, LD_LIBRARY_PATH="/opt/driver"))
    assert found.gpus is not None
    assert [gpu.name for gpu in found.gpus] == ["Tesla T4"]
    assert found.library == "/opt/driver/libnvidia-ml.so.580.159.04"


def test_driver_in_a_folder_of_ld_so_conf_is_found_in_a_sysroot(tmp_path: Path) -> None:
    FakeDriver(gpus=[FakeGpu("Tesla T4")]).install(tmp_path / "usr/lib64/nvidia")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/ld.so.conf").write_text("/usr/lib64/nvidia\n")
    found = gpus.probe(machine_without_driver(tmp_path))
    assert found.library == "/usr/lib64/nvidia/libnvidia-ml.so.580.159.04"


def test_library_of_a_sysroot_reached_through_a_link_keeps_the_machines_name(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "root").symlink_to("real")
    FakeDriver(gpus=[FakeGpu("Tesla T4")]).install(tmp_path / "real/usr/lib64")
    found = gpus.probe(machine_without_driver(tmp_path / "root"))
    assert found.library == "/usr/lib64/libnvidia-ml.so.580.159.04"


@pytest.mark.parametrize(
    "words",
    [
        f"{NOWHERE}: cannot open shared object file: No such file or directory",
        f"Error loading shared library {NOWHERE}: No such file or directory",
        f"dlopen({NOWHERE}, 0x0006): tried: '{NOWHERE}' (no such file)",
        "Could not find module 'C:/Windows/System32/nvml.dll' (or one of its dependencies).",
    ],
)
def test_loaders_words_for_nowhere_are_known_on_every_platform(words: str) -> None:
    assert driver_libraries.is_not_found(NOWHERE, words)


@pytest.mark.parametrize(
    "words",
    [
        "libdependency.so.4: cannot open shared object file: No such file or directory",
        f"{NOWHERE}: cannot open shared object file: Permission denied",
        f"{NOWHERE}: wrong ELF class: ELFCLASS32",
        f"/opt/{NOWHERE}: file too short",
    ],
)
def test_library_that_is_there_but_unusable_is_not_missing(words: str) -> None:
    assert not driver_libraries.is_not_found(NOWHERE, words)
