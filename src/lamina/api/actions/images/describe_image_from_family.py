"""DescribeImageFromFamily."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.shapes.image import ImageShape, show_image
from lamina.api.spec import Kind, action
from lamina.control.images.queries import find_newest_of_family
from lamina.control.images.viewing import view_images
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.scope import Scope
from lamina.ids import RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeImageFromFamilyRequest:
    """Parameters."""

    region_id: RegionId
    image_family: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeImageFromFamilyAnswer:
    """The newest available image; an empty object where the family has none."""

    image: ImageShape


@action(kind=Kind.READS, raises=(RegionNotFoundError,))
def describe_image_from_family(
    _call: Call, scope: Scope, request: DescribeImageFromFamilyRequest
) -> DescribeImageFromFamilyAnswer:
    """Show the newest available image of one of the account's families."""
    found = find_newest_of_family(scope, request.image_family)
    views = view_images(scope, [found] if found is not None else [])
    return DescribeImageFromFamilyAnswer(image=show_image(views[0]) if views else ImageShape())
