"""How fast `explain` reads a long log, on one core: `make bench-explain`. The goal is 1 GB a minute, 17 MB/s."""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pydoc_data.topics import topics

from envdoctor.diagnosis.catalogue import all_messages
from envdoctor.reading.messages.pattern import compile_all
from envdoctor.reading.messages.scan import scan

SIZE = 64 << 20
GOAL = 1e9 / 60

# One line each of the kinds that a training log holds, over and over with other numbers.
_TRAINING = (
    "2026-11-02 10:21:{s:02d},112 INFO [rank{r}] epoch {e} step {i} loss {l:.4f} lr 3.00e-04 grad_norm {l:.3f} 2,310 img/s",
    "{r}:  {p:3d}%|#####     | {i}/90000 [12:31<18:22, 4.1it/s, loss={l:.4f}]",
    "node{r}:4711:4790 [{r}] NCCL INFO AllReduce: opCount {i:x} sendbuff 0x7f12 recvbuff 0x7f12 count 1048576 datatype 7 op 0",
    "[2026-11-02 10:21:{s:02d}] torch.distributed: checkpoint {i} written to /data/checkpoints/step_{i}.pt (cuda:{r})",
)
_KERNEL = (
    'Nov  2 10:21:{s:02d} node{r} kernel: [{i}.112031] audit: type=1400 apparmor="ALLOWED" operation="open" pid={i}',
    "Nov  2 10:21:{s:02d} node{r} systemd[1]: Started Session {i} of User ada.",
    "Nov  2 10:21:{s:02d} node{r} kernel: [{i}.112031] NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  580.159.04",
)
_ERRORS = (
    "2026-11-02 10:21:{s:02d},112 ERROR [rank{r}] request {i} failed: RuntimeError: could not read sample {i}: not found",
    'Traceback (most recent call last): File "/opt/venv/site-packages/torch/utils/data/dataloader.py", line {p}, in __next__',
    "2026-11-02 10:21:{s:02d},113 WARNING [rank{r}] UserWarning: retrying, cannot open /data/{i}.tar (warning {p})",
)
_REPEATED = ("CUDA error: uncorrectable ECC error encountered (request {i})",)


def text(lines: tuple[str, ...], size: int = SIZE) -> bytes:
    """About `size` bytes of these lines."""
    block = []
    for i in range(8000):
        line = lines[i % len(lines)]
        block.append(line.format(s=i % 60, r=i % 8, e=i // 1000, i=i * 37, l=6.9 / (1 + i), p=i % 100))
    once = ("\n".join(block) + "\n").encode()
    return once * (size // len(once))


def unlike(size: int = SIZE) -> bytes:
    """A log in which no line is like another: identifiers and words by chance, with errors of the program's own."""
    chance = random.Random(7)
    # Python's own manual has the words that programs speak with: error, module, import, file, cannot, not found, ...
    words = " ".join(topics.values()).encode().split()
    lines, have = [], 0
    while have < size:
        place = chance.randrange(len(words) - 20)
        said = b" ".join(words[place : place + chance.randrange(5, 20)])
        line = b"2026-11-02 ERROR request %s failed: %s" % (chance.randbytes(12).hex().encode(), said)
        lines.append(line)
        have += len(line) + 1
    return b"\n".join(lines)


def main() -> int:
    signatures = compile_all(all_messages())
    slow = 0
    print(f"{len(signatures)} signatures, {SIZE >> 20} MiB each\n{'text':<22} {'MB/s':>8} {'GB/min':>8}")
    trials = {
        "training": text(_TRAINING),
        "kernel": text(_KERNEL),
        "errors everywhere": text(_ERRORS),
        "one error, repeated": text(_REPEATED),
        "no line like another": unlike(),
    }
    for name, content in trials.items():
        with tempfile.TemporaryFile() as file:
            file.write(content)
            file.seek(0)
            started = time.process_time()
            scan(file, signatures)
            speed = len(content) / (time.process_time() - started)
        slow += speed < GOAL
        print(f"{name:<22} {speed / 1e6:>8.1f} {speed * 60 / 1e9:>8.2f}{'  too slow' if speed < GOAL else ''}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
