"""The loader's table, read out of real shared objects."""

from __future__ import annotations

import io

import pytest

from envdoctor.knowledge.elf import NotAnElfFile, needed_libraries
from tests.knowledge.package_index import shared_object


def test_the_libraries_that_a_shared_object_asks_for() -> None:
    made = shared_object("libcudart.so.13", "libtorch.so")
    assert needed_libraries(io.BytesIO(made)) == ("libcudart.so.13", "libtorch.so")


@pytest.mark.parametrize("length", [0, 4, 63, 64, 200])
def test_a_file_that_is_cut_off_is_refused(length: int) -> None:
    with pytest.raises(NotAnElfFile):
        needed_libraries(io.BytesIO(shared_object("libcudart.so.13")[:length]))


def test_a_file_that_is_cut_off_before_the_names_is_refused() -> None:
    made = shared_object("libcudart.so.13")
    with pytest.raises(NotAnElfFile):
        needed_libraries(io.BytesIO(made[: made.index(b"libcudart.so.13")]))


@pytest.mark.parametrize(
    "text", [b"", b"MZ" + bytes(200), b"\x7fELF\x01\x01" + bytes(200), b"\x7fELF\x02\x01" + bytes(58)]
)
def test_what_is_no_such_file_is_refused(text: bytes) -> None:
    with pytest.raises(NotAnElfFile):
        needed_libraries(io.BytesIO(text))
