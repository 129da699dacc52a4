"""DescribeSnapshotPackage."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.paging import MAX_PAGE_NUMBER, MAX_PAGE_SIZE
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.control.scope import Scope
from lamina.ids import RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeSnapshotPackageRequest:
    """Parameters."""

    region_id: RegionId
    page_number: int = param(default=1, between=(1, MAX_PAGE_NUMBER))
    page_size: int = param(default=10, between=(1, MAX_PAGE_NUMBER))


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotPackageShape:
    """A storage plan that was bought in advance; `init_capacity` is in GiB."""

    display_name: str
    init_capacity: int
    start_time: str
    end_time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeSnapshotPackageAnswer:
    """One page of storage plans."""

    snapshot_packages: tuple[SnapshotPackageShape, ...] = param(wire="SnapshotPackages/SnapshotPackage")
    total_count: int
    page_number: int
    page_size: int


@action(kind=Kind.READS)
def describe_snapshot_package(
    _call: Call, _scope: Scope, request: DescribeSnapshotPackageRequest
) -> DescribeSnapshotPackageAnswer:
    """List storage plans that were bought in advance: none, since snapshots are paid as they are used."""
    return DescribeSnapshotPackageAnswer(
        snapshot_packages=(),
        total_count=0,
        page_number=request.page_number,
        page_size=min(request.page_size, MAX_PAGE_SIZE),
    )
