"""ModifyDiskChargeType."""

from dataclasses import dataclass
from typing import Final

from lamina.api import rules
from lamina.api.call import Call
from lamina.api.codes import SUSPENDED, ApiError, Code
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.control.disks.errors import (
    AttachedElsewhereError,
    DiskNotFoundError,
    DiskPortableError,
)
from lamina.control.disks.queries import get_disk
from lamina.control.idempotency.errors import TokenReusedError
from lamina.control.instances.errors import InstanceNotFoundError
from lamina.control.instances.queries import get_instance
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.scope import Scope
from lamina.ids import DiskId, InstanceId, RegionId

_PREPAID: Final = Code(403, "ChargeTypeViolation")
_NO_DISK: Final = Code(404, "InvalidDiskIds.NotFound")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifyDiskChargeTypeRequest:
    """Parameters."""

    region_id: RegionId = param(missing=Code(400, "MissingParameter.RegionId"))  # noqa: RUF009 - a field, as `field()` is
    instance_id: InstanceId
    disk_ids: tuple[DiskId, ...] = param(form="json", at_most=16)
    disk_charge_type: str = param(default="PrePaid", choices=("PrePaid", "PostPaid"))
    auto_pay: bool = True
    client_token: str | None = param(
        default=None,
        check=rules.check_client_token,
        malformed=Code(400, "InvalidClientToken.ValueNotSupported"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifyDiskChargeTypeAnswer:
    """Nothing but the request id: nothing is ordered."""


@action(
    kind=Kind.WRITES,
    raises=(RegionNotFoundError,),
    answers=(_PREPAID, SUSPENDED),
    errors={
        InstanceNotFoundError: Code(400, "InvalidInstanceId.NotFound"),
        DiskNotFoundError: _NO_DISK,
        AttachedElsewhereError: _NO_DISK,
        DiskPortableError: Code(404, "InvalidDiskIds.NotPortable"),
        TokenReusedError: Code(400, "IdempotenceParamNotMatch"),
    },
    resource="instance_id",
    not_offered={
        "instances and disks are paid by use, and nothing is ordered or paid in advance": (
            "Account.Arrearage",
            "InstanceDowngrade.QuotaExceed",
            "InvalidAction.NotSupported",
            "InvalidAction.WithActiveElasticUpgrade",
            "InvalidInstance.PurchaseNotFound",
            "InvalidInstance.UnPaidOrder",
            "InvalidInstance.UnpaidOrder",
            "InvalidInstanceChargeType.NotFound",
            "InvalidPayMethod",
            "LastOrderProcessing",
            "OrderCreationFailed",
            "PaymentMethodNotFound",
        ),
        "the more exact codes are answered": (
            "Forbidden",
            "Idempotence.SignatureMismatch",
            "InvalidDataDiskSize.ValueNotSupported",
            "InvalidInstanceId.NOT_FOUND",
            "InvalidInstanceId.Released",
            "InvalidInstanceStatus.NotSupported",
            "InvalidInstanceType.ValueNotSupported",
            "InvalidInstanceType.ValueUnauthorized",
            "MissingParameter.InstanceIdNotSupported",
        ),
        "a disk belongs to one instance at most": ("InvalidOperation.MultiAttachDisk",),
        "roles below the account are not there": (
            "InvalidRamRole.NotFound",
            "InvalidUser.PassRoleForbidden",
        ),
    },
)
def modify_disk_charge_type(
    call: Call, scope: Scope, request: ModifyDiskChargeTypeRequest
) -> ModifyDiskChargeTypeAnswer:
    """Keep disks of an instance paid by use; paying for them in advance is refused."""
    call.require_snapshot_service()  # a suspended account orders nothing
    get_instance(scope, request.instance_id)
    for disk_id in request.disk_ids:
        disk = get_disk(scope, disk_id)
        if disk.instance_id != request.instance_id:
            raise AttachedElsewhereError(disk_id, request.instance_id)
        if not disk.category.is_portable:
            raise DiskPortableError(disk_id)
    if request.disk_charge_type == "PrePaid":
        raise ApiError(_PREPAID, "disks are paid by use, as their instance is; leave them PostPaid")
    return ModifyDiskChargeTypeAnswer()
