"""The report to paste into an issue, and the two formats that CI systems read."""

from __future__ import annotations

from xml.etree import ElementTree

from envdoctor.diagnosis.model import Diagnosed, Finding, Severity
from envdoctor.facts.model import Snapshot
from envdoctor.report.check.files import account_lines
from envdoctor.report.check.headline import SEPARATOR, headline, machine_lines


def to_markdown(snapshot: Snapshot, diagnosed: Diagnosed) -> str:
    """GitHub-flavoured Markdown. Nothing of the machine can break out of its code span or fence."""
    verdict = headline(snapshot, diagnosed)
    lines = [f"### envdoctor: {plain(verdict.text)}", "", "| | |", "|---|---|"]
    if diagnosed.files:
        rows = [row for account in diagnosed.accounts for row in account_lines(account)]
        lines += [f"| {label} | {cell(text)} |" for label, text in rows]
    else:
        lines += [f"| {label} | {cell(SEPARATOR.join(parts))} |" for label, parts in machine_lines(snapshot)]
    for finding in diagnosed.findings:
        lines += ["", *_finding(finding)]
    return "\n".join(lines)


def _finding(finding: Finding) -> list[str]:
    severity = (finding.severity or Severity.ERROR).value
    where = f" {cell(f'{finding.file}:{finding.line}')}" if finding.file else ""
    lines = [f"#### `{finding.code}` ({severity}){where}"]
    if finding.consequence_of:
        lines += ["", f"Follows from `{finding.consequence_of}`."]
    lines += ["", plain(finding.summary), "", "| fact | value |", "|---|---|"]
    lines += [f"| `{e.fact}` | {cell(e.value)} |" for e in finding.evidence]
    for fix in finding.fixes:
        needs = [word for word, needed in (("root", fix.needs_root), ("reboot", fix.needs_reboot)) if needed]
        lines += ["", f"**{plain(fix.title)}**" + (f" (needs {' and '.join(needs)})" if needs else "")]
        commands = [*fix.commands, *((fix.verify,) if fix.verify else ())]
        if commands:
            fence = "`" * (3 + max(line.count("```") for line in commands))
            lines += ["", f"{fence}sh", *commands, fence]
        if fix.note and "\n" in fix.note:  # lines of a file, as a diff
            fence = "`" * (3 + fix.note.count("```"))
            lines += ["", f"{fence}diff", *fix.note.splitlines(), fence]
        elif fix.note:
            lines += ["", plain(fix.note)]
    return lines


def plain(text: str) -> str:
    for character in "\\`*_<>[]|#":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())


def cell(text: str) -> str:
    return "`" + " ".join(text.split()).replace("`", "'").replace("|", "\\|") + "`"


def to_github(snapshot: Snapshot, diagnosed: Diagnosed) -> str:
    """Workflow commands of GitHub Actions, one a finding (docs.github.com, 'Workflow commands')."""
    levels = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
    lines = []
    for finding in diagnosed.findings:
        level = levels[finding.severity or Severity.ERROR]
        fixes = [
            f"{fix.title}: {' && '.join(fix.commands)}" if fix.commands else fix.title for fix in finding.fixes[:1]
        ]
        message = "\n".join([finding.summary, *fixes])
        place = f"file={_property(finding.file)},line={finding.line}," if finding.file else ""
        lines.append(f"::{level} {place}title={_property(finding.code)}::{_data(message)}")
    return "\n".join(lines) or f"::notice title=envdoctor::{_data(headline(snapshot, diagnosed).text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def to_junit(snapshot: Snapshot, diagnosed: Diagnosed) -> str:
    """JUnit XML: a test case a diagnosis that ran; an error-level finding is a failure, a milder one is told in system-out."""
    cases = [(code, None) for code in diagnosed.ran if all(f.code != code for f in diagnosed.findings)]
    named = [(f.code + (f" {f.file}:{f.line}" if f.file else ""), f) for f in diagnosed.findings]
    failures = sum(f.severity is Severity.ERROR for f in diagnosed.findings)
    suite = ElementTree.Element(
        "testsuite",
        name="envdoctor",
        tests=str(len(cases) + len(named)),
        failures=str(failures),
        errors="0",
        skipped="0",
    )
    for name, finding in [*named, *cases]:
        case = ElementTree.SubElement(suite, "testcase", classname="envdoctor", name=name)
        if finding is None:
            continue
        detail = "\n".join([finding.summary, *(f"{e.fact}: {e.value}" for e in finding.evidence)])
        detail = "".join(c for c in detail if c.isprintable() or c in "\n\t")  # XML 1.0 has no control characters
        if finding.severity is Severity.ERROR:
            ElementTree.SubElement(case, "failure", message=finding.title, type=finding.code).text = detail
        else:
            ElementTree.SubElement(case, "system-out").text = detail
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suite, encoding="unicode")
