"""Files that somebody made to hurt, or that a generator got wrong: one line or an answer, in bounded time and memory."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

SNAPSHOT = b'{"schema": "envdoctor.snapshot/1", "host": {"system": "Linux", "architecture": "x86_64"}}'
MEMORY = 512 << 20
SECONDS = 20.0


def compose(value: str) -> str:
    image = "nvidia/cuda:12.8.0-base-ubuntu24.04"
    return f"x-value: {value}\nservices:\n  train:\n    image: {image}\n    environment:\n      A: {value}\n"


def alias_bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join([*lines, "services:", "  x:", "    image: a", f"    environment: *a{levels - 1}", ""])


def merge_bomb(levels: int) -> str:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, levels)]
    return "\n".join([*lines, "services:", "  x:", f"    <<: *a{levels - 1}", ""])


DIGITS = "9" * 5000
LONG = "RUN " + " && ".join(["pip install torch==2.6.0"] * 20_000) + "\n"
FILES = {
    **{
        f"compose-{n}.yaml": compose(value)
        for n, value in enumerate(
            (
                "2020-99-99",
                "0x_",
                "!!int a",
                DIGITS,
                "!!float x",
                "!!bool x",
                "!!timestamp x",
                "!!binary é",
                "0b_",
                "1:99e9",
                "!!null x",
                "[" * 3000,
                "{a: " * 3000,
                '"\\0"',
                "&a [*a]",
                "? [a]\n: b",
                ".inf",
                "1e999",
                "!!python/name:os.system",
                "0o9",
                "1_",
                "+_",
                "-.",
                "!!set {a}",
                "!!omap [a]",
                "!!pairs [a]",
                "!!int ''",
                "!!str {a: b}",
                "!!map a",
                "!!seq a",
            )
        )
    },
    "compose-aliases.yaml": alias_bomb(12),
    "compose-merges.yaml": merge_bomb(12),
    "compose-nul.yaml": "services:\n  a\0: 1\n",
    "compose-list.yaml": "services: [1, 2]\n",
    "compose-null.yaml": "services:\n",
    "env-numbers.yaml": f"dependencies:\n  - 1\n  - 2020-99-99\n  - torch={DIGITS}\n  - pip: [torch=={DIGITS}, 3, {{a: b}}]\n",
    "env-aliases.yaml": alias_bomb(12).replace("services", "dependencies"),
    "doubling.Dockerfile": "ARG a=xxxxxxxxxxxxxxxx\n"
    + "ARG a=$a$a\n" * 60
    + "FROM $a\nENV b=$a$a\n"
    + "ENV b=$b$b\n" * 60
    + "RUN $b\n",
    "wide.Dockerfile": "FROM a\n"
    + "".join(f"ENV v{n}={'x' * 4000}\n" for n in range(100))
    + "RUN "
    + "$v1$v2$v3" * 100_000
    + "\n",
    "stages.Dockerfile": "FROM a AS s0\n"
    + "".join(f"FROM s{n} AS s{n + 1}\nRUN pip install torch\n" for n in range(5000)),
    "ands.Dockerfile": "FROM nvidia/cuda:12.8.0-base-ubuntu24.04\n" + LONG,
    "instructions.Dockerfile": "FROM a\n" + "ENV a=b\n" * 100_000,
    "heredoc.Dockerfile": "FROM a\nRUN <<A <<B <<C\n" + "x\n" * 100_000,
    "continued.Dockerfile": "FROM a\nRUN pip install \\\n" + "torch \\\n" * 100_000,
    "backslashes.Dockerfile": "FROM a\nRUN " + "\\" * 100_000 + "\n",
    "braces.Dockerfile": "FROM ${a:-" * 5000 + "\n",
    "digits.Dockerfile": f"FROM pytorch/pytorch:{DIGITS}.0-cuda{DIGITS}.1-cudnn9-runtime\nRUN pip install torch=={DIGITS}\n",
    "image.Dockerfile": f"FROM nvidia/cuda:{DIGITS}.8-ubuntu{DIGITS}\nFROM ubuntu:{DIGITS}\nFROM python:{DIGITS}\n",
    "json.Dockerfile": "FROM a\nRUN [" + "[" * 10_000 + "\n",
    "deep/pyproject.toml": "a = " + "[" * 50_000,
    "tables/pyproject.toml": "[" + ".".join(["a"] * 20_000) + "]\n",
    "digits/pyproject.toml": f'a = {DIGITS}\n[project]\nrequires-python = ">={DIGITS}"\ndependencies = ["torch=={DIGITS}"]\n',
    "date/pyproject.toml": "a = 2020-99-99\n",
    "many/pyproject.toml": "[project]\ndependencies = [\n" + "".join(f'"p{n}==1",\n' for n in range(40_000)) + "]\n",
    "types/pyproject.toml": "project = 3\ntool = {uv = {sources = 1, index = 2, pip = 3}, poetry = {dependencies = [1]}}\n",
    "poetry/pyproject.toml": f'[tool.poetry.dependencies]\npython = "^{DIGITS}"\ntorch = "^2.{DIGITS}"\n',
    "digits.txt": f"torch=={DIGITS}\ntorchvision=={DIGITS}\nvllm=={DIGITS}\nxformers>={DIGITS}\n",
    "arbitrary.txt": "torch===foo\ntorchvision===bar\nxformers===baz\nvllm===x\n",
    "pinned.txt": "torch==2.6.0\nxformers===foo\nvllm===foo\ntorchtext===0\ntorchvision===foo\n",
    "self.txt": "-r self.txt\n-r self.txt\n-r self.txt\ntorch\n",
    "markers.txt": "torch; " + " and ".join(["python_version > '3'"] * 5000) + "\ntorch; " + "(" * 3000 + "\n",
    "long.txt": "torch" + "[a]" * 100_000 + "\n" + "torch" + ",>1" * 50_000 + "\n",
    "odd.txt": "torch==1!2.6.0\ntorch==2.6.0.dev0+cu124.x\ntorch~=2\ntorch==2.*.*\ntorch @ file:///x\n--index-url '\n",
}


def _limited() -> None:
    # Address space, of which an interpreter with all libraries takes 200 MB before it reads anything.
    resource.setrlimit(resource.RLIMIT_AS, (2 * MEMORY, 2 * MEMORY))


@pytest.mark.skipif(sys.platform != "linux", reason="memory limits")
@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_costs_little_and_ends_in_a_line_or_an_answer(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(FILES[name], encoding="utf-8")
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "envdoctor", "check", "--from", "-", "--format", "json", str(path)],
        input=SNAPSHOT,
        capture_output=True,
        timeout=120,
        preexec_fn=_limited,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
        check=False,
    )
    stderr = done.stderr.decode("utf-8", "replace")
    assert done.returncode in (0, 1, 2), stderr[-2000:]
    assert "Traceback" not in stderr
    assert len(stderr.strip().splitlines()) <= 1
    assert time.monotonic() - began < SECONDS
