"""Two subjects or more: yes or no, why, and the nearest thing that works. One subject: its sheet."""

from __future__ import annotations

from typing import Literal

import msgspec

from envdoctor.compat import judge, judge_build
from envdoctor.compat.answer import Answer, JudgedReason
from envdoctor.compat.case import CompatCase, chosen
from envdoctor.compat.nearest import nearest
from envdoctor.compat.overviews import sheet
from envdoctor.compat.overviews.common import with_driver
from envdoctor.compat.question import CompatQuestion
from envdoctor.compat.subject import resolve
from envdoctor.compat.subject_build import SubjectBuild
from envdoctor.knowledge.builds import TorchBuild
from envdoctor.knowledge.versions import cuda_key, python_tag, specifier, version
from envdoctor.knowledge.world import LINUX, Knowledge
from envdoctor.planning.question import Question as PlanQuestion
from envdoctor.planning.search import smallest_conflict


def answer(world: Knowledge, question: CompatQuestion) -> Answer:
    """The answer. UnknownGpu, AmbiguousGpu or KnowledgeError where a subject is not understood; a version that is
    newer than the tables is judged by rules and said to be."""
    gpus = tuple(resolve(world, name) for name in question.gpus)
    platform = question.platform or next((gpu.platform for gpu in gpus if gpu.platform), LINUX)
    case = CompatCase(question=question, gpus=gpus, platform=platform)
    newer = newer_than_table(world, question)
    if len(question.subjects) == 1 and len(gpus) < 2:
        return sheet(world, case.question, gpus, platform, newer)
    return _combination(world, case, newer)


def newer_than_table(world: Knowledge, question: CompatQuestion) -> tuple[str, ...]:
    """The versions asked about that the tables do not reach: "torch 2.16", "driver 640", "CUDA 14"."""
    found = []
    newest_torch = world.torch_releases()[0].version
    if question.torch is not None and future_torch(world, question.torch):
        found.append(f"torch {question.torch} (newest known: {newest_torch})")
    if question.driver is not None:
        branch = world.driver_branch(question.driver)
        if branch is not None and branch.newer_than_table:
            found.append(f"driver {question.driver} (newest known branch: {world.driver_branches()[-1].branch})")
    if question.cuda is not None and cuda_key(question.cuda) > cuda_key(world.newest_cuda()):
        found.append(f"CUDA {question.cuda} (newest known: {world.newest_cuda()})")
    if question.python is not None:
        tag = python_tag(question.python)
        tags = {tag for release in world.torch_releases() for tags in release.python.values() for tag in tags}
        newest = max((tag for tag in tags if not tag.endswith("t")), key=version)
        if version(tag.removesuffix("t")) > version(newest):
            found.append(f"Python {tag} (newest with torch wheels: {newest})")
    return tuple(found)


def future_torch(world: Knowledge, wanted: str) -> bool:
    """Whether a requirement asks for a release above every known one ("2.16", ">=3")."""
    accepts = specifier(wanted)
    if any(accepts.contains(release.version) for release in world.torch_releases()):
        return False
    newest = version(world.torch_releases()[0].version)
    return any(
        accepts.contains(f"{newest.major}.{minor}.0") for minor in range(newest.minor + 1, newest.minor + 30)
    ) or any(
        accepts.contains(f"{major}.{minor}.0")
        for major in range(newest.major + 1, newest.major + 4)
        for minor in range(30)
    )


def _combination(world: Knowledge, case: CompatCase, newer: tuple[str, ...]) -> Answer:
    question = case.question
    reasons = _without_torch(world, case)
    build = None
    if case.about_torch:
        build, of_build = _best_build(world, case)
        reasons += of_build
    verdict = _verdict(reasons)
    if verdict == "yes" and case.about_torch and newer == () and chosen(world, case) is None:
        reasons += _conflict(world, case)
        verdict = "no"
    stand_in = question.torch is not None and future_torch(world, question.torch)
    if verdict != "yes" or stand_in:
        build = None
    return Answer(
        question=question,
        answer=verdict,
        summary=_summary(world, case, verdict, build, reasons, by_rule=bool(newer)),
        reasons=tuple(reasons),
        build=build,
        nearest=() if verdict == "yes" else nearest(world, case, possible),
        newer_than_table=newer,
        as_of=world.as_of,
    )


