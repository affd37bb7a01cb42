"""Whatever a value holds, the language that it is written into reads that value and nothing else."""

from __future__ import annotations

import ast
import json
import subprocess
from typing import Any

import pytest
import tomli
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from envdoctor.rendering import templates
from tests.rendering.powershell import errors, literal

HOSTILE = (
    "plain",
    "two words",
    "$(touch pwned)",
    "`touch pwned`",
    "'; touch pwned; '",
    '"; touch pwned; "',
    "a\nb: c",
    "{{ stack }}",
    "#!comment",
    "- item",
    "3.10",
    "no",
    "",
    "\\",
    "\u2019; rm -r x; \u2019",
    "tab\there",
    "\x7f\x85\u2028\u202e",
)
text = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(codec="utf-8"), max_size=30))


@given(text)
@example("\u0085")
@example("\ufeff")
def test_toml_yaml_json_and_python_read_back_what_was_written(value: str) -> None:
    assert tomli.loads(f"x = {templates.toml(value)}")["x"] == value
    assert yaml.safe_load(f"x: {templates.yaml(value)}")["x"] == value
    assert json.loads(templates.to_json(value)) == value
    assert ast.literal_eval(repr(value)) == value


@given(st.lists(text, max_size=4))
def test_lists_are_read_back_as_lists(values: list[str]) -> None:
    assert tomli.loads(f"x = {templates.toml(values)}")["x"] == values
    assert yaml.safe_load(f"x: {templates.yaml(values)}")["x"] == values


@pytest.mark.parametrize(("value", "written"), [(True, "true"), (3, "3"), (None, "null")])
def test_what_is_no_text_is_not_quoted(value: Any, written: str) -> None:
    assert templates.yaml(value) == written
    assert value is None or templates.toml(value) == written


def test_a_shell_gets_each_value_as_one_word() -> None:
    values = [value for value in HOSTILE if "\0" not in value]
    done = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {templates.sh(values)}"], capture_output=True, check=True, timeout=20
    )
    assert done.stdout.decode().split("\0")[:-1] == values


@given(text.filter(lambda value: "\0" not in value))
def test_powershell_reads_one_literal(value: str) -> None:
    written = templates.powershell(value)
    assert literal(written) == value


def test_the_powershell_parser_of_these_tests_sees_what_is_broken() -> None:
    assert errors("$x = 'a' b'")
    assert not errors("$x = @('a', 'b')\nif ($x) { Write-Host $x }\n")


@given(st.one_of(text, st.lists(text)))
def test_a_comment_never_ends_before_its_line_does(value: Any) -> None:
    for line in templates.comment(value).splitlines():
        assert line.startswith("#")
        assert line.isprintable()


def test_a_template_that_names_what_it_was_not_given_fails() -> None:
    with pytest.raises(UndefinedError):
        templates.environment().from_string("{{ stack.torch }} {{ nothing }}").render(stack={"torch": "2.15.0"})
