"""The build that was asked for lies on another index than the ones that were searched.

What it is
    PyPI has one build of each torch release. Builds for another CUDA, for ROCm, for the CPU only, and nightlies lie on indexes of
    download.pytorch.org. `pip install torch==2.1.2+cu121` without that index says 'Could not find a version that satisfies the
    requirement'. The same holds for conda packages of a channel that was not named.

Told apart by
    The release itself stands in the installer's own list ('from versions: ..., 2.1.2'), only without the tag behind the plus
    sign; or a tag or a nightly is asked for and no index is given. When the list holds only newer or older releases, the
    Python is the matter: `python-unsupported`; when it ended for the platform, `platform-unsupported`.

Repair
    The same requirement with the index that has it.

Sources
    pytorch.org/get-started/previous-versions; pip's documentation, '--index-url'; PEP 440, 'Local version identifiers'
"""

from __future__ import annotations

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.refused_install import (
    FAMILY,
    RefusedInstall,
    Why,
    is_nightly,
    published,
    variant_of,
    why_refused,
)
from envdoctor.diagnosis.repairs.python_environment import install_into
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.install_refusals import Refusal
from envdoctor.reading.messages.message_files import beside

NIGHTLY = "https://download.pytorch.org/whl/nightly"


MESSAGES = beside(__file__)


@diagnosis(
    "wheel-index-missing",
    layer=Layer.PYTHON,
    severity=Severity.ERROR,
    messages=MESSAGES,
    remedy=lambda machine, world: (_name_it(machine, world),),
    fits=lambda machine, world: _fits(machine, world),  # noqa: PLW0108  it stands below
)
def wheel_index_missing(machine: Snapshot, world: Knowledge) -> Finding | None:
    refused = why_refused(machine, world)
    if refused is None or refused.why is not Why.INDEX:
        return None
    return Finding(
        summary=_summary(refused.refusal),
        evidence=(fact("messages", refused.refusal.line[:300]),),
        fixes=_fixes(machine, refused, world),
        confidence=0.95 if refused.refusal.offered else 0.8,
    )


def _name_it(machine: Snapshot, world: Knowledge) -> Fix:
    """For a build that the text does not name: where its index would be."""
    newest = world.torch_releases()[0].version
    indexes = sorted({build.index_url for build in world.torch_builds(newest) if build.index_url})
    commands = tuple(
        install_into(machine, ["torch", "--index-url", url], title="").commands[0]
        + f"   # torch for {url.rpartition('/')[2]}"
        for url in indexes
    )
    return Fix(title="Name the index that has the build you want; one of these", commands=commands)


def _fits(machine: Snapshot, world: Knowledge) -> bool | None:
    refused = why_refused(machine, world)
    return None if refused is None else refused.why is Why.INDEX


def _summary(refusal: Refusal) -> str:
    if refusal.name not in FAMILY:
        return f"{refusal.name} was asked of torch's index alone, which has torch and little besides."
    if is_nightly(refusal):
        return f"{refusal.name}{refusal.spec} is a nightly build, which PyPI does not have."
    listed = "lists the release without its tag, so it" if refusal.offered else "has no builds with a tag: it"
    return f"{refusal.name}{refusal.spec} is not on the index that was searched: that one {listed} is not the one that has this."


def _fixes(machine: Snapshot, refused: RefusedInstall, world: Knowledge) -> tuple[Fix, ...]:
    refusal, version = refused.refusal, refused.refusal.version
    if refusal.name not in FAMILY:
        return (
            install_into(
                machine,
                [f"{refusal.name}{refusal.spec}"],
                title="Install it from PyPI, and only torch from torch's index",
                note="--index-url replaces PyPI. In a requirements file, a line of its own with --extra-index-url and torch's "
                "index keeps both.",
            ),
        )
    if version is None:
        return ()
    if is_nightly(refusal):
        channel = variant_of(refusal) or world.torch_builds()[0].variant
        return (
            install_into(
                machine,
                ["--pre", f"{refusal.name}=={version.public}", "--index-url", f"{NIGHTLY}/{channel}"],
                title="Ask for the nightly on its own index",
                note="Nightlies are removed after some weeks; without the date, pip takes the newest.",
            ),
        )
    platform = machine.host.platform if machine.host else None
    builds = published(refusal, world)
    here = [build for build in builds if build.platform == platform] or list(builds)
    variant = variant_of(refusal)
    if not here and variant is not None and refusal.name == "torch" and world.newest_python_of_old(version.public):
        old = world.torch_index(variant)  # a release before the table's: its address ends in its tag as well
        return (
            install_into(
                machine,
                [f"{refusal.name}{refusal.spec}", "--index-url", old],
                title=f"Ask for it on the index of its tag ({variant})",
                note=f"In a requirements file, a line of its own: --extra-index-url {old}. The index's page lists what it has.",
            ),
        )
    if not here:
        return ()
    build = here[0]
    url = build.index_url or next(
        (b.index_url for b in world.torch_builds() if b.variant == build.variant and b.index_url), None
    )
    wanted = [f"{refusal.name}=={version.public}"]
    own = "PyPI's own build of this release is the same one: without the tag, no index is needed."
    return (
        install_into(
            machine,
            [*wanted, "--index-url", url] if url else wanted,
            title=f"Ask for it on the index that has it ({build.variant})"
            if url
            else "Leave the tag out: PyPI has this build",
            note=own
            if build.index_url is None
            else f"In a requirements file, a line of its own: --extra-index-url {url}",
        ),
    )
