"""Files with any bytes of their headers and tables changed: read within the limits, or refused with a reason."""

import os
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lamina.blockio.qemu.formats import ImageFormat
from lamina.blockio.qemu.headers import VIRTUAL_BYTES_MAX, ImageFileError, check_headers
from lamina.blockio.qemu.image_tool import FileSource, ImageTool
from lamina.blockio.qemu.running import ProgramFailedError
from lamina.units import GIB, KIB, MIB
from tests.factories.image_files import write_image_file

FORMATS = [each for each in ImageFormat if each is not ImageFormat.RAW]
LARGEST = 64 * GIB
TABLES = 192 * KIB  # where the headers and tables of so small a file are; VHD and VMDK have copies at the end

places = st.one_of(st.integers(0, 512), st.integers(0, TABLES), st.integers(-1536, -1))
changes = st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=12)


@pytest.fixture(scope="module", params=FORMATS, ids=lambda each: each.value)
def good(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    raw = os.urandom(200 * KIB) + bytes(3 * MIB) + os.urandom(50 * KIB)
    return request.param, write_image_file(folder, raw, request.param.value).read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(changes=changes)
def test_changed_headers_are_read_within_limits_or_refused(good, changes, tmp_path):
    image_format, content = good
    data = bytearray(content)
    for place, value in changes:
        data[place % len(data)] = value
    source = FileSource(path=tmp_path / "file", format=image_format)
    source.path.write_bytes(data)
    target = FileSource(path=tmp_path / "disk.raw", format=ImageFormat.RAW)
    started, message = time.monotonic(), ""
    try:
        assert 0 < check_headers(source.path, image_format) <= VIRTUAL_BYTES_MAX
        tool = ImageTool(tmp_path)
        size = tool.measure(source)
        if 0 < size <= LARGEST:  # an import has such a limit, too
            tool.convert(source, target, size, lambda _share: None)
            assert target.path.stat().st_size == size
    except (ImageFileError, ProgramFailedError) as refusal:
        message = str(refusal)
    assert len(message) < 2000
    assert time.monotonic() - started < 60
    written = target.path.stat().st_blocks * 512 if target.path.exists() else 0
    assert written < GIB
