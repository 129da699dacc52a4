"""The kind of task that copies of images bring."""

from lamina.control.images.copying import COPY_IMAGE
from lamina.control.images.states import ImageState
from lamina.control.snapshots.states import SnapshotState
from tests.factories.image_copies import (
    DATA_BYTES,
    SYSTEM_BYTES,
    find_image,
    list_far,
    list_snapshots,
    make_image,
    read_snapshot,
    start_copy,
)
from tests.factories.installation import Site
from tests.factories.regions import add_region
from tests.faults.tasks.scenario import Scenario


def _prepare(site: Site):
    add_region(site)
    return start_copy(site, make_image(site))


def _is_copied(site: Site, copy_id) -> None:
    assert find_image(site, copy_id).state is ImageState.AVAILABLE
    system_id, data_id, _ = list_snapshots(site, copy_id)
    assert {system_id, data_id} == set(list_far(site))
    assert {site.snapshot(each).state for each in (system_id, data_id)} == {SnapshotState.ACCOMPLISHED}
    assert read_snapshot(site, system_id, len(SYSTEM_BYTES)) == SYSTEM_BYTES
    assert read_snapshot(site, data_id, len(DATA_BYTES)) == DATA_BYTES


def _is_undone(site: Site, copy_id) -> None:
    image = find_image(site, copy_id)
    assert (image.state, bool(image.failure)) == (ImageState.CREATE_FAILED, True)
    assert list_snapshots(site, copy_id) == [None, None, None]
    assert list_far(site) == []


SCENARIOS = [Scenario(COPY_IMAGE, _prepare, _is_copied, _is_undone)]
