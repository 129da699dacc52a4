"""DescribeInstanceTypes."""

from dataclasses import dataclass
from typing import Final

from lamina.api.call import Call
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.control.instances.machine_types import MachineType, list_machine_types
from lamina.control.scope import Scope

_MAX_NAMES: Final = 10
_ARCHITECTURE: Final = "X86"


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeInstanceTypesRequest:
    """Parameters; all filters must match. The whole list fits on one page, so that there is never a next one."""

    instance_types: tuple[str, ...] = param(default=(), at_most=_MAX_NAMES)
    instance_type_family: str | None = None
    instance_type_families: tuple[str, ...] = param(default=(), at_most=_MAX_NAMES)
    instance_category: str | None = None
    instance_categories: tuple[str, ...] = param(default=(), at_most=_MAX_NAMES)
    instance_family_level: str | None = None
    cpu_architecture: str | None = param(default=None, choices=("X86", "ARM"))
    minimum_cpu_core_count: int | None = None
    maximum_cpu_core_count: int | None = None
    minimum_memory_size: float | None = None
    maximum_memory_size: float | None = None
    max_results: int | None = None
    next_token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceTypeShape:
    """One type; memory in GiB. There are no graphics processors and no local disks."""

    instance_type_id: str
    instance_type_family: str
    instance_category: str
    instance_family_level: str
    cpu_core_count: int
    memory_size: float
    cpu_architecture: str = _ARCHITECTURE
    disk_quantity: int
    local_storage_category: str = ""
    gpu_amount: int = param(default=0, wire="GPUAmount")
    gpu_spec: str = param(default="", wire="GPUSpec")


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeInstanceTypesAnswer:
    """The types that match."""

    instance_types: tuple[InstanceTypeShape, ...] = param(wire="InstanceTypes/InstanceType")
    next_token: str = ""


@action(kind=Kind.READS)
def describe_instance_types(
    _call: Call, scope: Scope, request: DescribeInstanceTypesRequest
) -> DescribeInstanceTypesAnswer:
    """List the types of instances on offer."""
    disks = scope.limits.data_disks_per_instance + 1
    return DescribeInstanceTypesAnswer(
        instance_types=tuple(
            _show(each, disks)
            for each in list_machine_types()
            if _is_named(each, request) and _fits(each, request)
        )
    )


def _is_named(each: MachineType, request: DescribeInstanceTypesRequest) -> bool:
    families = set(request.instance_type_families)
    if request.instance_type_family is not None:
        families.add(request.instance_type_family)
    categories = set(request.instance_categories)
    if request.instance_category is not None:
        categories.add(request.instance_category)
    return (
        (not request.instance_types or each.id in request.instance_types)
        and (not families or each.family in families)
        and (not categories or each.category in categories)
        and request.instance_family_level in (None, each.level)
        and request.cpu_architecture in (None, _ARCHITECTURE)
    )


def _fits(each: MachineType, request: DescribeInstanceTypesRequest) -> bool:
    bounds = (
        (request.minimum_cpu_core_count, each.cores, request.maximum_cpu_core_count),
        (request.minimum_memory_size, each.memory_gib, request.maximum_memory_size),
    )
    return all(
        (low is None or low <= value) and (high is None or value <= high) for low, value, high in bounds
    )


def _show(each: MachineType, disks: int) -> InstanceTypeShape:
    return InstanceTypeShape(
        instance_type_id=each.id,
        instance_type_family=each.family,
        instance_category=each.category,
        instance_family_level=each.level,
        cpu_core_count=each.cores,
        memory_size=float(each.memory_gib),
        disk_quantity=disks,
    )
