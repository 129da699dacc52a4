"""An instance, as DescribeInstances shows it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lamina.api.schema import param
from lamina.api.shapes.disk import NO_EXPIRY
from lamina.api.shapes.tags import TagShape, show_tags
from lamina.control.instances.locks import list_locks
from lamina.control.instances.machine_types import get_machine_type
from lamina.control.instances.queries import InstanceView
from lamina.control.instances.states import ChargeType
from lamina.ids import InstanceId, RegionId, ZoneId

_MIB_PER_GIB: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceLockShape:
    """Why an instance is locked."""

    lock_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VpcShape:
    """The network of an instance. Lamina has none: what the caller said is given back."""

    vpc_id: str = ""
    v_switch_id: str = ""
    nat_ip_address: str = ""
    private_ip_address: tuple[str, ...] = param(default=(), wire="PrivateIpAddress/IpAddress")


@dataclass(frozen=True, slots=True, kw_only=True)
class EipShape:
    """The elastic address of an instance: none."""

    allocation_id: str = ""
    ip_address: str = ""
    bandwidth: int = 0
    internet_charge_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceShape:
    """A network interface; no instance has one."""

    network_interface_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceShape:
    """One instance. Times are to the minute; what Lamina does not have has its documented neutral value."""

    instance_id: InstanceId
    instance_name: str
    host_name: str
    description: str
    status: str
    region_id: RegionId
    zone_id: ZoneId
    image_id: str
    instance_type: str
    instance_type_family: str
    cpu: int
    memory: int
    creation_time: str
    start_time: str
    serial_number: str
    stopped_mode: str
    deletion_protection: bool
    key_pair_name: str
    security_group_ids: tuple[str, ...] = param(wire="SecurityGroupIds/SecurityGroupId")
    vpc_attributes: VpcShape
    operation_locks: tuple[InstanceLockShape, ...] = param(wire="OperationLocks/LockReason")
    tags: tuple[TagShape, ...] = param(wire="Tags/Tag")
    expired_time: str
    auto_release_time: str
    instance_charge_type: str
    os_name: str = param(wire="OSName")
    os_name_en: str = param(wire="OSNameEn")
    os_type: str = param(wire="OSType")
    internet_charge_type: str = ""
    internet_max_bandwidth_in: int = 0
    internet_max_bandwidth_out: int = 0
    instance_network_type: str = "vpc"
    io_optimized: bool = True
    recyclable: bool = False
    device_available: bool = True
    spot_strategy: str = "NoSpot"
    resource_group_id: str = ""
    eip_address: EipShape = EipShape()
    public_ip_address: tuple[str, ...] = param(default=(), wire="PublicIpAddress/IpAddress")
    inner_ip_address: tuple[str, ...] = param(default=(), wire="InnerIpAddress/IpAddress")
    network_interfaces: tuple[InterfaceShape, ...] = param(
        default=(), wire="NetworkInterfaces/NetworkInterface"
    )


def show_instance(view: InstanceView, *, is_overdue: bool, now: datetime) -> InstanceShape:
    """An instance for an answer.

    Args:
        view: it.
        is_overdue: whether its account's payments are overdue.
        now: for whether it has expired.
    """
    instance = view.instance
    machine_type = get_machine_type(instance.instance_type)
    return InstanceShape(
        instance_id=instance.id,
        instance_name=instance.name,
        host_name=instance.host_name,
        description=instance.description or "",
        status=instance.state.value,
        region_id=instance.region_id,
        zone_id=instance.zone_id,
        image_id=instance.image_id or "",
        instance_type=machine_type.id,
        instance_type_family=machine_type.family,
        cpu=machine_type.cores,
        memory=machine_type.memory_gib * _MIB_PER_GIB,
        creation_time=_show_minute(instance.created_at),
        start_time=_show_minute(instance.started_at),
        serial_number=instance.id.removeprefix("i-"),
        stopped_mode=instance.stopped_mode.value,
        deletion_protection=instance.is_deletion_protected,
        key_pair_name=instance.key_pair_name or "",
        security_group_ids=(instance.security_group_id,) if instance.security_group_id else (),
        vpc_attributes=VpcShape(v_switch_id=instance.v_switch_id or ""),
        operation_locks=tuple(
            InstanceLockShape(lock_reason=reason.value)
            for reason in list_locks(instance, is_overdue=is_overdue, now=now)
        ),
        tags=show_tags(view.tags),
        expired_time=_show_minute(instance.expires_at) or NO_EXPIRY,
        auto_release_time=_show_minute(instance.auto_release_at),
        instance_charge_type=(ChargeType.PREPAID if instance.is_prepaid else ChargeType.POSTPAID).value,
        os_name=instance.os_name or "",
        os_name_en=instance.os_name or "",
        os_type=instance.os_type or "",
    )


def _show_minute(instant: datetime | None) -> str:
    return "" if instant is None else instant.strftime("%Y-%m-%dT%H:%MZ")
