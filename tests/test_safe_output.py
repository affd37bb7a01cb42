"""No output holds a planted secret, and none makes a terminal obey: the real commands on a machine that tries both."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from envdoctor.bench.results import BenchResult, encode
from envdoctor.credentials import without_credentials
from envdoctor.facts.model import Snapshot
from envdoctor.facts.redaction import redact
from envdoctor.facts.sections.gpu import Gpu, Nvml
from envdoctor.texts import MOST_DIGITS, short_numbers, visible
from tests.bench.made import result, workload
from tests.targets import stub_torch_environment

ROOT = Path(__file__).parents[1]
# Made up; each in the form that its issuer publishes. Put together here, so that no scanner of repositories is alarmed.
TOKENS = {
    "GitHub": "gh" + "p_0123456789abcdefghijABCDEFGHIJ012345",
    "GitLab": "glp" + "at-abcdEFGH1234ijklMNOP",
    "Hugging Face": "hf" + "_abcdefghijklmnopqrstuvwxyzABCDEFGH",
    "OpenAI": "sk" + "-proj-abcdefghijklmnopqrst0123456789",
    "Slack": "xox" + "b-1234567890-abcdefghij",
    "Google": "AI" + "zaSyA1234567890abcdefghijklmnopqrstuvw",
    "AWS": "AKI" + "AIOSFODNN7EXAMPLE",
    "NVIDIA": "nva" + "pi-abcdefghijklmnopqrstuvwxyz0123",
    "PyPI": "py" + "pi-AgEIcHlwaS5vcmcCJGFiY2RlZg",
    "JWT": "ey" + "JhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlMTIz",
}
NAMED = {
    '{"token": "%s"}': "hunter2-in-json",
    "--password %s --verbose": "hunter2-as-option",
    "aws_secret_access_key = %s": "wJalrXUtnFEMI/K7MDENG/bPxRfiCY",
    "Authorization: Basic %s": "dXNlcjpodW50ZXIyaHVudGVy",
    "Authorization: Bearer %s": "abcdefgh.12345678",
    "https://conda.anaconda.org/t/%s/team": "tk-hunter2-channel",
    "https://alice:%s@mirror.example.org/simple": "hunter2-in-url",
    "WANDB_API_KEY=%s": "0123456789abcdef0123456789abcdef01234567",
}
PLANTED = (*TOKENS.values(), *NAMED.values())
LINES = [*(f"refused {token}" for token in TOKENS.values()), *(text % value for text, value in NAMED.items())]
ESCAPES = "\x1b]0;owned\x07\x1b[2Jx\x9b31m\u202egnp.exe\x1b]8;;http://evil.example\x1b\\\x07\x08\r"
OBEYED = re.compile("[\x00-\x08\x0b-\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]|\x1b(?!\\[[0-9;]*m)")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python whose torch says all of it, and tries to take the terminal over."""
    text = "raise " + "\n".join([*LINES, ESCAPES])
    return stub_torch_environment(tmp_path_factory.mktemp("venv") / "v", importing=text).python


def envdoctor(*arguments: str | Path, stdin: str = "", **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "envdoctor", *map(str, arguments)],
        input=stdin.encode("utf-8", "surrogateescape"),
        capture_output=True,
        timeout=120,
        cwd=ROOT,
        env={**os.environ, **variables},
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return (done.stdout + done.stderr).decode("utf-8", "surrogateescape")


def assert_safe(output: str) -> None:
    for secret in PLANTED:
        assert secret not in re.sub(r"\s+", "", output).replace("\\", ""), secret
    found = OBEYED.search(output)
    assert found is None, (found, output[max(0, found.start() - 80) : found.end() + 20])


@pytest.mark.parametrize("style", ["text", "json", "markdown", "github", "junit", "html"])
def test_a_report_of_a_hostile_torch(python: Path, style: str) -> None:
    output = envdoctor("check", "--python", python, "--format", style, FORCE_COLOR="1", COLUMNS="60")
    assert "refused" in output or style == "github"  # which has room for a summary only
    assert_safe(output)
    if style == "json":
        json.loads(output)


@pytest.mark.parametrize("more", [(), ("--no-redact",)])
def test_a_snapshot_of_a_hostile_torch(python: Path, more: tuple[str, ...]) -> None:
    output = envdoctor("snapshot", "--python", python, *more, PIP_INDEX_URL=f"https://x:{PLANTED[0]}@pypi.org/simple")
    assert "refused" in output
    assert_safe(output)
    msgspec.json.decode(output, type=Snapshot)


@pytest.mark.parametrize("style", ["text", "json"])
def test_an_explanation_of_a_hostile_log(style: str) -> None:
    words = "RuntimeError: CUDA error: no kernel image is available for execution on the device"
    log = "\n".join(f"{words} {line} {ESCAPES}" for line in LINES)
    output = envdoctor("explain", "-", "--no-machine", "--all", "--format", style, stdin=log, COLUMNS="70")
    assert "no kernel image" in output
    assert_safe(output)


