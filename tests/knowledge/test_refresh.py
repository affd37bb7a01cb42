"""Refreshing the tables: against recorded answers of the registry here, against the registry itself where asked for."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from envdoctor.knowledge.refresh import main
from envdoctor.knowledge.registry import DEFAULT_INDEX, Registry, RegistryError
from envdoctor.knowledge.tables import DATA
from tests.knowledge.package_index import PackageIndex, serve

TABLES = ("torch_pypi", "companions", "companion_wheels", "triton", "published")


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    monkeypatch.setattr("envdoctor.knowledge.registry.time.sleep", lambda _seconds: None)
    with serve() as server:
        yield server


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The committed tables, as they were before 2.15.0 came out."""
    for name in TABLES:
        shutil.copy(DATA / f"{name}.json", tmp_path)
    edit(tmp_path, "torch_pypi", lambda table: without(table, "releases", "version", "2.15.0"))
    for version in ("0.29.2", "2.11.1"):
        edit(tmp_path, "companions", lambda table, gone=version: without(table, "companions", "version", gone))
    edit(tmp_path, "companion_wheels", lambda table: without(table, "wheels", "version", "2.11.1"))
    edit(tmp_path, "published", lambda table: table["packages"]["nvidia-cudnn-cu13"].pop("9.26.0.51"))
    return tmp_path


def without(table: dict[str, Any], rows: str, field: str, value: str) -> None:
    table[rows] = [row for row in table[rows] if row[field] != value]


def edit(folder: Path, name: str, change: Any) -> None:
    path = folder / f"{name}.json"
    table = json.loads(path.read_text())
    change(table)
    path.write_text(json.dumps(table))


def row(
    folder: Path, name: str = "torch_pypi", rows: str = "releases", version: str = "2.15.0"
) -> dict[str, Any] | None:
    table = json.loads((folder / f"{name}.json").read_text())
    return next((row for row in table[rows] if row["version"] == version), None)


def run(index: PackageIndex, data: Path, *more: str) -> int:
    return main(["--index", index.url, "--data", str(data), *more])


