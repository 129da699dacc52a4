"""What is refused before any other program reads a file."""

import struct

import pytest

from lamina.blockio.qemu.formats import ImageFormat, detect_format, find_format
from lamina.blockio.qemu.headers import VIRTUAL_BYTES_MAX, ImageFileError, check_headers
from lamina.units import GIB, MIB

QCOW2 = {
    "magic": b"QFI\xfb",
    "version": 3,
    "backing_offset": 0,
    "backing_bytes": 0,
    "cluster_bits": 16,
    "size": GIB,
    "crypt": 0,
    "incompatible": 0,
}


def qcow2(**changes):
    now = QCOW2 | changes
    head = struct.pack(
        ">4sIQIIQI",
        *(
            now[name]
            for name in ("magic", "version", "backing_offset", "backing_bytes", "cluster_bits", "size")
        ),
        now["crypt"],
    )
    return head.ljust(72, b"\0") + struct.pack(">QQQII", now["incompatible"], 0, 0, 4, 104) + bytes(512)


def vhd(*, kind=3, size=GIB, dynamic=b"cxsparse"):
    footer = struct.pack(
        ">8sIIQI4sI4sQQ4sI", b"conectix", 2, 0x10000, 512, 0, b"qem2", 0, b"Wi2k", size, size, b"", kind
    ).ljust(512, b"\0")
    return bytes(MIB) + footer if kind == 2 else footer + dynamic.ljust(1024, b"\0") + footer


def vmdk(*, magic=b"KDMV", sectors=GIB >> 9, descriptor="", directory=21, footer=b""):
    head = struct.pack("<4sIIQQQQIQQ", magic, 1, 3, sectors, 128, 1, 20, 512, 21, directory)
    return head.ljust(512, b"\0") + descriptor.encode().ljust(64 << 10, b"\0") + footer


def vdi(*, signature=0xBEDA107F, version=0x10001, kind=1, size=GIB, parent=b"", link=b""):
    head = struct.pack("<64sIIIII256s", b"", signature, version, 400, kind, 0, b"")
    rest = struct.pack("<IIIIIIIQIIII", 512, 1024, 0, 0, 0, 512, 0, size, MIB, 0, 1024, 0)
    return (head + rest + struct.pack("<16s16s16s16s", b"u", b"", link, parent)).ljust(512, b"\0")


SPARSE = 'createType="monolithicSparse"\nRW 2097152 SPARSE "x.vmdk"\n'

GOOD = {
    ImageFormat.QCOW2: [qcow2(), qcow2(version=2), qcow2(incompatible=0b11001)],
    ImageFormat.VHD: [vhd(), vhd(kind=2)],
    ImageFormat.VMDK: [
        vmdk(descriptor=SPARSE),
        vmdk(descriptor=SPARSE + '\0parentFileNameHint="data of the disk"'),
        vmdk(directory=(1 << 64) - 1, footer=vmdk()[:512] + bytes(512)),
    ],
    ImageFormat.VDI: [vdi(), vdi(kind=2)],
}

BAD = {
    ImageFormat.QCOW2: [
        (b"", "ends within"),
        (qcow2(magic=b"nope"), "version 2 or 3"),
        (qcow2(version=1), "version 2 or 3"),
        (qcow2(backing_offset=500, backing_bytes=9), "backing file"),
        (qcow2(crypt=2), "encrypted"),
        (qcow2(cluster_bits=30), "clusters"),
        (qcow2(incompatible=0b100), "another file"),
        (qcow2(incompatible=0b10), "damaged"),
        (qcow2(incompatible=1 << 40), "not known"),
        (qcow2(size=0), "no bytes"),
        (qcow2(size=VIRTUAL_BYTES_MAX + 512), "32 TiB"),
        (qcow2(size=(1 << 64) - 1), "32 TiB"),
    ],
    ImageFormat.VHD: [
        (bytes(2048), "no footer"),
        (vhd(kind=4), "differences"),
        (vhd(kind=9), "type 9"),
        (vhd(dynamic=b"cxbroken"), "dynamic header"),
        (vhd(size=1 << 60), "32 TiB"),
    ],
    ImageFormat.VMDK: [
        (vmdk(magic=b"COWD"), "hold all of their data"),
        (b"# Disk DescriptorFile\nRW 1 FLAT /etc/shadow 0\n".ljust(512), "hold all of their data"),
        (vmdk(sectors=0), "no disk of its own"),
        (vmdk(descriptor=SPARSE + 'parentFileNameHint="/etc/shadow"'), "differences"),
        (vmdk(descriptor='RW 1 FLAT "/etc/shadow" 0'), "names other files"),
        (vmdk(descriptor=SPARSE + 'RW 1 SPARSE "/etc/shadow"'), "names other files"),
        (vmdk(descriptor='createType="monolithicFlat"'), "hold all of their data"),
        (vmdk(directory=(1 << 64) - 1, footer=vmdk(sectors=9)[:512] + bytes(512)), "footer"),
        (vmdk(sectors=1 << 50), "32 TiB"),
    ],
    ImageFormat.VDI: [
        (vdi(signature=1), "version 1.1"),
        (vdi(version=1), "version 1.1"),
        (vdi(kind=4), "differences"),
        (vdi(parent=b"somebody"), "differences"),
        (vdi(link=b"somebody"), "differences"),
        (vdi(size=1 << 60), "32 TiB"),
    ],
    ImageFormat.RAW: [(b"", "no bytes")],
}


@pytest.mark.parametrize(
    ("image_format", "content"), [(each, content) for each, contents in GOOD.items() for content in contents]
)
def test_a_file_that_has_all_of_its_data_passes(tmp_path, image_format, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert check_headers(path, image_format) == GIB


@pytest.mark.parametrize(
    ("image_format", "content", "reason"),
    [(each, content, reason) for each, cases in BAD.items() for content, reason in cases],
)
def test_what_is_not_taken_is_refused_with_the_reason(tmp_path, image_format, content, reason):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ImageFileError, match=reason):
        check_headers(path, image_format)


def test_a_raw_file_is_what_it_is_whatever_its_first_bytes_say(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(qcow2(backing_offset=500, backing_bytes=9))
    assert check_headers(path, ImageFormat.RAW) == path.stat().st_size


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a/b.QCOW2", ImageFormat.QCOW2),
        ("disk.vhd", ImageFormat.VHD),
        ("disk.img", ImageFormat.RAW),
        ("disk.raw", ImageFormat.RAW),
        ("disk.vmdk", ImageFormat.VMDK),
        ("disk.vdi", ImageFormat.VDI),
        ("disk.iso", None),
        ("qcow2", None),
    ],
)
def test_a_suffix_names_a_format(name, found):
    assert find_format(name) is found


def test_the_first_bytes_name_a_format():
    for image_format, contents in GOOD.items():
        assert detect_format(contents[0][:512]) is image_format
    assert detect_format(b"# Disk DescriptorFile\n") is ImageFormat.VMDK
    assert detect_format(b"") is ImageFormat.RAW
