"""Operating systems and official Python images: names in every form, facts with sources."""

from __future__ import annotations

import pytest

from envdoctor.knowledge import KnowledgeError, load
from envdoctor.knowledge.versions import version

WORLD = load()


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        ("ubuntu24.04", "ubuntu24.04"),
        ("Ubuntu 24.04.3 LTS", "ubuntu24.04"),
        ("ubuntu 24", "ubuntu24.04"),
        ("bookworm", "debian12"),
        ("Debian GNU/Linux 13 (trixie)", "debian13"),
        ("Red Hat Enterprise Linux 8.10", "rhel8"),
        ("UBI 9", "rhel9"),
        ("AlmaLinux 9.5", "almalinux9"),
        ("centos stream 9", "centos-stream9"),
        ("CentOS Linux 7", "centos7"),
        ("Oracle Linux 8", "oraclelinux8"),
        ("Amazon Linux 2023", "amzn2023"),
        ("amzn2", "amzn2"),
        ("SUSE Linux Enterprise Server 15 SP5", "sles15.5"),
        ("openSUSE Leap 15.6", "opensuse15.6"),
        ("opensuse-tumbleweed", "tumbleweed"),
        ("Arch Linux", "arch"),
        ("Windows Server 2022", "windows"),
        ("macOS 15", "macos"),
        ("JetPack 6.2.1", "ubuntu22.04"),
        ("jetpack7", "ubuntu24.04"),
    ],
)
def test_a_system_is_found_by_the_names_that_people_and_files_use(text: str, identifier: str) -> None:
    assert WORLD.system(text).id == identifier


def test_every_id_finds_itself() -> None:
    for row in WORLD.systems():
        assert WORLD.system(row.id) == row
        assert row.source, row.id


def test_a_release_without_its_minor_is_the_oldest_of_them() -> None:
    assert WORLD.system("sles15").id == "sles15.5", "what runs there runs on all of 15"


def test_a_release_newer_than_the_table_has_at_least_the_c_library_of_the_newest() -> None:
    future = WORLD.system("debian15")
    assert (future.newer_than_table, future.glibc, future.python) == (True, "2.41", None)


@pytest.mark.parametrize("text", ["ubuntu4.10", "fedora12", "debain12", "plan9", "ubuntu", "jetpack9", "jetpack", ""])
def test_a_name_that_is_none_raises_with_what_there_is(text: str) -> None:
    with pytest.raises(KnowledgeError):
        WORLD.system(text)


def test_the_c_library_never_gets_older_with_a_newer_release() -> None:
    for family in ("ubuntu", "debian", "rhel", "fedora", "opensuse"):
        rows = [row for row in WORLD.systems() if row.id.rstrip("0123456789.") == family]
        rows.sort(key=lambda row: version(row.id.removeprefix(family)))
        assert len(rows) >= 3
        glibcs = [version(row.glibc or "0") for row in rows]
        assert glibcs == sorted(glibcs), family


def test_it_agrees_with_the_cuda_installation_guide() -> None:
    for known in WORLD.system_compilers():
        assert WORLD.system(known.name).glibc == known.glibc


def test_jetpacks_are_for_jetson_boards_and_bring_an_ubuntu_of_the_table() -> None:
    boards = {record.capability for record in WORLD.architectures() if record.jetson}
    for row in WORLD.jetpacks():
        assert set(row.capabilities) <= boards
        assert WORLD.system(row.os).id == row.os
        assert row.source


def test_each_python_that_torch_has_wheels_for_has_an_official_image_unless_free_threaded() -> None:
    tags = {tag for build in WORLD.torch_builds() for tag in build.python_tags}
    for tag in tags:
        image = WORLD.python_image(tag)
        assert (image is None) == tag.endswith("t"), tag
        if image is not None:
            assert image.reference.startswith(f"python:{tag}-slim-")
            assert image.source
