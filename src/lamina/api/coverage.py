"""The page that tells which part of the ECS API is offered, made from the declarations of the actions.

`python -m lamina.api.coverage > docs/api-coverage.md` writes it; a test keeps it current.
"""

import dataclasses
import sys
from collections.abc import Iterable, Iterator
from typing import Final

from lamina.api import codes
from lamina.api.errors import list_codes
from lamina.api.registry import load_actions
from lamina.api.schema import FieldSpec, read_fields
from lamina.api.spec import VERSION, Action

COMMON: Final = (
    codes.MISSING_PARAMETER,
    codes.INVALID_PARAMETER,
    codes.INVALID_ACTION,
    codes.INVALID_VERSION,
    codes.UNSUPPORTED_METHOD,
    codes.UNKNOWN_REGION,
    codes.INCOMPLETE_SIGNATURE,
    codes.SIGNATURE_MISMATCH,
    codes.NONCE_USED,
    codes.ILLEGAL_TIMESTAMP,
    codes.UNKNOWN_ACCESS_KEY,
    codes.ACCESS_KEY_DISABLED,
    codes.NO_PERMISSION,
    codes.THROTTLED,
    codes.INTERNAL_ERROR,
    codes.UNAVAILABLE,
    codes.REQUEST_TOO_LARGE,
    codes.REQUEST_TOO_SLOW,
    codes.UNKNOWN_PATH,
)
"""What any action may answer."""

_HEAD: Final = f"""\
# Coverage of the ECS API

Version {VERSION}. This page is made from the declarations of the actions: `python -m lamina.api.coverage`.

Calls are signed with ACS3-HMAC-SHA256 or with RPC version 1 (HMAC-SHA1, HMAC-SHA256), by GET or POST, and answered in
JSON or XML. Parameters that an action does not know are ignored, as the vendor's service does.
"""


def render_coverage() -> str:
    """The page in Markdown."""
    actions = sorted(
        load_actions().values(), key=lambda action: (action.is_extension, action.room, action.name)
    )
    parts = [_HEAD, "Every action may answer: " + _list_codes(COMMON) + ".\n"]
    for title, is_extension in (("Actions of the ECS API", False), ("Extensions of Lamina", True)):
        parts.append(f"## {title}\n")
        parts += [_render_action(action) for action in actions if action.is_extension is is_extension]
    return "\n".join(parts)


def _render_action(action: Action) -> str:
    lines = [f"### {action.name}\n", f"{action.summary}\n"]
    lines += [
        "Parameters: "
        + ", ".join(_render_field(name, spec) for name, spec in _walk(action.request, ""))
        + ".\n",
        "Answer: " + (", ".join(_walk_answer(action)) or "nothing but `RequestId`") + ".\n",
        "Codes: " + (_list_codes(list_codes(action) - set(COMMON)) or "none of its own") + ".\n",
    ]
    if action.not_offered:
        lines.append("Documented, and not offered:\n")
        for reason, names in action.not_offered.items():
            lines.append(f"- {', '.join(f'`{name}`' for name in names)}: {reason}.")
        lines.append("")
    return "\n".join(lines)


def _render_field(name: str, spec: FieldSpec) -> str:
    return f"`{name}`" + ("*" if spec.is_mandatory else "")


def _walk(cls: type, prefix: str) -> Iterator[tuple[str, FieldSpec]]:
    for spec in read_fields(cls):
        name = prefix + spec.wire + (".N" if spec.is_list and spec.rules.form == "repeated" else "")
        if dataclasses.is_dataclass(spec.kind):
            yield from _walk(spec.kind, name + ".")
        else:
            yield ("the body" if spec.rules.form == "body" else name), spec


def _walk_answer(action: Action) -> Iterator[str]:
    for spec in read_fields(action.answer):
        yield f"`{spec.wire.replace('/', '.')}`" if spec.kind is not bytes else "the bytes"


def _list_codes(found: Iterable[codes.Code]) -> str:
    return ", ".join(
        f"`{code.text}`/{code.status}" for code in sorted(found, key=lambda code: (code.status, code.text))
    )


if __name__ == "__main__":
    sys.stdout.write(render_coverage())
