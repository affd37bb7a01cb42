"""What people paste, by kind: one line, a note, an error above a dump. Both commands name the same cause, and none is green."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from envdoctor.diagnosis.judging import judge_content
from envdoctor.diagnosis.model import Diagnosed, Severity, Verdict
from envdoctor.knowledge import load
from tests.diagnosis.texts import judged

FOLDER = Path(__file__).parent / "pastes"


class Paste(msgspec.Struct, frozen=True, kw_only=True):
    """A text and what is to be said of it.

    `codes`: any of them may be the primary cause, () where the text holds none. `must`, `never`: what stands, and what does not,
    in the commands and notes of the primary's fixes. `verdict`, without a cause: 'own' (the program's own error), 'strange' (an
    error that nobody knows), 'calm' (no failure at all), 'none' (anything but an alarm).
    """

    name: str
    text: str
    codes: tuple[str, ...] = ()
    must: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    verdict: str = "broken"


def pastes() -> Iterator[Paste]:
    """'=== name' begins one; lines 'codes: ...', 'must: ...', 'not: ...', 'verdict: ...', an empty line, the text."""
    for path in sorted(FOLDER.glob("*.txt")):
        for part in ("\n" + path.read_text(encoding="utf-8")).split("\n=== ")[1:]:
            head, _, text = part.partition("\n\n")
            name, *lines = head.splitlines()
            fields = [(key, value.strip()) for key, _, value in (line.partition(":") for line in lines)]
            yield Paste(
                name=f"{path.stem}: {name}",
                text=text.rstrip() + "\n",
                codes=tuple(code for key, value in fields if key == "codes" for code in value.split()),
                must=tuple(value for key, value in fields if key == "must"),
                never=tuple(value for key, value in fields if key == "not"),
                verdict=next((value for key, value in fields if key == "verdict"), "broken"),
            )


PASTES = {paste.name: paste for paste in pastes()}
BROKEN = [name for name, paste in PASTES.items() if paste.codes]
SOUND = [name for name, paste in PASTES.items() if not paste.codes]


def _both(text: str) -> tuple[Diagnosed, Diagnosed]:
    """What explain and what check finds."""
    return judged(text), judge_content(text.encode(), load())[1]


def _codes(found: Diagnosed) -> list[str]:
    return [finding.code for finding in found.findings if finding.severity is not Severity.INFO]


def test_there_are_enough_of_them() -> None:
    assert len(PASTES) >= 150
    assert len(SOUND) * 5 >= len(PASTES)


@pytest.mark.parametrize("name", BROKEN)
def test_the_cause_is_named(name: str) -> None:
    paste = PASTES[name]
    explained, checked = _both(paste.text)
    assert explained.primary is not None, explained.not_understood
    assert explained.primary.code in paste.codes, _codes(explained)
    assert checked.primary is not None
    assert checked.primary.code == explained.primary.code
    assert checked.verdict is not Verdict.HEALTHY
    said = "\n".join(line for fix in checked.primary.fixes for line in (*fix.commands, fix.note or ""))
    assert [words for words in paste.must if words not in said] == [], said
    assert [words for words in paste.never if words in said] == [], said


@pytest.mark.parametrize("name", SOUND)
def test_no_cause_is_named_where_there_is_none(name: str) -> None:
    paste = PASTES[name]
    for found in _both(paste.text):
        assert _codes(found) == []
        if paste.verdict == "own":
            assert found.own_errors
            assert found.not_understood == ()
        elif paste.verdict == "strange":
            assert found.not_understood
            assert found.verdict is Verdict.UNKNOWN
        elif paste.verdict == "calm":
            assert (found.own_errors, found.not_understood) == ((), ())
