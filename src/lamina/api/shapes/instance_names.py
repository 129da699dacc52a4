"""Names of several instances that are made at once (ECS API, Batch configure sequential names or hostnames).

A name such as `node-[6,4]-web` counts: `node-0006-web`, `node-0007-web`. The first number is where it begins, 0 to
999999 and 0 by default; the second is how many digits it has, 1 to 6 and 6 by default, and 6 also when it has fewer
digits than the first number. `UniqueSuffix` puts 001, 002 behind a name, unless its number already stands at the end.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

from lamina.api import rules
from lamina.api.codes import ApiError, Code
from lamina.control.provisioning.create import ID_PLACE, InstanceNames

BAD_NAME: Final = Code(400, "InvalidInstanceName.Malformed")
BAD_HOST_NAME: Final = Code(400, "InvalidHostName.Malformed")
_COUNTER: Final = re.compile(r"([^\[\]]*)\[([0-9]{0,6})(?:,([1-6]?))?\]([^\[\]]*)")
_DIGITS: Final = 6
_ANY_ID: Final = "i-" + "0" * 20


def name_instances(
    names: Sequence[str | None], host_names: Sequence[str | None]
) -> tuple[InstanceNames, ...]:
    """The names of instances, checked.

    Raises:
        ApiError: one of them breaks the rules.
    """
    for name in names:
        _check(name, rules.check_name, "InstanceName", BAD_NAME)
    for host_name in host_names:
        plain = host_name.replace(ID_PLACE, _ANY_ID) if host_name is not None else None
        _check(plain, rules.check_host_name, "HostName", BAD_HOST_NAME)
    return tuple(
        InstanceNames(name=name, host_name=host_name)
        for name, host_name in zip(names, host_names, strict=True)
    )


def number_names(text: str | None, amount: int, *, has_suffix: bool) -> list[str | None]:
    """So many names from one: as it is, counted, or with a suffix."""
    if text is None:
        return [None] * amount
    counter = _COUNTER.fullmatch(text)
    if counter is None:
        return [f"{text}{n:03}" if has_suffix else text for n in range(1, amount + 1)]
    prefix, begin, bits, behind = counter.groups()
    digits = int(bits) if bits else _DIGITS
    if digits < len(begin):
        digits = _DIGITS
    found: list[str | None] = []
    for n in range(amount):
        name = f"{prefix}{int(begin or 0) + n:0{digits}}{behind}"
        found.append(f"{name}{n + 1:03}" if has_suffix and behind else name)
    return found


def _check(text: str | None, check: Callable[[str], str | None], parameter: str, code: Code) -> None:
    complaint = check(text) if text is not None else None
    if complaint is not None:
        raise ApiError(code, f"The parameter {parameter} is not valid: {complaint}")
