"""Bulk exports of a site, carried on in the test's own thread."""

from lamina.blockio.qemu.formats import ImageFormat
from lamina.control.bulk_exports.drive import drive_bulk_exports
from lamina.control.bulk_exports.queries import get_bulk_export, list_items
from lamina.control.bulk_exports.start import NewBulkExport, start_bulk_export
from lamina.control.bulk_exports.states import UNFINISHED
from tests.factories.image_files import BUCKET

ROUNDS = 30


def start_bulk(site, *, image_format="raw", **options):
    with site.scope() as scope:
        new = NewBulkExport(bucket=BUCKET, format=ImageFormat(image_format), **options)
        return start_bulk_export(scope, new).id


def drive(site):
    drive_bulk_exports(site.installation)


def finish_bulk(site, bulk_id):
    """Drive and work in turn until it has ended."""
    for _ in range(ROUNDS):
        drive(site)
        if read_bulk(site, bulk_id).state not in UNFINISHED:
            return read_bulk(site, bulk_id)
        site.work()
    raise AssertionError([(item.state, item.failure) for item in read_items(site, bulk_id)])


def read_bulk(site, bulk_id):
    with site.scope() as scope:
        return get_bulk_export(scope, bulk_id)


def read_items(site, bulk_id):
    with site.installation.database.reading() as session:
        return list(list_items(session, bulk_id))


def read_states(site, bulk_id):
    return [item.state.value for item in read_items(site, bulk_id)]
