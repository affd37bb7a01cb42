"""The words for what was understood of a file, and for what was not judged."""

from __future__ import annotations

from collections.abc import Iterator

from envdoctor.diagnosis.model import FileAccount, NotJudged, Topic

LABELS = {
    Topic.IMAGE: "Image",
    Topic.PYTHON: "Python",
    Topic.TORCH: "torch",
    Topic.CUDA: "CUDA",
    Topic.INDEX: "Index",
    Topic.GPUS: "GPUs",
}
REASONS = {
    NotJudged.VARIABLE: "a value that is known only where it is built",
    NotJudged.FILE: "a file that was not read",
    NotJudged.INDEX: "an index whose wheels are not known",
    NotJudged.IMAGE: "what torch this image holds is not known",
    NotJudged.INSTALLER: "this tool decides by files that were not read",
    NotJudged.WHEEL: "a package by its address",
    NotJudged.BUILD: "which build this takes is not known",
    NotJudged.RULES: "a kind of file that envdoctor does not read",
}
NOBODY = "no machine was named: for GPUs that are supported today (--gpu and --driver name one)"
NOTHING = "nothing here concerns torch"


def account_lines(account: FileAccount) -> Iterator[tuple[str, str]]:
    """(label, text) a line: what was understood, in one line a topic; what was not judged; for whose machine."""
    for topic, label in LABELS.items():
        values = dict.fromkeys(part.value for part in account.understood if part.topic is topic)
        if values:
            yield label, ", ".join(values)
    if not account.concerns_torch and not account.not_judged:
        yield "torch", NOTHING
    for gap in account.not_judged:
        line = f" (line {gap.line})" if gap.line is not None else ""
        yield "Not judged", f"{gap.text}{line}: {REASONS[gap.reason]}"
    python = f"Python {account.python}, the one here" if account.python is not None else ""
    yield "Judged for", "; ".join(part for part in (", ".join(account.machine) or NOBODY, python) if part)