def test_a_dump_and_a_file_of_somebody_else(tmp_path: Path) -> None:
    dump = "PyTorch version: 2.6.0+cu124\nIs CUDA available: False\nCUDA used to build PyTorch: 12.4\n"
    dump += "\n".join([*LINES, ESCAPES, "GPU 0: NVIDIA H100" + ESCAPES])
    for style in ("text", "json", "markdown"):
        assert_safe(envdoctor("check", "--from", "-", "--format", style, stdin=dump))
    wrong = tmp_path / "requirements.txt"
    wrong.write_text(
        f"--index-url https://me:{NAMED['https://alice:%s@mirror.example.org/simple']}@pypi.org/simple\ntorch==99.1{ESCAPES}\n"
    )
    assert_safe(envdoctor("check", "--from", "-", "--format", "text", wrong, stdin=dump))


def test_a_bench_file_of_a_hostile_workload() -> None:
    written = encode(result(workload("matmul"), notes=tuple(LINES)))
    assert "refused" in written
    assert_safe(written)
    assert msgspec.json.decode(written, type=BenchResult).notes[0] == "refused <secret>"


def test_a_variable_that_is_not_utf_8_is_no_obstacle() -> None:
    for arguments in (("check", "--fast", "--format", "json"), ("snapshot", "--fast"), ("check", "--fast")):
        envdoctor(*arguments, LD_LIBRARY_PATH=os.fsdecode(b"/opt/\xff\xfe/lib"), CUDA_HOME=os.fsdecode(b"/opt/\xe9"))


@pytest.mark.parametrize("user", ["envdoctor", "snapshot", "schema", "torch", "json"])
def test_a_user_named_like_one_of_our_words_gets_a_snapshot(user: str, tmp_path: Path) -> None:
    home = tmp_path / "home" / user
    home.mkdir(parents=True)
    written = envdoctor("snapshot", "--fast", LOGNAME=user, HOME=str(home), CUDA_HOME=f"/home/{user}/cuda")
    found = msgspec.json.decode(written, type=Snapshot)
    assert found.redacted and found.source == "live"


def test_what_a_vendor_says_is_not_taken_for_a_private_number() -> None:
    gpu = Gpu(
        index=0, name="Tesla V100", serial="1324519001234", unavailable={"serial": "NOT_SUPPORTED", "uuid": "UNKNOWN"}
    )
    found = redact(Snapshot(nvml=Nvml(gpus=(gpu,), message="needs 12.4.127.1 of tesla")), names=("tesla",))
    (shared,) = found.gpus or ()
    assert shared.unavailable == gpu.unavailable and shared.name == "Tesla V100" and shared.serial == "serial1"
    assert found.nvml is not None and "12.4.127.1" in (found.nvml.message or "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alice@node17:~/work$ python train.py", "user1@host1:~/work$ python train.py"),
        ("(base) [alice@node17 work]$ ls", "(base) [user1@host1 work]$ ls"),
        ("Nov  3 10:00:00 node17 kernel: NVRM: Xid", "Nov  3 10:00:00 host1 kernel: NVRM: Xid"),
        ("2026-11-03T10:00:00.123456+01:00 node17 kernel: NVRM", "2026-11-03T10:00:00.123456+01:00 host1 kernel: NVRM"),
        ("RuntimeError: no route to 10.1.2.3", "RuntimeError: no route to 192.0.2.1"),
        ("RuntimeError: [192.168.7.9] gave up", "RuntimeError: [192.0.2.1] gave up"),
        ("gpu07.cs.uni-x.edu and build.acme.internal are down", "host1 and host2 are down"),
        ("GPU serial number: 1324519001234", "GPU serial number: serial1"),
    ],
)
def test_private_names_of_pasted_texts(text: str, expected: str) -> None:
    found = redact(Snapshot(messages=(text,)), names=())
    assert found.messages == (expected,)


@pytest.mark.parametrize(
    "text",
    [
        "missing key(s) in state_dict: layer1.0.weight", "SyntaxError: unexpected token 'x'", "max_tokens=4096",
        "torch.nn.io and torch.distributed.net", "nvidia-curand-cu12 10.3.9.90", "basic block 17 of basic",
        "tokenizers==0.20.3", "the key: value", "git@github.com:org/repo", "x86_64-linux-gnu", "password: ***",
        "docker build --secret id=pip.conf,src=$HOME/pip.conf .",
    ],
)  # fmt: skip
def test_what_is_no_secret_stays(text: str) -> None:
    assert without_credentials(text) == text
    assert redact(Snapshot(messages=(text,)), names=()).messages == (text,)


def test_texts_are_shown_and_not_obeyed() -> None:
    assert visible("plain\ttext\n") == "plain\ttext\n"
    assert visible("\x1b[31mred\x1b[0m \x1b]0;title\x07end\x07") == "red end\\u0007"
    assert visible("a\u202eb\x9b1mc\u200b") == "a\\u202ebc\\u200b"
    assert OBEYED.search(visible(ESCAPES)) is None
    document = json.dumps({"a": ESCAPES}, ensure_ascii=False)
    assert json.loads(visible(document)) is not None
    assert short_numbers("9" * 5000 + ".1") == "9" * MOST_DIGITS + ".1"
