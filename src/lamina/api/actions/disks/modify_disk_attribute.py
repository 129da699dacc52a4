"""ModifyDiskAttribute."""

import dataclasses
from dataclasses import dataclass
from typing import Final

from lamina.api import rules
from lamina.api.call import Call
from lamina.api.codes import ApiError, Code
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.control.disks.errors import DiskNotFoundError, DiskPortableError
from lamina.control.disks.modify import DiskChanges
from lamina.control.disks.modify import modify_disk as modify
from lamina.control.scope import Scope
from lamina.ids import DiskId

_NOTHING: Final = Code(400, "NoAttributeToModify")
_NO_DISK: Final = Code(400, "MissingParameter.DiskIdOrDiskIds")
_BOTH: Final = Code(400, "ParameterConflict.DiskIdAndDiskIds")
_NO_BURSTING: Final = Code(400, "BurstingEnabledForDiskCategoryUnsupported")


def _check_description(text: str) -> str | None:
    return None if text == "" else rules.check_description(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifyDiskAttributeRequest:
    """Parameters; what is not given stays, and an empty description takes it away."""

    disk_id: DiskId | None = None
    disk_ids: tuple[DiskId, ...] = param(default=(), at_most=100)
    disk_name: str | None = param(
        default=None, check=rules.check_name, malformed=Code(400, "InvalidDiskName.Malformed")
    )
    description: str | None = param(
        default=None,
        check=_check_description,
        empty_counts=True,
        malformed=Code(404, "InvalidDescription.Malformed"),
    )
    delete_with_instance: bool | None = None
    delete_auto_snapshot: bool | None = None
    enable_auto_snapshot: bool | None = None
    bursting_enabled: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifyDiskAttributeAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(DiskNotFoundError, DiskPortableError),
    answers=(_NOTHING, _NO_DISK, _BOTH, _NO_BURSTING),
    resource="disk_id",
    not_offered={
        "the more exact codes of single parameters are answered": (
            "DeleteWithInstance.Conflict",
            "IncompleteParamter",
        ),
        "attributes can be changed in every state of the disk": (
            "IncorrectDiskStatus",
            "InvalidInstanceId.NotFound",
        ),
        "switching automatic snapshots on takes none at that moment": ("QuotaExceed.Snapshot",),
        "bursting is not there": ("InvalidBurstingEnabled.DiskSizeTooSmall",),
        "the region is checked for every action alike": ("InvalidRegionId.MalFormed",),
        "nothing is kept to chosen accounts": ("UserNotInTheWhiteList",),
    },
)
def modify_disk_attribute(
    _call: Call, scope: Scope, request: ModifyDiskAttributeRequest
) -> ModifyDiskAttributeAnswer:
    """Change the name, the description and the fate of disks: all of those named, or none."""
    disk_ids = _choose_disks(request)
    if request.bursting_enabled:
        raise ApiError(_NO_BURSTING, "bursting is not offered")
    changes = DiskChanges(
        name=request.disk_name,
        description=request.description,
        delete_with_instance=request.delete_with_instance,
        delete_auto_snapshot=request.delete_auto_snapshot,
        enable_auto_snapshot=request.enable_auto_snapshot,
    )
    is_empty = all(getattr(changes, each.name) is None for each in dataclasses.fields(changes))
    if is_empty and request.bursting_enabled is None:
        raise ApiError(_NOTHING, "nothing to change was given")
    for disk_id in disk_ids:
        modify(scope, disk_id, changes)
    return ModifyDiskAttributeAnswer()


def _choose_disks(request: ModifyDiskAttributeRequest) -> tuple[DiskId, ...]:
    if request.disk_id is None:
        if not request.disk_ids:
            raise ApiError(
                _NO_DISK, "The parameter DiskId or DiskIds is mandatory for this action and is missing"
            )
        return request.disk_ids
    if request.disk_ids:
        raise ApiError(_BOTH, "DiskId and DiskIds exclude each other")
    return (request.disk_id,)
