"""CreateKey: an extension of Lamina."""

from dataclasses import dataclass
from typing import Final

from lamina.api import rules
from lamina.api.call import Call
from lamina.api.schema import param
from lamina.api.shapes.key import KeyShape, show_key
from lamina.api.spec import Kind, action
from lamina.control.keys.create import create_key as create
from lamina.control.keys.errors import KeyQuotaError
from lamina.control.scope import Scope
from lamina.ids import RegionId

_DESCRIPTION_MAX: Final = 8192


def _check_description(text: str) -> str | None:
    if len(text) > _DESCRIPTION_MAX:
        return f"a description has at most {_DESCRIPTION_MAX} characters, not {len(text)}"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateKeyRequest:
    """Parameters."""

    region_id: RegionId
    description: str | None = param(default=None, check=_check_description)
    client_token: str | None = param(default=None, check=rules.check_client_token)
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateKeyAnswer:
    """The new key."""

    key_metadata: KeyShape


@action(kind=Kind.WRITES, raises=(KeyQuotaError,))
def create_key(_call: Call, scope: Scope, request: CreateKeyRequest) -> CreateKeyAnswer:
    """Make an encryption key; disks that name it are encrypted with it."""
    return CreateKeyAnswer(key_metadata=show_key(create(scope, request.description)))
