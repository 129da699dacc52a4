"""Disk categories and the sizes that each allows (ECS API, CreateDisk)."""

from enum import Enum
from typing import Final

from lamina.control.disks.errors import DiskCategoryError, DiskSizeError
from lamina.units import GIB, count_steps


class DiskCategory(Enum):
    """The kinds of disks on offer. Local ones lie on one host and have no snapshots."""

    CLOUD = "cloud"
    CLOUD_EFFICIENCY = "cloud_efficiency"
    CLOUD_SSD = "cloud_ssd"
    CLOUD_ESSD = "cloud_essd"
    CLOUD_AUTO = "cloud_auto"
    CLOUD_ESSD_ENTRY = "cloud_essd_entry"
    LOCAL_SSD_PRO = "local_ssd_pro"
    LOCAL_HDD_PRO = "local_hdd_pro"
    EPHEMERAL = "ephemeral"
    EPHEMERAL_SSD = "ephemeral_ssd"
    ELASTIC_EPHEMERAL_STANDARD = "elastic_ephemeral_disk_standard"
    ELASTIC_EPHEMERAL_PREMIUM = "elastic_ephemeral_disk_premium"

    @property
    def supports_snapshots(self) -> bool:
        """Whether snapshots can be taken of such a disk, and such a disk be made from one."""
        return self in _SIZES_GIB or self is DiskCategory.CLOUD_ESSD

    @property
    def is_portable(self) -> bool:
        """Whether such a disk can leave its instance: every one that is not local."""
        return self.supports_snapshots


class PerformanceLevel(Enum):
    """The levels of an ESSD."""

    PL0 = "PL0"
    PL1 = "PL1"
    PL2 = "PL2"
    PL3 = "PL3"


_SIZES_GIB: Final = {
    DiskCategory.CLOUD: (5, 2_000),
    DiskCategory.CLOUD_EFFICIENCY: (20, 32_768),
    DiskCategory.CLOUD_SSD: (20, 32_768),
    DiskCategory.CLOUD_AUTO: (1, 65_536),
    DiskCategory.CLOUD_ESSD_ENTRY: (10, 32_768),
}
_ESSD_SIZES_GIB: Final = {
    PerformanceLevel.PL0: (1, 65_536),
    PerformanceLevel.PL1: (20, 65_536),
    PerformanceLevel.PL2: (461, 65_536),
    PerformanceLevel.PL3: (1_261, 65_536),
}

_IMPORT_GIB_MAX: Final = 65_536


def choose_level(category: DiskCategory, level: PerformanceLevel | None) -> PerformanceLevel | None:
    """The performance level that a new disk gets: PL1 for an ESSD unless asked otherwise, none for others."""
    if category is not DiskCategory.CLOUD_ESSD:
        return None
    return level or PerformanceLevel.PL1


def check_size(category: DiskCategory, level: PerformanceLevel | None, size_gib: int) -> None:
    """Refuse a size that the category does not have.

    Raises:
        DiskCategoryError: such disks cannot be created, only imported.
        DiskSizeError: the size is out of range.
    """
    if not category.supports_snapshots:
        raise DiskCategoryError(category.value)
    low, high = get_size_range(category, level)
    if not low <= size_gib <= high:
        raise DiskSizeError(category.value, size_gib, low, high)


def get_size_range(category: DiskCategory, level: PerformanceLevel | None) -> tuple[int, int]:
    """The least and greatest size in GiB of a category that can be created; an ESSD needs its level."""
    return _ESSD_SIZES_GIB[level] if level is not None else _SIZES_GIB[category]


def check_import_size(category: DiskCategory, size_bytes: int) -> int:
    """The size in whole GiB of a disk that takes `size_bytes`; an existing disk may be smaller than new ones.

    Raises:
        DiskSizeError: it is empty, or larger than any disk of the category.
    """
    size_gib = count_steps(size_bytes, GIB)
    high = _SIZES_GIB.get(category, (1, _IMPORT_GIB_MAX))[1]
    if not 1 <= size_gib <= high:
        raise DiskSizeError(category.value, size_gib, 1, high)
    return size_gib
