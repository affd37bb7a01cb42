"""What a query of the knowledge base may raise."""

from __future__ import annotations


class KnowledgeError(ValueError):
    """A question that cannot be answered as it was put; the message says why and what to write instead."""


class UnknownGpu(KnowledgeError):
    """No GPU of that name is in the table; `suggestions` holds the names nearest to it, best first.
    `other_maker`: it is not NVIDIA's, so no table of NVIDIA's GPUs will ever have it."""

    def __init__(self, name: str, suggestions: tuple[str, ...], *, other_maker: bool = False) -> None:
        self.name = name
        self.suggestions = suggestions
        self.other_maker = other_maker
        if other_maker:
            super().__init__(f"{name!r} is no NVIDIA GPU.")
            return
        hint = f" Did you mean {_either(suggestions)}?" if suggestions else ""
        super().__init__(f"no GPU named {name!r} in the table.{hint}")


class AmbiguousGpu(KnowledgeError):
    """A name that fits GPUs of different architectures; `suggestions` holds all of them."""

    def __init__(self, name: str, suggestions: tuple[str, ...]) -> None:
        self.name = name
        self.suggestions = suggestions
        super().__init__(f"{name!r} can mean {_either(suggestions)}: write the full name.")


def _either(names: tuple[str, ...]) -> str:
    shown = [repr(name) for name in names[:6]]
    return shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + " or " + shown[-1]
