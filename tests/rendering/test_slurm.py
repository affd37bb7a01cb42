"""The Slurm scripts: they pass shellcheck with their #SBATCH lines, and run on a Slurm of two nodes made of shell."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from envdoctor.errors import InputError
from envdoctor.planning.model import Stack
from envdoctor.rendering.catalogue import render
from envdoctor.rendering.model import Options
from tests.rendering.plans import plans
from tests.rendering.tools import check_with

GPU_PLANS = [name for name, plan in plans().items() if plan.gpus and plan.platform.startswith("linux")]
# srun runs its command once a node, and reports the worst of them.
SRUN = """
while [ "${1#--}" != "$1" ]; do shift; done
code=0
for node in $FAKE_NODES; do SLURMD_NODENAME=$node "$@" || code=$?; done
exit $code
"""
# The environment's Python, which is given -I and envdoctor.pyz.
PYTHON = """
shift 2
case "$1" in
    snapshot) for last; do :; done; printf '{\\n  "node": "%s"\\n}\\n' "$SLURMD_NODENAME" > "$last" ;;
    check) echo "looked at $3"; [ "$SLURMD_NODENAME" != "$BROKEN" ] ;;
    bench) echo "$@" ;;
esac
"""


def stack(name: str = "h100x8", **changes: Any) -> Stack:
    return msgspec.structs.replace(plans()[name], **changes)


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    for file in render("slurm", stack()):
        (tmp_path / file.path).write_text(file.text)
    commands = {
        "srun": SRUN,
        "sbatch": 'echo "submitted $@"',
        "scontrol": "printf 'n1\\nn2\\n'",
        "sinfo": "printf 'n1 idle gpu:8\\nn2 drained gpu:8\\nn3 mixed gpu:h100:8(S:0-1)\\nlogin1 idle (null)\\nn1 idle gpu:8\\n'",
    }
    for name, code in commands.items():
        command = tmp_path / "bin" / name
        command.parent.mkdir(exist_ok=True)
        command.write_text(f"#!/bin/bash\n{code}\n")
        command.chmod(0o755)
    torchrun = 'echo "torchrun $@"; echo "threads $OMP_NUM_THREADS"'
    (tmp_path / "envdoctor.pyz").touch()
    for program, code in (("python", PYTHON), ("torchrun", torchrun)):
        place = tmp_path / ".venv/bin" / program
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"#!/bin/bash\n{code}\n")
        place.chmod(0o755)
    return tmp_path


def submit(cluster: Path, script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    slurm = {
        "SLURM_SUBMIT_DIR": str(cluster),
        "SLURM_JOB_ID": "41",
        "SLURM_ARRAY_JOB_ID": "41",
        "SLURM_ARRAY_TASK_ID": "2",
        "SLURM_JOB_NODELIST": "n[1-2]",
        "SLURM_NNODES": "2",
        "SLURM_CPUS_PER_TASK": "64",
        "FAKE_NODES": "n1 n2",
    }
    environment = {"PATH": f"{cluster}/bin{os.pathsep}{os.environ['PATH']}", **slurm, **variables}
    return subprocess.run(
        ["bash", cluster / script, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_every_script_passes_shellcheck(tmp_path: Path) -> None:
    files = []
    for name in GPU_PLANS:
        for file in render("slurm", stack(name)):
            files.append(tmp_path / f"{name}-{file.path}")
            files[-1].write_text(file.text)
    check_with("shellcheck", "--severity=style", files=files)


@pytest.mark.parametrize("name", GPU_PLANS)
def test_slurm_reads_every_directive(name: str) -> None:
    for file in render("slurm", stack(name)):
        lines = file.text.splitlines()
        assert lines[0] == "#!/bin/bash"
        commands = [n for n, line in enumerate(lines) if line and not line.startswith("#")]
        directives = [n for n, line in enumerate(lines) if line.startswith("#SBATCH")]
        assert all(n < commands[0] for n in directives), "sbatch stops reading at the first command"
        if file.path.endswith(".sbatch"):
            assert f"#SBATCH --gres=gpu:{len(stack(name).gpus)}" in lines


def test_the_check_gathers_a_snapshot_of_every_node_for_the_fleet(cluster: Path) -> None:
    done = submit(cluster, "check.sbatch")
    assert done.returncode == 0, done.stderr
    assert "n1: looked at" in done.stdout
    lines = (cluster / "snapshots.jsonl").read_text().splitlines()
    assert [json.loads(line)["node"] for line in lines] == ["n1", "n2"]


def test_a_node_that_fails_its_check_fails_the_job_and_is_in_the_list(cluster: Path) -> None:
    done = submit(cluster, "check.sbatch", BROKEN="n1")
    assert done.returncode == 1
    assert len((cluster / "snapshots.jsonl").read_text().splitlines()) == 2


def test_a_missing_environment_is_said_before_anything_runs(cluster: Path) -> None:
    done = submit(cluster, "check.sbatch", ENVIRONMENT="/nowhere")
    assert done.returncode == 1
    assert "EXPECT_GPU=0 bash venv.sh" in done.stderr
    assert not (cluster / "snapshots").exists()


def test_a_missing_envdoctor_is_said_before_anything_runs(cluster: Path) -> None:
    (cluster / "envdoctor.pyz").unlink()
    done = submit(cluster, "bench.sbatch")
    assert done.returncode == 1
    assert f"There is no {cluster}/envdoctor.pyz" in done.stderr


def test_all_nodes_with_gpus_that_can_work_get_a_job(cluster: Path) -> None:
    done = submit(cluster, "check-all.sh")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        "submitted",
        "--nodelist=n1",
        "check.sbatch",
        "submitted",
        "--nodelist=n3",
        "check.sbatch",
    ]
    assert "n2 is drained: left out" in done.stderr


def test_the_bench_saves_a_result_for_each_run(cluster: Path) -> None:
    done = submit(cluster, "bench.sbatch", FAKE_NODES="n1")
    assert done.returncode == 0, done.stderr
    assert (
        f"--suite standard --launches 3 --python {cluster}/.venv --no-history --save {cluster}/bench/n1-41-2.json"
        in done.stdout
    )


def test_training_meets_on_the_first_node_and_shares_the_cores(cluster: Path) -> None:
    done = submit(cluster, "train.sbatch", "train.py", "--lr", "1e-3", FAKE_NODES="n1")
    assert done.returncode == 0, done.stderr
    assert (
        "torchrun --nnodes=2 --nproc-per-node=8 --rdzv-id=41 --rdzv-backend=c10d --rdzv-endpoint=n1:20041 train.py --lr 1e-3"
        in done.stdout
    )
    assert "threads 8" in done.stdout
    assert submit(cluster, "train.sbatch").returncode == 2


def test_what_slurm_cannot_take_is_refused() -> None:
    with pytest.raises(InputError, match="cannot name a Slurm job"):
        render("slurm", stack(), Options(name="a b"))
    with pytest.raises(InputError, match="the plan has no GPU"):
        render("slurm", stack("no-gpu"))
    assert "#SBATCH --gres=gpu:4\n" in render("slurm", stack(), Options(gpus="4"))[0].text
