"""Plans against a naive model that looks at every block by itself."""

from itertools import pairwise

import hypothesis.strategies as st
from hypothesis import given

from lamina.blockio.extents import Extent, ExtentKind
from lamina.engine.format import BLOCK_BYTES, LEAF_BLOCKS
from lamina.transfer.plan import LeafJob, Look, align_hint, plan_hint, plan_leaf, plan_scan
from tests.factories.disks import SparseDisk

_SIZES = st.sampled_from(
    [0, 1, 65535, 65536, 65537, 127 * 65536, 128 * 65536, 128 * 65536 + 1, 400 * 65536 - 7]
)
_LOOKS = {ExtentKind.HOLE: Look.HOLE, ExtentKind.ZERO: Look.ZERO, ExtentKind.DATA: Look.READ}


@st.composite
def _ranges(draw, size, most=6):
    found = []
    for _ in range(draw(st.integers(0, most)) if size else 0):
        offset = draw(st.integers(0, size - 1))
        length = draw(st.sampled_from([1, 511, 4096, 65536, 65537, 130 * 65536]))
        found.append((offset, min(length, size - offset)))
    return found


@st.composite
def _disks(draw):
    disk = SparseDisk(draw(_SIZES))
    for offset, length in draw(_ranges(disk.size_bytes)):
        match draw(st.sampled_from(["write", "zero", "punch"])):
            case "write":
                disk.write(offset, b"x" * length)
            case "zero":
                disk.zero(offset, length)
            case _:
                disk.punch(offset, length)
    return disk


def _look_at(disk, block):
    start = block * BLOCK_BYTES
    length = min(BLOCK_BYTES, disk.size_bytes - start)
    return max(_LOOKS[extent.kind] for extent in disk.list_extents(start, length))


def _flatten(jobs):
    indexes = [job.leaf_index for job in jobs]
    assert indexes == sorted(set(indexes))
    assert all(len(job.looks) == LEAF_BLOCKS for job in jobs)
    return {job.leaf_index * LEAF_BLOCKS + at: look for job in jobs for at, look in enumerate(job.looks)}


def _count(disk):
    return -(-disk.size_bytes // BLOCK_BYTES)


@given(_disks(), st.sets(st.integers(0, 6)))
def test_a_scan_looks_at_every_written_block_and_at_every_leaf_of_the_parent(disk, parent_leaves):
    looks = _flatten(list(plan_scan(disk, sorted(parent_leaves))))
    for block in range(_count(disk)):
        assert looks.get(block, Look.HOLE) == _look_at(disk, block)
    assert all(looks[block] == Look.HOLE for block in looks if block >= _count(disk))
    assert parent_leaves <= {block // LEAF_BLOCKS for block in looks}


@given(_disks(), st.data())
def test_a_hint_looks_at_its_blocks_and_keeps_the_others(disk, data):
    hinted = [Extent(offset, length) for offset, length in data.draw(_ranges(disk.size_bytes))]
    changed = align_hint(hinted, disk.size_bytes)
    looks = _flatten(list(plan_hint(disk, changed)))
    touched = {
        block
        for extent in hinted
        for block in range(extent.offset // BLOCK_BYTES, -(-extent.end // BLOCK_BYTES))
    }
    for block in range(_count(disk)):
        wanted = _look_at(disk, block) if block in touched else Look.KEEP
        assert looks.get(block, Look.KEEP) == wanted
    assert all(looks[block] == Look.KEEP for block in looks if block >= _count(disk))


@given(_SIZES, st.lists(st.tuples(st.integers(0, 2**26), st.integers(0, 2**23))))
def test_an_aligned_hint_covers_the_blocks_and_nothing_else(size, ranges):
    aligned = align_hint([Extent(offset, length) for offset, length in ranges if length], size)
    blocks = set()
    for offset, length in ranges:
        blocks.update(range(offset // BLOCK_BYTES, -(-(offset + length) // BLOCK_BYTES)) if length else ())
    blocks = {block for block in blocks if block * BLOCK_BYTES < size}
    covered = [
        block
        for extent in aligned
        for block in range(extent.offset // BLOCK_BYTES, -(-extent.end // BLOCK_BYTES))
    ]
    assert sorted(blocks) == covered
    assert all(extent.end % BLOCK_BYTES == 0 or extent.end == size for extent in aligned)
    assert all(one.end < other.offset for one, other in pairwise(aligned))


@given(_disks())
def test_a_leaf_alone_is_planned_as_in_a_scan(disk):
    looks = _flatten(list(plan_scan(disk, ())))
    for leaf_index in range(-(-_count(disk) // LEAF_BLOCKS)):
        job = plan_leaf(disk, leaf_index)
        first = leaf_index * LEAF_BLOCKS
        assert [looks.get(first + at, Look.HOLE) for at in range(LEAF_BLOCKS)] == list(job.looks)


@given(st.lists(st.sampled_from(list(Look)), min_size=LEAF_BLOCKS, max_size=LEAF_BLOCKS), st.integers(1, 20))
def test_reads_cover_what_must_be_read_in_runs_of_bounded_length(looks, most):
    job = LeafJob(0, bytes(looks))
    reads = list(job.list_reads(most))
    assert all(0 < count <= most for _, count in reads)
    assert [at + step for at, count in reads for step in range(count)] == [
        at for at, look in enumerate(looks) if look is Look.READ
    ]
    assert job.read_blocks == sum(count for _, count in reads)
