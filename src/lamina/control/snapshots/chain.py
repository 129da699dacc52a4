"""Chains: the snapshots of one disk. A chain has an id, and nothing else of its own."""

from lamina.ids import DiskId


def chain_id(disk_id: DiskId) -> str:
    """The id of a disk's chain (`SnapshotLinkId`): `sl-` and the body of the disk's id."""
    return "sl-" + disk_id.removeprefix("d-")


def find_disk_of_chain(link_id: str) -> DiskId | None:
    """The disk that a chain belongs to, or None if the text is no chain's id."""
    body = link_id.removeprefix("sl-")
    return None if body in {link_id, ""} else DiskId("d-" + body)
