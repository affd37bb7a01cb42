"""What makes a command line feel at home: completion, help, version, files instead of stdout, formats of CI systems."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from envdoctor.cli.completions import gpus
from envdoctor.cli.recipe import CONTAINERS, PLANS
from envdoctor.knowledge import load
from envdoctor.rendering.catalogue import RECIPES
from tests.bench.scripts import envdoctor
from tests.rendering.tools import check_with

ROOT = Path(__file__).parents[2]
SARIF = ROOT / "tests" / "rendering" / "schemas" / "sarif-2.1.0.json"
BAD = "FROM python:3.12-slim\n" + 2 * "RUN pip install torch==2.6.0 torchvision==0.20.0\n"


def completed(words: str, home: Path) -> list[str]:
    number = str(len(words.split(" ")) - 1)
    code, out, err = envdoctor(
        home=home, _ENVDOCTOR_COMPLETE="bash_complete", COMP_WORDS=f"envdoctor {words}", COMP_CWORD=str(int(number) + 1)
    )
    assert code == 0, err
    return [line.partition(",")[2] for line in out.splitlines()]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("ch", "check"),
        ("check --for", "--format"),
        ("check --format sa", "sarif"),
        ("check --only driver-too", "driver-too-old"),
        ("explain torch-cpu", "torch-cpu-only"),
        ("recipe do", "docker"),
        ("recipe plan --gpu rtx-409", "RTX-4090"),
        ("compat --gpu H100-P", "H100-PCIe"),
        ("bench --workload matmul.b", "matmul.bf16"),
    ],
)
def test_what_is_being_typed_is_completed(words: str, expected: str, tmp_path: Path) -> None:
    assert expected in completed(words, tmp_path)


def test_a_completed_gpu_is_one_word_and_understood() -> None:
    import click

    names = gpus(click.Context(click.Command("x")), click.Option(["--gpu"]), "")
    assert len(names) > 400
    for name in names:
        assert not set(name) & set(" '\"$()&;|"), name
        load().gpu(name)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_of_that_shell(shell: str, tmp_path: Path) -> None:
    code, out, _ = envdoctor("completion", shell, home=tmp_path)
    assert code == 0 and f"_ENVDOCTOR_COMPLETE={shell}_complete" in out
    script = tmp_path / "script"
    script.write_text(out)
    if (program := shutil.which(shell)) is not None:
        subprocess.run([program, "-n", script], check=True, timeout=60)


@pytest.mark.parametrize("words", [(), ("check",), ("bench", "compare"), ("recipe",)])
def test_help_is_the_help_of_the_command(words: tuple[str, ...], tmp_path: Path) -> None:
    asked = envdoctor("help", *words, home=tmp_path)
    assert asked == envdoctor(*words, "--help", home=tmp_path) and asked[0] == 0


@pytest.mark.parametrize("target", ["", *PLANS, *RECIPES])
def test_a_recipe_s_help_is_short_and_shows_what_it_uses(target: str, tmp_path: Path) -> None:
    code, out, _ = envdoctor("recipe", *target.split(), "--help", home=tmp_path)
    assert code == 0 and len(out.splitlines()) <= 40
    assert f"envdoctor recipe {target}" in out and "--gpu" in out
    shown = {option: option in out for option in ("--hashes", "--apply", "--format", "--force", "--container")}
    if target:
        assert shown == {
            "--hashes": target == "requirements",
            "--apply": target == "venv",
            "--format": target in PLANS,
            "--force": target not in PLANS,
            "--container": target not in CONTAINERS,
        }
    else:
        assert all(shown.values())


def test_help_of_no_command_names_the_nearest(tmp_path: Path) -> None:
    code, _, err = envdoctor("help", "chekc", home=tmp_path)
    assert code == 2 and "Did you mean 'check'?" in err


def test_version_is_the_version(tmp_path: Path) -> None:
    assert envdoctor("version", home=tmp_path) == envdoctor("--version", home=tmp_path)


def test_a_mistyped_code_is_no_error_text(tmp_path: Path) -> None:
    code, out, err = envdoctor("explain", "gpu-arch-to-new", home=tmp_path)
    assert code == 2 and not out and "did you mean gpu-arch-too-new-for-torch?" in err


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("words", [("check", "--list"), ("recipe", "--list")])
def test_no_list_is_cut_in_mid_word(words: tuple[str, ...], columns: int, tmp_path: Path) -> None:
    if (script := shutil.which("script")) is None:
        pytest.skip("util-linux's script is not here")
    call = f"{sys.executable} -m envdoctor {' '.join(words)}"
    terminal = {**os.environ, "COLUMNS": str(columns)}
    done = subprocess.run(
        [script, "-qec", call, "/dev/null"], capture_output=True, timeout=60, check=True, cwd=ROOT, env=terminal
    )
    whole = set(envdoctor(*words, home=tmp_path)[1].split())
    lines = done.stdout.decode().splitlines()
    assert max(map(len, lines)) <= columns
    assert {word for line in lines for word in line.split()} <= whole


# --- check FILES in CI ------------------------------------------------------------------------------------------------


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "Dockerfile"
    path.write_text(BAD)
    return path


def test_sarif_holds_to_its_schema_and_names_the_line(bad: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.sarif"
    code, out, err = envdoctor("check", bad, "--format", "sarif", "-o", report, home=tmp_path)
    assert code == 1 and not out and f"Wrote {report}" in err
    check_with("check-jsonschema", "--schemafile", str(SARIF), files=[report])
    (run,) = json.loads(report.read_text())["runs"]
    places = [result["locations"][0]["physicalLocation"] for result in run["results"]]
    assert places and all(Path(place["artifactLocation"]["uri"]).name == "Dockerfile" for place in places)
    assert all(place["region"]["startLine"] > 1 for place in places)
    assert {result["ruleId"] for result in run["results"]} == {rule["id"] for rule in run["tool"]["driver"]["rules"]}


def test_sarif_of_a_machine_holds_to_its_schema_too(tmp_path: Path) -> None:
    report = tmp_path / "report.sarif"
    envdoctor("check", "--fast", "--format", "sarif", "-o", report, home=tmp_path)
    check_with("check-jsonschema", "--schemafile", str(SARIF), files=[report])


def test_gitlab_gets_each_finding_once_with_its_own_fingerprint(bad: Path, tmp_path: Path) -> None:
    code, out, _ = envdoctor("check", bad, "--format", "gitlab", home=tmp_path)
    found = json.loads(out)
    assert code == 1 and found
    for entry in found:
        assert set(entry) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert entry["severity"] in ("info", "minor", "major", "critical", "blocker")
        assert entry["location"]["path"] == str(bad) and entry["location"]["lines"]["begin"] >= 1
    assert len({entry["fingerprint"] for entry in found}) == len(found)
    # A comment above moves the line, and is no new finding.
    bad.write_text("# a remark\n" + BAD)
    moved = json.loads(envdoctor("check", bad, "--format", "gitlab", home=tmp_path)[1])
    assert [entry["fingerprint"] for entry in moved] == [entry["fingerprint"] for entry in found]


def test_quiet_prints_findings_only_and_verbose_what_was_not_found(bad: Path, tmp_path: Path) -> None:
    assert "torchvision" in envdoctor("check", "-q", bad, home=tmp_path)[1]
    bad.write_text("FROM python:3.12-slim\n")
    assert envdoctor("check", "-q", bad, home=tmp_path) == (0, "", "")
    code, out, _ = envdoctor("check", "-v", "--fast", home=tmp_path)
    assert code in (0, 1) and "✓ driver-too-old" in out
    assert envdoctor("check", "-v", "-q", home=tmp_path)[0] == 2


@pytest.mark.parametrize(
    "words", [("explain", "driver-too-old"), ("compat", "gpu", "H100"), ("compat", "gpu", "H100", "--format", "json")]
)
def test_a_report_goes_into_a_file_as_it_would_be_printed(words: tuple[str, ...], tmp_path: Path) -> None:
    printed = envdoctor(*words, home=tmp_path)
    written = envdoctor(*words, "-o", tmp_path / "report", home=tmp_path)
    assert written[:2] == (printed[0], "")
    assert (tmp_path / "report").read_text() == printed[1]


@pytest.mark.parametrize("where", ["/no/such/folder/report", "/"])
def test_a_report_that_cannot_be_written_is_told(where: str, tmp_path: Path) -> None:
    code, _, err = envdoctor("check", "--fast", "-o", where, home=tmp_path)
    assert code == 2 and err.strip().splitlines()[-1].startswith("Error: ")


def test_the_action_is_one() -> None:
    check_with(
        "check-jsonschema",
        "--builtin-schema",
        "vendor.github-actions",
        files=[ROOT / ".github/actions/check/action.yml"],
    )


def test_the_hook_is_one_and_runs_on_the_files_that_check_reads() -> None:
    check_with("pre-commit", "validate-manifest", files=[ROOT / ".pre-commit-hooks.yaml"])
    import yaml

    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    for name in ("Dockerfile", "docker/gpu.Dockerfile", "compose.yaml", "docker-compose.yml", "requirements-gpu.txt"):
        assert re.search(hook["files"], name), name
    for name in ("src/a.py", "Dockerfile.md/x", "my-pyproject.toml", "notes.txt"):
        assert not re.search(hook["files"], name), name
