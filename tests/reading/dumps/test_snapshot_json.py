"""Snapshots as JSON, alone or inside reports, and files that are none."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import msgspec
import pytest

from envdoctor.errors import InputError
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.host import Host
from envdoctor.reading.dumps import read
from tests.reading.dumps import samples

MACHINE = Snapshot(source="live", host=Host(system="Linux", kernel="6.8.0"), environment={"CUDA_HOME": "/opt/cuda"})
TEXT = msgspec.json.encode(MACHINE).decode()


def refused(text: str | bytes) -> str:
    with pytest.raises(InputError) as caught:
        read(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "dress",
    [
        lambda t: t,
        lambda t: "\ufeff" + t,
        lambda t: f"\n\n  {t}\n",
        lambda t: json.dumps(json.loads(t), indent=4),
        lambda t: f"Here is my snapshot:\n```json\n{t}\n```\nthanks",
        lambda t: json.dumps({"schema": "envdoctor.report/1", "ok": True, "findings": [], "snapshot": json.loads(t)}),
        lambda t: json.dumps(
            {"schema": "envdoctor.bench/1", "snapshot": json.loads(t), "workloads": [{"name": "matmul"}]}
        ),
        lambda t: t.encode("utf-16"),
        lambda t: json.dumps({**json.loads(t), "a field of tomorrow": [1, 2]}),
    ],
)
def test_a_snapshot_comes_back_as_it_was(dress: Callable[[str], str | bytes]) -> None:
    assert read(dress(TEXT)) == MACHINE


def test_a_snapshot_read_from_a_dump_survives_being_written() -> None:
    for text in samples.LAYOUTS.values():
        snapshot = read(text)
        assert read(msgspec.json.encode(snapshot)) == snapshot


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TEXT.replace("snapshot/1", "snapshot/2"), "envdoctor.snapshot/2: made by a newer envdoctor; update this one"),
        (TEXT.replace("snapshot/1", "snapshot/x"), "envdoctor.snapshot/x: this envdoctor reads envdoctor.snapshot/1"),
        ('{"schema": "envdoctor.explain/1", "matches": []}', "envdoctor.explain/1, which holds no snapshot"),
        ('{"schema": "envdoctor.report/1", "ok": true}', "holds no snapshot"),
        ('{"schema": "envdoctor.bench/1", "snapshot": null}', "holds no snapshot"),
        ('{"schema": "envdoctor.report/1", "snapshot": {"schema": "envdoctor.snapshot/9"}}', "newer envdoctor"),
        ('{"name": "other"}', "is no envdoctor snapshot"),
        ('{"schema": 7}', "is no envdoctor snapshot"),
        (TEXT.replace('"6.8.0"', "68"), "field host.kernel: Expected `str | null`, got `int`"),
        (TEXT.replace('{"system"', '[1], "x": {"system"'), "field host: Expected"),
        (TEXT.replace('"6.8.0"', '"6.8.0\x01"'), "not JSON that can be read"),
        (TEXT + "}", "not JSON that can be read"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, words: str) -> None:
    assert words in refused(text)


def test_a_file_that_is_cut_off_says_where() -> None:
    for end in range(60, len(TEXT) - 1, 7):
        said = refused(TEXT[:end])
        assert f"ends at byte {end} in the middle" in said or "not JSON that can be read" in said


def test_a_cut_snapshot_inside_other_text_is_refused_too() -> None:
    assert "broken or cut off" in refused(f"see:\n```\n{TEXT[:-20]}")


def test_hostile_json_is_refused_quickly() -> None:
    began = time.monotonic()
    assert "nested too deeply" in refused('{"schema": "envdoctor.snapshot/1", "messages": ' + "[" * 200_000)
    assert "nested too deeply" in refused('see {"schema": "envdoctor.snapshot/1", "messages": ' + "[" * 200_000)
    refused('{"schema": "envdoctor.snapshot/1", "messages": [' + '"a",' * 2_000_000)
    refused('{"schema": "envdoctor.snapshot/1", "messages": "' + "\0" * 1_000_000)
    refused("{" * 1_000_000)
    refused('{"a":' * 1_000_000)
    assert time.monotonic() - began < 20


def test_other_text_in_braces_is_read_as_text() -> None:
    assert read("{\n" + samples.OLD + "\n}").torch == read(samples.OLD).torch


def test_lone_surrogates_do_no_harm() -> None:
    refused(TEXT.replace("6.8.0", "\udcff") + "{")
    assert read(samples.OLD + "\udcff\n").torch == read(samples.OLD).torch
