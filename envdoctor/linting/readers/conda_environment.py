"""Reads a conda environment.yml: channels, match specifications, the pip section.

Source: docs.conda.io/projects/conda, 'Managing environments'.
"""

from __future__ import annotations

from envdoctor.linting import shell
from envdoctor.linting.model import Described, DescribedEnvironment, Index, Install, Place, PlacedValue, Wanted
from envdoctor.linting.readers import yaml_lines
from envdoctor.linting.readers.conda_specification import conda_wanted


def read(name: str, text: str) -> Described:
    """The conda install and, where there is one, the pip install after it."""
    documents = yaml_lines.load(name, text)
    data = documents[0] if documents else None
    dependencies = data.get("dependencies") if isinstance(data, yaml_lines.Mapping) else None
    if not isinstance(data, yaml_lines.Mapping) or not isinstance(dependencies, yaml_lines.Sequence):
        return Described(name=name, kind="conda")
    conda: list[Wanted] = []
    pip: list[Wanted] = []
    indexes: list[Index] = []
    constrained = False
    for item, line in zip(dependencies, dependencies.lines, strict=True):
        if isinstance(item, str):
            wanted = conda_wanted(item, Place(name, line))
            if wanted is not None:
                conda.append(wanted)
        elif isinstance(item, dict) and isinstance(item.get("pip"), yaml_lines.Sequence):
            section = item["pip"]
            for entry, entry_line in zip(section, section.lines, strict=True):
                place = Place(name, entry_line)
                text_ = str(entry)
                if text_.startswith("-"):
                    call = shell.pip_call(text_.split())
                    indexes += shell.indexes(call, place)
                    constrained = constrained or bool(call["requirement"] or call["constraint"])
                elif (requirement := shell.wanted(text_, place)) is not None:
                    pip.append(requirement)
    channels = data.get("channels")
    named = tuple(str(channel) for channel in channels) if isinstance(channels, list) else ()
    installs = []
    place = Place(name, data.lines["dependencies"])
    if conda:
        installs.append(Install(tool="conda", wanted=tuple(conda), channels=named, place=place))
    if pip:
        installs.append(
            Install(tool="pip", wanted=tuple(pip), indexes=tuple(indexes), place=pip[0].place, constrained=constrained)
        )
    return Described(
        name=name, kind="conda", environments=(DescribedEnvironment(installs=tuple(installs), python=python_of(conda)),)
    )


def python_of(conda: list[Wanted]) -> PlacedValue | None:
    """'3.12' of `python=3.12`, `python==3.12.4`; a range is not one Python."""
    for wanted in conda:
        if wanted.name == "python" and wanted.specifier.startswith("=="):
            parts = wanted.specifier[2:].removesuffix(".*").split(".")
            if len(parts) >= 2:
                return PlacedValue(".".join(parts[:2]), wanted.place)
    return None