def _without_torch(world: Knowledge, case: CompatCase) -> list[JudgedReason]:
    """What can be said of driver, CUDA and GPU among themselves."""
    question = case.question
    reasons = [judge.jetson(gpu) for gpu in case.gpus if gpu.jetson]
    if (clash := judge.together(world, case)) is not None:
        reasons.append(clash)
    if question.driver is not None:
        desktop = [gpu for gpu in case.gpus if not gpu.jetson]
        reasons += [judge.driver_and_gpu(world, question.driver, gpu) for gpu in desktop]
    if question.cuda is not None:
        reasons += [judge.cuda_and_gpu(world, question.cuda, gpu) for gpu in case.gpus]
    if question.cuda is not None and question.driver is not None:
        held = judge.cuda_and_driver(world, question.cuda, question.driver, case.driver_platform)
        reasons.append(held)
        caution = judge.own_driver(world, question.cuda, question.driver, case.driver_platform)
        if caution is not None and held.verdict == "yes":
            reasons.append(caution)
    return reasons


def _best_build(world: Knowledge, case: CompatCase) -> tuple[TorchBuild | None, list[JudgedReason]]:
    """The build that a plan takes, and how it fares; where there is none, the published one that breaks fewest of the wishes."""
    if (build := chosen(world, case)) is not None:
        return build, how_it_fares(world, case, SubjectBuild(build=build))
    wanted, assumed = case.wishes.torch, None
    if wanted is not None and future_torch(world, wanted):
        # The newest known release stands in for one that the table does not have yet.
        assumed, wanted = f"torch {wanted}", f"=={world.torch_releases()[0].version}"
    question = PlanQuestion(case.target, msgspec.structs.replace(case.wishes, torch=wanted), world)
    best = question.best() or question.closest("torch", "cuda", cpu=not case.accelerated)
    if best is None:
        return None, [_no_build(world, case)]
    reasons = how_it_fares(world, case, SubjectBuild(build=best, assumed=assumed))
    if assumed:
        reasons = [msgspec.structs.replace(reason, confidence="rule") for reason in reasons]
        note = f"{assumed} is not in the table: it is judged as if built like torch {best.name}, the newest known."
        reasons.insert(
            0, JudgedReason(about="torch", verdict="caution", text=note, confidence="rule", sources=best.source)
        )
    return best, reasons


def _conflict(world: Knowledge, case: CompatCase) -> list[JudgedReason]:
    """What a plan for this case founders on."""
    question = PlanQuestion(case.target, case.wishes, world)
    limits = smallest_conflict(question.limits, question.start)
    return [JudgedReason(about=limit.constraint, verdict="no", text=limit.text) for limit in limits]


def how_it_fares(world: Knowledge, case: CompatCase, judged: SubjectBuild) -> list[JudgedReason]:
    """Every wish against one build."""
    question = case.question
    named = judged.assumed is None and (question.torch is not None or question.cuda is not None)
    reasons = [judge_build.published(judged)] if named else []
    reasons += [judge_build.build_and_gpu(world, judged, gpu) for gpu in case.gpus]
    if question.driver is not None:
        reasons.append(judge_build.build_and_driver(world, judged, question.driver, case))
    if question.python is not None:
        reasons.append(judge_build.build_and_python(judged, question.python))
    if question.glibc is not None and (reason := judge_build.build_and_glibc(judged, question.glibc)):
        reasons.append(reason)
    return reasons


