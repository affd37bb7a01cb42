"""The data files themselves: whole, ordered, traceable, and naming nothing that was never published."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from envdoctor.knowledge import Knowledge, load
from envdoctor.knowledge.tables import DATA
from envdoctor.knowledge.versions import capability_key, cuda_key, version

FILES = sorted(DATA.glob("*.json"))
PLATFORMS = {"linux_x86_64", "linux_aarch64", "windows_amd64", "windows_arm64", "macos_arm64", "macos_x86_64"}


@pytest.fixture(scope="module")
def world() -> Knowledge:
    return load()


def _records(node: Any) -> list[dict[str, Any]]:
    """Every object in a file, at any depth."""
    if isinstance(node, dict):
        return [node, *(record for value in node.values() for record in _records(value))]
    if isinstance(node, list):
        return [record for value in node for record in _records(value)]
    return []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_source_that_a_record_names_is_there_and_every_one_there_is_named(file: Path) -> None:
    table = json.loads(file.read_text())
    if "sources" not in table:
        assert table["source"]
        return
    named = {
        identifier.partition(":")[0]
        for record in _records(table)
        for key, value in record.items()
        if key == "source" or key.endswith("_source")
        for identifier in value
    }
    assert named == set(table["sources"])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_file_has_a_schema_and_a_day(file: Path) -> None:
    table = json.loads(file.read_text())
    assert table["schema"] == f"envdoctor.knowledge.{file.stem}/1"
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", table["as_of"])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_file_names_a_path_or_host_of_the_machine_it_was_made_on(file: Path) -> None:
    text = file.read_text()
    assert not re.search(r"/(root|home|work|tmp|opt)/|file://|localhost|127\.0\.0\.1", text)


def test_the_data_stays_small() -> None:
    assert sum(file.stat().st_size for file in FILES) < 800_000


def test_releases_are_newest_first_from_1_13_to_2_15(world: Knowledge) -> None:
    versions = [version(release.version) for release in world.torch_releases()]
    assert versions == sorted(versions, reverse=True)
    assert len(set(versions)) == len(versions) >= 30
    assert str(versions[-1]) == "1.13.0"
    assert versions[0] >= version("2.15.0")
    dates = [release.date for release in world.torch_releases()]
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\d", date) for date in dates)


def test_every_build_has_evidence_that_it_was_published(world: Knowledge) -> None:
    for build in world.torch_builds():
        assert build.evidence, build.name
        assert all(text.strip() for text in build.evidence)
        assert build.source
        assert build.platform in PLATFORMS


def test_a_build_is_listed_once(world: Knowledge) -> None:
    names = [(build.name, build.platform) for build in world.torch_builds()]
    assert len(set(names)) == len(names)


def test_nothing_is_both_published_and_said_not_to_be(world: Knowledge) -> None:
    for release in world.torch_releases():
        have = {(build.variant, build.platform) for build in world.torch_builds(release.version)}
        for row in (*release.unconfirmed, *release.not_published):
            platforms = row.platforms or PLATFORMS
            assert not have & {(row.variant, platform) for platform in platforms}, (release.version, row.variant)
            assert row.reason


def test_variants_agree_with_their_cuda_and_their_index(world: Knowledge) -> None:
    for build in world.torch_builds():
        if build.cuda is None:
            assert build.variant == "cpu" or build.variant.startswith("rocm")
            assert build.min_driver is None
            continue
        assert build.variant == "cu" + build.cuda.replace(".", "")
        assert build.min_driver == world.minimum_driver(build.cuda, build.platform) is not None
        assert build.index_url in (None, f"https://download.pytorch.org/whl/{build.variant}")


def test_each_release_has_one_default_build_a_platform(world: Knowledge) -> None:
    for release in world.torch_releases():
        defaults = [build.platform for build in world.torch_builds(release.version) if build.index_url is None]
        assert sorted(defaults) == sorted(release.python)


def test_a_pinned_toolkit_is_of_the_build_s_own_cuda(world: Knowledge) -> None:
    for build in world.torch_builds():
        if build.toolkit is not None:
            assert build.cuda is not None
            assert cuda_key(build.toolkit) == cuda_key(build.cuda), build.name


def test_pins_of_torch_exist_on_pypi(world: Knowledge) -> None:
    """A wheel that pins what was never uploaded could not be installed; a table that says so has a typing error."""
    for build in world.torch_builds():
        for requirement in build.requires:
            match = re.fullmatch(r"(nvidia-(?:cudnn|nccl)-cu\d+|cuda-toolkit|triton)(?:\[.*\])?==([\d.]+)", requirement)
            if match:
                published = {str(version(text)) for text in world.published(match[1])}
                have = version(match[2])
                assert any(version(text) == have for text in published), (build.name, requirement)


def test_architecture_flags_are_flags(world: Knowledge) -> None:
    for build in world.torch_builds():
        assert all(re.fullmatch(r"(sm|compute)_\d{2,3}[af]?", flag) for flag in build.arch_flags), build.name
        if build.has_ptx is not None and build.arch_flags:
            assert build.has_ptx == any(flag.startswith("compute_") for flag in build.arch_flags), build.name


def test_no_build_has_code_for_a_gpu_that_its_cuda_cannot_compile_for(world: Knowledge) -> None:
    for build in world.torch_builds():
        for flag in build.arch_flags:
            major, minor = capability_key(flag)
            record = world.architecture(f"{major}.{minor}")
            assert record is not None, flag
            assert build.cuda is not None
            if record.first_cuda is not None:
                assert cuda_key(build.cuda) >= cuda_key(record.first_cuda), (build.name, flag)
            if record.last_cuda is not None:
                assert cuda_key(build.cuda) <= cuda_key(record.last_cuda), (build.name, flag)


def test_every_gpu_is_of_a_known_architecture_and_its_driver_within_it(world: Knowledge) -> None:
    for gpu in world.gpus():
        record = world.architecture(gpu.capability)
        assert record is not None, gpu.name
        if gpu.first_driver is not None and record.first_driver_branch is not None:
            assert version(gpu.first_driver) >= version(record.first_driver_branch), gpu.name
        assert gpu.source


def test_gpu_names_and_pci_ids_are_unique(world: Knowledge) -> None:
    names = [gpu.name.lower() for gpu in world.gpus()]
    assert len(set(names)) == len(names)
    for gpu in world.gpus():
        for identifier in gpu.pci_ids:
            assert re.fullmatch(r"[0-9A-F]{4}", identifier)
            found = world.gpu_by_pci_id(identifier)
            assert found is not None
            assert found.capability == gpu.capability, identifier
            assert world.capability_of_pci_id(identifier) == gpu.capability


def test_every_gpu_is_found_by_its_own_name(world: Knowledge) -> None:
    for gpu in world.gpus():
        found = world.gpu(gpu.name)
        assert found.capability == gpu.capability, gpu.name
        assert found.name == gpu.name or gpu.name in found.models, (gpu.name, found.name)


def test_figures_are_plausible(world: Knowledge) -> None:
    """A unit slip (MB for GB, sparse for dense) is a factor; these bounds catch one."""
    for gpu in world.gpus():
        if gpu.bandwidth_gb_s is not None:
            assert 5 <= gpu.bandwidth_gb_s <= 10_000, gpu.name
        for size in (gpu.memory_gb, *gpu.memory_gb_options):
            assert size is None or 0.25 <= size <= 400, gpu.name
        if gpu.tensor_tflops and gpu.fp32_tflops:
            assert gpu.tensor_source, gpu.name
            for name, peak in gpu.tensor_tflops.items():
                assert peak > 0, (gpu.name, name)
            if "bf16" in gpu.tensor_tflops and "fp8" in gpu.tensor_tflops:
                assert gpu.tensor_tflops["fp8"] == pytest.approx(2 * gpu.tensor_tflops["bf16"], rel=0.02), gpu.name


def test_driver_branches_and_toolkits_rise_together(world: Knowledge) -> None:
    branches = [branch for branch in world.driver_branches() if branch.max_cuda]
    numbers = [int(branch.branch) for branch in branches]
    assert numbers == sorted(numbers)
    cudas = [cuda_key(branch.max_cuda or "0") for branch in branches]
    assert cudas == sorted(cudas)
    for toolkit in world.toolkits():
        driver = world.toolkit_driver(toolkit)
        branch = world.driver_branch(driver) if driver else None
        if branch is not None and branch.max_cuda is not None:
            assert cuda_key(branch.max_cuda) >= cuda_key(toolkit), toolkit


def test_a_toolkit_s_own_driver_is_never_older_than_the_family_minimum(world: Knowledge) -> None:
    for platform in ("linux_x86_64", "windows_amd64"):
        for toolkit in world.toolkits():
            own, minimum = world.toolkit_driver(toolkit, platform), world.minimum_driver(toolkit, platform)
            if own is not None and minimum is not None and cuda_key(toolkit) >= (11, 1) and toolkit != "12.0.0":
                assert version(own) >= version(minimum), (platform, toolkit)


def test_companions_pin_torch_releases_that_exist(world: Knowledge) -> None:
    known = {release.version for release in world.torch_releases()}
    for package in world.companion_packages():
        for row in world.companions(package):
            if row.torch.startswith("==") and "," not in row.torch and not row.torch.endswith("*"):
                assert str(version(row.torch[2:])) in known, (package, row.version, row.torch)


def test_pairs_of_torchvision_and_torchaudio_are_those_of_their_own_metadata(world: Knowledge) -> None:
    for release in world.torch_releases():
        for package, paired in (("torchvision", release.torchvision), ("torchaudio", release.torchaudio)):
            assert paired is not None
            assert paired in {row.version for row in world.companions(package, release.version)}, (
                package,
                release.version,
            )


def test_images_of_a_cuda_version_carry_it_in_their_tag(world: Knowledge) -> None:
    images = world.cuda_images()
    assert len({image.tag for image in images}) == len(images) > 300
    for image in images:
        assert image.tag.startswith(image.cuda + "-")
        assert image.tag.endswith(image.os)
        assert image.source


def test_every_torch_build_s_cuda_has_an_image(world: Knowledge) -> None:
    cudas = {build.cuda for build in world.torch_builds() if build.cuda}
    assert {cuda for cuda in cudas if not world.cuda_images(cuda, flavour="devel")} == set()


def test_host_compilers_are_known_for_every_cuda_that_torch_was_built_with(world: Knowledge) -> None:
    for cuda in {build.cuda for build in world.torch_builds() if build.cuda}:
        assert world.host_compilers(cuda) is not None, cuda
