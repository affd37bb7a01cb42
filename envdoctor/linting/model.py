"""What a file says of the environment that it makes. Types only; `readers` fill them, `rules` judge them. None means unknown."""

from __future__ import annotations

import msgspec

from envdoctor.diagnosis.model import Gap


class Place(msgspec.Struct, frozen=True):
    """Where something is said: the file as the user named it, and the line, counted from 1."""

    file: str
    line: int


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """One requirement of an installer: 'torch', '==2.6.*'. `specifier` is '' where any version will do."""

    name: str
    specifier: str
    place: Place
    text: str
    elsewhere: bool = False
    """It comes from a URL, a file or version control: what that holds is not known."""


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """A package index that an installer reads: its URL, and whether it stands beside the default one or in its place."""

    url: str
    place: Place
    beside: bool = False
    find_links: bool = False


class Install(msgspec.Struct, frozen=True, kw_only=True):
    """What one call of an installer takes together. `tool`: 'pip', 'uv' or 'conda'; `channels`: conda's, first one first."""

    tool: str
    wanted: tuple[Wanted, ...]
    indexes: tuple[Index, ...] = ()
    channels: tuple[str, ...] = ()
    place: Place
    constrained: bool = False
    """A constraints file or lock that was not read narrows it further."""
    incomplete: bool = False
    """A word of the command is not known (a variable of the shell): it may name an index."""
    maybe: bool = False
    """It stands behind a condition that is not known."""

    def find(self, name: str) -> Wanted | None:
        """The requirement of that (normalised) name; of several (a project's and an extra's) the last, with what all ask for."""
        found = [w for w in self.wanted if w.name == name]
        if len(found) < 2:
            return found[0] if found else None
        asked = ",".join(dict.fromkeys(w.specifier for w in found if w.specifier))
        narrowest = next((w for w in reversed(found) if w.specifier), found[-1])
        return msgspec.structs.replace(narrowest, specifier=asked)


class PlacedValue(msgspec.Struct, frozen=True):
    """A value with the place that it is said at."""

    value: str
    place: Place


class DescribedEnvironment(msgspec.Struct, frozen=True, kw_only=True):
    """One environment that a file makes: a stage of a Dockerfile, a requirements file, a conda environment.

    `image`: what it starts from, with build arguments filled in, None where that is another stage; `base`: the image at the
    root of it all. `system`: 'ubuntu22.04'; `musl`: Alpine. `python`: '3.12', a minor version; `system_python`: it is the
    distribution's own; `requires_python`: a range. `fresh`: nothing of torch is there before. `platform`: where the file
    itself fixes it ('linux_aarch64'). `system_packages`: of apt, dnf, apk. `builds`: a command that compiles CUDA extensions;
    `compiled`: packages that need nvcc; `downloads`: pip's own installer; `redirected`: requirements that the shell takes for
    redirections. `unread`: packages are installed from files that were not read. `gaps`: what was not followed.
    `runs`: False for a stage that other stages only copy files from: its image is neither kept nor started with a GPU.
    """

    installs: tuple[Install, ...] = ()
    image: PlacedValue | None = None
    base: str | None = None
    system: str | None = None
    musl: bool = False
    in_image: bool = False
    system_python: bool = False
    fresh: bool = True
    python: PlacedValue | None = None
    requires_python: PlacedValue | None = None
    platform: str | None = None
    system_packages: tuple[PlacedValue, ...] = ()
    variables: dict[str, PlacedValue] = {}
    builds: PlacedValue | None = None
    compiled: tuple[PlacedValue, ...] = ()
    downloads: tuple[PlacedValue, ...] = ()
    redirected: tuple[PlacedValue, ...] = ()
    unread: bool = False
    gaps: tuple[Gap, ...] = ()
    runs: bool = True


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One service of a Compose file. `gpu`: whether a GPU is given to it; `needs_gpu`: what says that it wants one."""

    name: str
    place: Place
    image: PlacedValue | None = None
    gpu: bool = False
    needs_gpu: PlacedValue | None = None
    builds: PlacedValue | None = None
    platform: str | None = None
    variables: dict[str, PlacedValue] = {}


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one file says."""

    name: str
    kind: str
    text: str = ""
    gaps: tuple[Gap, ...] = ()
    environments: tuple[DescribedEnvironment, ...] = ()
    services: tuple[Service, ...] = ()