def possible(world: Knowledge, case: CompatCase) -> TorchBuild | None:
    """The best build that fulfils the case entirely, or None."""
    if any(reason.verdict == "no" for reason in _without_torch(world, case)):
        return None
    build = chosen(world, case)
    return (
        build if build is not None and _verdict(how_it_fares(world, case, SubjectBuild(build=build))) == "yes" else None
    )


def _verdict(reasons: list[JudgedReason]) -> Literal["yes", "no", "unknown"]:
    verdicts = {reason.verdict for reason in reasons}
    if "no" in verdicts:
        return "no"
    return "unknown" if "unknown" in verdicts else "yes"


def _no_build(world: Knowledge, case: CompatCase) -> JudgedReason:
    """Why there is no published build to judge."""
    question = case.question
    releases = world.torch_releases()
    wanted = f"torch {question.torch}" if question.torch is not None else "any torch"
    if question.torch is not None:
        accepts = specifier(question.torch)
        named = [release for release in releases if accepts.contains(release.version)]
        if not named:
            oldest, newest = version(releases[-1].version), releases[0].version
            first = version(question.torch.lstrip("=~!<> ").split(",")[0].removesuffix(".*"))
            if first < oldest and "<" not in question.torch and ">" not in question.torch:
                text = f"torch {question.torch} is older than the table, which begins at {oldest}."
                return JudgedReason(about="torch", verdict="unknown", text=text, confidence="unknown")
            text = f"There is no release {question.torch} of torch (known: {oldest} to {newest})."
            return JudgedReason(about="torch", verdict="no", text=text, sources=releases[0].source)
        for release in named:
            for kind, rows in (("unconfirmed", release.unconfirmed), ("not published", release.not_published)):
                for row in rows:
                    here = not row.platforms or case.platform in row.platforms
                    if here and (row.variant == _variant(question.cuda) if question.cuda else row.variant != "cpu"):
                        verdict: Literal["no", "unknown"] = "no" if kind == "not published" else "unknown"
                        text = f"torch {release.version}+{row.variant} for {case.platform} is {kind}: {row.reason}."
                        return JudgedReason(about="torch", verdict=verdict, text=text, sources=row.source)
    parts = [f"CUDA {question.cuda}"] if question.cuda is not None else []
    published = sorted(
        {build.cuda for build in world.torch_builds() if build.cuda and _asked(build, question)}, key=cuda_key
    )
    have = f" It was published with CUDA {', '.join(published)}." if question.torch is not None and published else ""
    text = f"No build of {wanted} with {' and '.join(parts) or 'CUDA'} was published for {case.platform}.{have}"
    return JudgedReason(about="torch", verdict="no", text=text, sources=releases[0].source)


def _asked(build: TorchBuild, question: CompatQuestion) -> bool:
    return question.torch is not None and specifier(question.torch).contains(build.torch)


def _variant(cuda: str) -> str:
    major, minor = cuda_key(cuda)
    return f"cu{major}{minor}"


def _summary(
    world: Knowledge,
    case: CompatCase,
    verdict: str,
    build: TorchBuild | None,
    reasons: list[JudgedReason],
    *,
    by_rule: bool,
) -> str:
    decisive = [reason for reason in reasons if reason.verdict == verdict]
    if verdict == "unknown":
        return f"Not known: {decisive[0].text}"
    if verdict == "no":
        return f"No: {decisive[0].text}" if len(decisive) == 1 else f"No, for {len(decisive)} reasons."
    yes = "Yes, as far as the rules go" if by_rule else "Yes"
    if build is None:
        question = case.question
        parts = [f"torch {question.torch}"] if question.torch is not None else []
        parts += [f"CUDA {question.cuda}"] if question.cuda is not None else []
        parts += [f"driver {question.driver}"] if question.driver is not None else []
        parts += [gpu.name for gpu in case.gpus]
        return f"{yes}: {', '.join(parts[:-1])} and {parts[-1]} go together."
    driver = with_driver(world, build, case.target) if case.question.driver is None else None
    return f"{yes}: torch {build.name}" + (f", with {driver}." if driver else ".")
