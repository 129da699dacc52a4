"""Finds the actions: every file under `lamina.api.actions` declares exactly one."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType, ModuleType

import lamina.api.actions
from lamina.api.spec import Action


def find_action(name: str) -> Action | None:
    """The action of that name, in any case."""
    return load_actions().get(name.casefold())


@cache
def load_actions() -> Mapping[str, Action]:
    """All actions under `lamina.api.actions`, by name in lower case; each file declares exactly one.

    Raises:
        TypeError: a file declares none or several, or an action whose name is not the file's.
    """
    found: dict[str, Action] = {}
    for module in _walk_modules():
        declared = [value for value in vars(module).values() if isinstance(value, Action)]
        if len(declared) != 1:
            raise TypeError(f"{module.__name__} declares {len(declared)} actions instead of one")
        [one] = declared
        if one.handler.__name__ != module.__name__.rsplit(".", 1)[1]:
            raise TypeError(f"{module.__name__} declares the action {one.name}; name the file after it")
        found[one.name.casefold()] = one
    return MappingProxyType(found)


def _walk_modules() -> Iterator[ModuleType]:
    for info in pkgutil.walk_packages(lamina.api.actions.__path__, "lamina.api.actions."):
        if not info.ispkg:
            yield importlib.import_module(info.name)
