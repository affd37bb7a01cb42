"""Files are put where they were asked for: nothing is overwritten unasked, and nothing is half-written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from envdoctor.errors import InputError
from envdoctor.rendering.model import RenderedFile
from envdoctor.rendering.writing import write

FILES = (RenderedFile("a/b.sh", "#!/bin/sh\n", executable=True), RenderedFile("c.txt", "text\n"))


def test_folders_are_made_and_scripts_can_be_run(tmp_path: Path) -> None:
    places = write(FILES, tmp_path / "new/folder")
    assert [place.read_text() for place in places] == ["#!/bin/sh\n", "text\n"]
    assert os.access(places[0], os.X_OK) and not os.access(places[1], os.X_OK)


def test_a_private_umask_is_kept_to(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        script, _ = write(FILES, tmp_path)
    finally:
        os.umask(before)
    assert script.stat().st_mode & 0o777 == 0o700


def test_nothing_is_written_where_one_file_is_there_already(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("mine")
    with pytest.raises(InputError, match=r"c\.txt is there already; --force overwrites"):
        write(FILES, tmp_path)
    assert (tmp_path / "c.txt").read_text() == "mine"
    assert not (tmp_path / "a").exists()
    write(FILES, tmp_path, force=True)
    assert (tmp_path / "c.txt").read_text() == "text\n"


def test_a_broken_link_is_there_already(tmp_path: Path) -> None:
    (tmp_path / "c.txt").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="there already"):
        write(FILES, tmp_path)


def test_a_folder_in_a_files_place_is_said_even_with_force(tmp_path: Path) -> None:
    (tmp_path / "c.txt").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        write(FILES, tmp_path, force=True)
    assert not (tmp_path / "a").exists()


def test_a_file_in_a_folders_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(InputError, match="cannot make the folder"):
        write(FILES, tmp_path)


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x"])
def test_no_recipe_writes_outside_its_folder(path: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="outside"):
        write((RenderedFile(path, ""),), tmp_path / "in")
