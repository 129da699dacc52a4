"""DescribeImages."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from lamina.api.call import Call
from lamina.api.codes import Code
from lamina.api.paging import MAX_PAGE_NUMBER, MAX_PAGE_SIZE
from lamina.api.schema import param
from lamina.api.shapes.filters import BAD_FILTER_VALUE, UNKNOWN_FILTER_KEY, Filter, read_creation_window
from lamina.api.shapes.image import ImageShape, show_image
from lamina.api.shapes.tags import MAX_TAGS, TagFilter
from lamina.api.spec import Kind, action
from lamina.control.images.listing import ImageFilter, list_images
from lamina.control.images.states import Architecture, ImageState, OsType
from lamina.control.images.viewing import ImageView, Ownership
from lamina.control.instances.errors import InstanceTypeError
from lamina.control.instances.machine_types import get_machine_type
from lamina.control.paging import Page, Slice
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.scope import Scope
from lamina.ids import ImageId, RegionId, SnapshotId

_ALL_STATES: Final = "ALL"
# What every image is here, by the key of `Filter.N` that asks for it: other values match nothing.
_SAME_FOR_ALL: Final = {
    "NetworkType": ("vpc", "classic"),
    "CpuOnlineUpgrade": ("unsupported",),
    "CpuOnlineDowngrade": ("unsupported",),
    "MemoryOnlineUpgrade": ("unsupported",),
    "MemoryOnlineDowngrade": ("unsupported",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeImagesRequest:
    """Parameters; all filters must match. Pages are numbered; this list has no tokens."""

    region_id: RegionId
    image_id: tuple[ImageId, ...] | None = param(
        default=None, form="comma", at_most=100, malformed=Code(400, "InvalidParamter")
    )
    image_name: str | None = None
    image_family: str | None = None
    image_owner_alias: str | None = param(
        default=None,
        choices=tuple(each.value for each in Ownership),
        malformed=Code(400, "InvalidImageOwnerAlias.ValueNotSupported"),
    )
    image_owner_id: str | None = None
    status: tuple[str, ...] = param(
        default=(ImageState.AVAILABLE.value,),
        form="comma",
        choices=(_ALL_STATES, *(state.value for state in ImageState)),
        malformed=Code(400, "InvalidParamter"),
    )
    snapshot_id: SnapshotId | None = None
    usage: str | None = param(default=None, choices=("instance", "none"), malformed=Code(404, "InvalidUsage"))
    os_type: str | None = param(
        default=None,
        wire="OSType",
        choices=tuple(each.value for each in OsType),
        malformed=Code(404, "InvalidOSType"),
    )
    architecture: str | None = param(
        default=None,
        choices=tuple(each.value for each in Architecture),
        malformed=Code(404, "InvalidArchitecture"),
    )
    action_type: str | None = param(
        default=None, choices=("CreateEcs", "ChangeOS"), malformed=Code(400, "InvalidParamter")
    )
    instance_type: str | None = None
    is_public: bool | None = None
    is_support_cloudinit: bool | None = None
    is_support_io_optimized: bool | None = None
    usable: bool | None = None
    show_expired: bool | None = None
    resource_group_id: str | None = None
    filter: tuple[Filter, ...] = ()
    tag: tuple[TagFilter, ...] = param(default=(), at_most=MAX_TAGS, malformed=Code(400, "InvalidTagCount"))
    dry_run: bool = False
    page_number: int = param(default=1, between=(1, MAX_PAGE_NUMBER))
    page_size: int = param(default=10, between=(1, MAX_PAGE_NUMBER))


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeImagesAnswer:
    """One page of images, newest first."""

    images: tuple[ImageShape, ...] = param(wire="Images/Image")
    region_id: RegionId
    total_count: int
    page_number: int
    page_size: int


@action(
    kind=Kind.READS,
    raises=(RegionNotFoundError, InstanceTypeError),
    answers=(UNKNOWN_FILTER_KEY, BAD_FILTER_VALUE),
)
def describe_images(_call: Call, scope: Scope, request: DescribeImagesRequest) -> DescribeImagesAnswer:
    """List the account's own images, those that are shared with it, and public ones."""
    size = min(request.page_size, MAX_PAGE_SIZE)
    filters = _read_filter(request)
    page: Page[ImageView] = Page(items=(), total_count=0, next_key=None)
    if _can_match(request):
        page = list_images(scope, filters, Slice(limit=size, offset=(request.page_number - 1) * size))
    return DescribeImagesAnswer(
        images=tuple(show_image(view) for view in page.items),
        region_id=scope.region_id,
        total_count=page.total_count,
        page_number=request.page_number,
        page_size=size,
    )


def _read_filter(request: DescribeImagesRequest) -> ImageFilter:
    window = read_creation_window(each for each in request.filter if each.key not in _SAME_FOR_ALL)
    alias = request.image_owner_alias
    return ImageFilter(
        image_ids=request.image_id,
        name=request.image_name,
        family=request.image_family,
        states=_read_states(request),
        ownership=Ownership(alias) if alias is not None else None,
        owner_id=request.image_owner_id,
        snapshot_id=request.snapshot_id,
        os_type=OsType(request.os_type) if request.os_type is not None else None,
        architectures=_read_architectures(request),
        is_used=request.usage == "instance" if request.usage is not None else None,
        is_public=request.is_public or None,  # `false` leaves public ones in: it is about another kind
        is_usable=request.usable,
        tags={tag.key: tag.value for tag in request.tag},
        created_from=window.start,
        created_to=window.end,
    )


def _read_states(request: DescribeImagesRequest) -> Collection[ImageState] | None:
    if _ALL_STATES in request.status:
        return None
    return tuple(ImageState(each) for each in request.status)


def _read_architectures(request: DescribeImagesRequest) -> Collection[Architecture] | None:
    if request.instance_type is not None:
        get_machine_type(request.instance_type)
        fitting = {Architecture.I386, Architecture.X86_64}  # all types on offer have such processors
    else:
        fitting = set(Architecture)
    if request.architecture is not None:
        fitting &= {Architecture(request.architecture)}
    return None if fitting == set(Architecture) else fitting


def _can_match(request: DescribeImagesRequest) -> bool:
    return (
        request.resource_group_id is None
        and request.is_support_cloudinit is not True
        and request.is_support_io_optimized is not False
        and all(each.value in _SAME_FOR_ALL.get(each.key, (each.value,)) for each in request.filter)
    )