def test_a_new_release_is_read_out_of_its_wheels(
    index: PackageIndex, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(index, data) == 0

    said = capsys.readouterr().out
    assert "torch 2.15.0: new, 2026-10-28" in said
    assert "linux_x86_64 cu132 [sm_75 sm_80 sm_86 sm_90 sm_100 sm_120]" in said
    assert "torch 2.15.0: goes with torchvision 0.29.2, torchaudio 2.11.1" in said
    assert "nvidia-cudnn-cu13 9.26.0.51: new, 2026-09-10" in said


def test_what_is_read_is_what_is_committed(index: PackageIndex, data: Path) -> None:
    """The committed row was rebuilt from PyPI; rebuilding it from the recorded answers gives the same wheels."""
    run(index, data)

    made, committed = row(data), row(DATA)
    assert made is not None
    assert committed is not None
    assert made["wheels"] == committed["wheels"]
    assert {key: made[key] for key in ("version", "date", "torchvision", "torchaudio", "requires_python")} == {
        key: committed[key] for key in ("version", "date", "torchvision", "torchaudio", "requires_python")
    }
    assert row(data, "companions", "companions", "0.29.2") == row(DATA, "companions", "companions", "0.29.2")


def test_what_a_companion_was_built_against_is_read_out_of_its_library(index: PackageIndex, data: Path) -> None:
    run(index, data)

    table = json.loads((data / "companion_wheels.json").read_text())
    made = {row["platform"]: row for row in table["wheels"] if row["version"] == "2.11.1"}
    assert made["linux_x86_64"]["cuda"] == ["13.2"]
    assert made["windows_amd64"]["cuda"] == made["macos_arm64"]["cuda"] == []
    assert made["linux_x86_64"]["torch"] == ">=2.11"
    assert made["linux_x86_64"]["needs"] == ["libtorch.so", "libcudart.so.13"]


def test_the_result_does_not_depend_on_what_the_table_said_before(index: PackageIndex, data: Path) -> None:
    """A pair that was written down wrongly, or before a companion came out, is put right by the next refresh."""
    run(index, data)
    fresh = {name: (data / f"{name}.json").read_bytes() for name in TABLES}

    def misled(table: dict[str, Any]) -> None:
        for release in table["releases"]:
            release["torchaudio"] = release["torchvision"] = "9.9.9"

    edit(data, "torch_pypi", misled)
    run(index, data)

    assert {name: (data / f"{name}.json").read_bytes() for name in TABLES} == fresh


def test_a_second_refresh_reads_no_wheel_and_changes_nothing(
    index: PackageIndex, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(index, data)
    tables = {name: (data / f"{name}.json").read_bytes() for name in TABLES}
    index.asked.clear()
    capsys.readouterr()

    assert run(index, data, "--check") == 0

    assert index.wheels_asked() == []
    assert capsys.readouterr().out == ""
    assert tables == {name: (data / f"{name}.json").read_bytes() for name in TABLES}


def test_only_parts_of_a_wheel_are_fetched(index: PackageIndex, data: Path) -> None:
    run(index, data, "--only", "torch")

    assert index.asked.count("/files/torch-2.15.0-cp311-cp311-manylinux_2_28_x86_64.whl") < 20


def test_check_writes_nothing_and_says_by_its_exit_code_that_something_changed(index: PackageIndex, data: Path) -> None:
    before = (data / "torch_pypi.json").read_bytes()

    assert run(index, data, "--check") == 1

    assert (data / "torch_pypi.json").read_bytes() == before


def test_a_python_that_got_wheels_later_is_reported(
    index: PackageIndex, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(index, data)
    later = dict(index.projects["torch"][0])
    later["filename"] = "torch-2.15.0-cp316-cp316-win_amd64.whl"
    index.projects["torch"].append(later)
    capsys.readouterr()

    run(index, data)

    assert "torch 2.15.0: Python on windows_amd64: +3.16" in capsys.readouterr().out


def test_a_release_that_left_the_index_is_kept(index: PackageIndex, data: Path) -> None:
    run(index, data)
    index.projects["torch"] = [file for file in index.projects["torch"] if "2.14.1" not in file["filename"]]

    run(index, data)

    assert row(data, version="2.14.1") is not None


def test_a_yanked_release_is_marked(index: PackageIndex, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(index, data)
    for file in index.projects["torch"]:
        if "2.15.0" in file["filename"]:
            file["yanked"] = "broken"
    capsys.readouterr()

    run(index, data)

    assert "torch 2.15.0: yanked was False, is True" in capsys.readouterr().out


def test_metadata_beside_the_wheel_is_preferred_where_the_index_serves_it(index: PackageIndex, data: Path) -> None:
    for file in index.projects["torchvision"]:
        file["core-metadata"] = {"sha256": "0" * 64}

    run(index, data, "--only", "companions")

    assert [name for name in index.wheels_asked() if name.startswith("torchvision")] == []
    found = row(data, "companions", "companions", "0.29.2")
    assert found is not None
    assert found["torch"] == ">=2.14.0"


def test_a_busy_server_is_asked_again(index: PackageIndex, data: Path) -> None:
    index.failures["/simple/torch/"] = [503, 429]

    assert run(index, data) == 0

    assert index.asked.count("/simple/torch/") == 3


@pytest.mark.parametrize("path", ["/simple/torch/", "/files/torch-2.15.0-cp311-cp311-manylinux_2_28_aarch64.whl"])
def test_a_failure_half_way_leaves_the_tables_whole(
    index: PackageIndex, data: Path, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {name: (data / f"{name}.json").read_bytes() for name in TABLES}
    index.failures[path] = [500] * 9

    assert run(index, data) == 2

    assert {name: (data / f"{name}.json").read_bytes() for name in TABLES} == before
    assert "refresh: the package index does not answer" in capsys.readouterr().err


def test_a_missing_project_is_not_asked_for_twice(index: PackageIndex) -> None:
    index.failures["/simple/torch/"] = [404]

    with pytest.raises(RegistryError, match="404"):
        Registry(index.url).files("torch")
    assert index.asked == ["/simple/torch/"]


def test_a_server_without_ranges_is_named_as_the_trouble(
    index: PackageIndex, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index.ranges = False

    assert run(index, data, "--only", "torch") == 2

    assert "does not serve parts of files" in capsys.readouterr().err


def test_an_index_that_speaks_no_json_is_named_as_the_trouble(
    index: PackageIndex, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index.html = True

    assert run(index, data) == 2

    assert "does not answer with a JSON index" in capsys.readouterr().err


def test_an_index_without_torch_is_refused(index: PackageIndex, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index.projects["torch"] = []

    assert run(index, data) == 2

    assert "lists no torch" in capsys.readouterr().err


def test_the_index_of_the_environment_is_used(index: PackageIndex, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", index.url)

    assert main(["--data", str(data), "--only", "published"]) == 0

    assert "/simple/cuda-toolkit/" in index.asked


@pytest.mark.registry
def test_the_committed_tables_contain_nothing_that_the_registry_denies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """New releases may have come since; what is in the tables must still be so."""
    for name in TABLES:
        shutil.copy(DATA / f"{name}.json", tmp_path)
    index = os.environ.get("PIP_INDEX_URL", DEFAULT_INDEX)

    assert main(["--index", index, "--data", str(tmp_path)]) == 0

    changes = [line for line in capsys.readouterr().out.splitlines() if ": new" not in line and "goes with" not in line]
    assert [line for line in changes if ": Python on" not in line or " -" in line] == []


@pytest.mark.registry
def test_a_wheel_on_the_registry_says_what_the_table_says() -> None:
    """One old and one new wheel, read again."""
    from envdoctor.knowledge.tables import read
    from envdoctor.knowledge.torch_rows import PypiTable
    from envdoctor.knowledge.wheel_facts import read_torch_wheel

    registry = Registry(os.environ.get("PIP_INDEX_URL", DEFAULT_INDEX))
    files = {file.filename: file for file in registry.files("torch")}
    for release in read("torch_pypi", PypiTable).releases:
        if release.version in ("2.6.0", "2.15.0"):
            known = release.wheels["linux_x86_64"]
            found = read_torch_wheel(registry, files[known.file])
            assert (found.flags, found.local, found.cxx11_abi, set(found.requires)) == (
                known.flags,
                known.local,
                known.cxx11_abi,
                set(known.requires),
            )
