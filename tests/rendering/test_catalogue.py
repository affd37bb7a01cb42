"""All recipes together: every one of them, for every plan, says what it is, and takes in nothing that could become code."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.errors import InputError
from envdoctor.planning.model import Stack
from envdoctor.rendering import catalogue
from envdoctor.rendering.model import Options, RenderedFile
from tests.rendering.plans import PLANS

NAMES = [
    *("venv", "uv", "requirements", "conda", "pixi", "docker", "compose", "devcontainer"),
    *("apptainer", "kubernetes", "slurm", "github-actions", "driver", "toolkit", "ansible"),
]
ARGUMENTS = ("--gpu", "RTX 5090", "--with", "numpy>=2")


REFUSED = {
    **dict.fromkeys(
        [(name, "windows") for name in ("docker", "compose", "devcontainer", "apptainer", "kubernetes")],
        "makes a Linux container, and this plan is for windows_amd64",
    ),
    ("slurm", "windows"): "for Linux clusters",
    ("github-actions", "windows"): "for Linux runners",
    ("driver", "windows"): "for Linux",
    ("toolkit", "windows"): "for Linux",
    ("ansible", "windows"): "for Linux machines",
    ("slurm", "no-gpu"): "the plan has no GPU",
    ("slurm", "pypi-no-gpu"): "the plan has no GPU",
    ("driver", "no-gpu"): "the plan has none",
    ("driver", "pypi-no-gpu"): "the plan has none",
    ("toolkit", "no-gpu"): "built without CUDA",
}
"""Which recipe has no form for which plan, and what it says then."""
FORMS = [(name, plan) for name in NAMES for plan in PLANS if (name, plan) not in REFUSED]


def rendered(name: str, plan: str | Stack, **options: Any) -> tuple[RenderedFile, ...]:
    stack = PLANS[plan] if isinstance(plan, str) else plan
    return catalogue.render(name, stack, Options(arguments=ARGUMENTS, **options))


def test_the_list_is_what_the_tool_promises() -> None:
    assert list(catalogue.RECIPES) == NAMES
    assert all(summary.endswith(".") and len(summary) <= 90 for _, summary in catalogue.RECIPES.values())


@pytest.mark.parametrize(("name", "plan"), FORMS)
def test_every_recipe_says_what_it_is_and_what_made_it(name: str, plan: str) -> None:
    stack = PLANS[plan]
    files = rendered(name, plan)
    windows = stack.platform.startswith("windows")
    assert windows or files[0].path == catalogue.RECIPES[name][0]
    assert len({file.path for file in files}) == len(files)
    head = "\n".join(files[0].text.splitlines()[:40])
    assert stack.torch in files[0].text
    assert f"envdoctor recipe {name} --gpu 'RTX 5090' --with 'numpy>=2'" in head
    for file in files:
        assert file.text.endswith("\n") and not file.text.endswith("\n\n"), file.path
        assert not re.search(r"[ \t]+$", file.text, re.MULTILINE), file.path
        # Ansible's templates and GitHub's expressions have braces of their own.
        assert name in ("ansible", "github-actions") or "{{" not in file.text, file.path
        # What was not known must not be written as if it were a version.
        assert not re.search(r"^# .*\bNone\b|==None|=None\b|: None$", file.text, re.MULTILINE), file.path


@pytest.mark.parametrize(("name", "plan"), FORMS)
def test_no_pipe_has_a_reader_that_leaves_before_its_writer_has_finished(name: str, plan: str) -> None:
    # Under pipefail the writer's SIGPIPE ends the script, now and then, on a machine that is busy enough.
    for file in rendered(name, plan):
        if "pipefail" in file.text:
            early = re.search(r"\|\s*(head\b|grep\s+-\w*[qm]|awk\b[^|]*\bexit\b|sed\b[^|]*\dq\b).*", file.text)
            assert not early, f"{file.path}: {early and early.group()}"


@pytest.mark.parametrize("name", NAMES)
def test_the_same_plan_gives_the_same_bytes(name: str) -> None:
    assert rendered(name, "packages") == rendered(name, "packages")


@pytest.mark.parametrize(("name", "plan"), REFUSED)
def test_a_recipe_without_a_form_for_a_plan_says_why(name: str, plan: str) -> None:
    with pytest.raises(InputError, match=REFUSED[name, plan]):
        rendered(name, plan)


def test_a_wrong_name_is_met_with_the_right_one() -> None:
    with pytest.raises(InputError, match=r"no recipe 'dokcer'. Did you mean 'docker'\?"):
        catalogue.render("dokcer", PLANS["rtx5090"])


@pytest.mark.parametrize(
    "package",
    [
        "numpy; rm -rf /",
        "numpy\n--index-url http://x",
        "-r other.txt",
        "$(id)",
        "a b",
        "numpy\u2028x",
        "--pre",
        ".",
        "",
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_a_package_that_is_no_requirement_is_refused_by_every_recipe(name: str, package: str) -> None:
    stack = msgspec.structs.replace(PLANS["packages"], packages=("timm", package))
    with pytest.raises(InputError, match="no requirement"):
        catalogue.render(name, stack)


_FIELDS = sorted(
    set(Stack.__struct_fields__)
    - {"packages", "notes", "sources", "torchaudio_reason", "gpus", "environment", "requirements", "system_packages"}
)


@given(
    field=st.sampled_from(_FIELDS),
    bad=st.sampled_from(["1'; rm x", "$(id)", "a\nb", 'a"b', "`id`", "a\\b", "{{x}}", "a|b&c"]),
)
def test_a_plan_that_somebody_tampered_with_is_refused(field: str, bad: str) -> None:
    stack = msgspec.structs.replace(PLANS["rtx5090"], **{field: bad})
    with pytest.raises(InputError, match=f"plan's {field}"):
        catalogue.render("requirements", stack)


@pytest.mark.parametrize("variables", [{"A;B": "1"}, {"1A": "x"}, {"A": "x\ny"}])
def test_a_variable_that_no_shell_can_set_is_refused(variables: dict[str, str]) -> None:
    stack = msgspec.structs.replace(PLANS["build-extensions"], environment=variables)
    with pytest.raises(InputError, match="no shell can"):
        catalogue.render("venv", stack)


@pytest.mark.parametrize("name", NAMES)
def test_a_gpu_whose_driver_gives_it_a_hostile_name_stays_in_its_comment(name: str) -> None:
    gpu = msgspec.structs.replace(PLANS["rtx5090"].gpus[0], name="GPU'\"; touch pwned\nrm -r x $(id) `id`")
    for file in rendered(name, msgspec.structs.replace(PLANS["rtx5090"], gpus=(gpu,))):
        assert "\nrm -r x" not in file.text
