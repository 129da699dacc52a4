"""The members of a JSON document as lines for people."""

from collections.abc import Mapping

from lamina.units import format_bytes


def for_people(document: Mapping[str, object]) -> dict[str, object]:
    """Names without underscores and units, sizes with a unit, yes and no; what is unknown is left out."""
    return {
        name.removesuffix("_bytes").replace("_", " "): _show(name, value)
        for name, value in document.items()
        if value is not None
    }


def _show(name: str, value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return format_bytes(value) if name.endswith("_bytes") and isinstance(value, int) else value
