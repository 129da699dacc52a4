"""The types of instances on offer.

A small choice with the names and sizes of the vendor's sixth generation: `c` has 2 GiB for each core, `g` 4 and
`r` 8, so that configurations written for the cloud find a machine of the size that they expect.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lamina.control.instances.errors import InstanceTypeError


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineType:
    """One type.

    Attributes:
        id: such as `ecs.g6.large`.
        family: such as `ecs.g6`.
        category: what it is made for, in the API's words.
        level: `EntryLevel` or `EnterpriseLevel`.
        cores: virtual cores.
        memory_gib: memory.
    """

    id: str
    family: str
    category: str
    level: str
    cores: int
    memory_gib: int


_SIZES: Final = (("large", 2), ("xlarge", 4), ("2xlarge", 8))
_FAMILIES: Final = (
    ("ecs.c6", "Compute-optimized", 2),
    ("ecs.g6", "General-purpose", 4),
    ("ecs.r6", "Memory-optimized", 8),
)
_TYPES: Final = {
    each.id: each
    for each in (
        MachineType(
            id="ecs.t6-c1m1.large",
            family="ecs.t6",
            category="Shared",
            level="EntryLevel",
            cores=2,
            memory_gib=2,
        ),
        *(
            MachineType(
                id=f"{family}.{size}",
                family=family,
                category=category,
                level="EnterpriseLevel",
                cores=cores,
                memory_gib=cores * gib_per_core,
            )
            for family, category, gib_per_core in _FAMILIES
            for size, cores in _SIZES
        ),
    )
}


def list_machine_types() -> Sequence[MachineType]:
    """All types, by family and size."""
    return tuple(_TYPES.values())


def get_machine_type(type_id: str) -> MachineType:
    """One type.

    Raises:
        InstanceTypeError: there is no such type.
    """
    if type_id not in _TYPES:
        raise InstanceTypeError(type_id)
    return _TYPES[type_id]
