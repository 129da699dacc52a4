"""Identifiers: their types, their prefixes, and the only place where new ones are made."""

import secrets
import string
import uuid
from typing import Final, NewType

AccountId = NewType("AccountId", str)
AccessKeyId = NewType("AccessKeyId", str)
RegionId = NewType("RegionId", str)
ZoneId = NewType("ZoneId", str)
DiskId = NewType("DiskId", str)
InstanceId = NewType("InstanceId", str)
SnapshotId = NewType("SnapshotId", str)
TaskId = NewType("TaskId", str)
ConnectionId = NewType("ConnectionId", str)
RequestId = NewType("RequestId", str)
PolicyId = NewType("PolicyId", str)
RunId = NewType("RunId", str)
SnapshotGroupId = NewType("SnapshotGroupId", str)
ImageId = NewType("ImageId", str)
KeyId = NewType("KeyId", str)
BulkExportId = NewType("BulkExportId", str)

_ALPHABET: Final = string.ascii_lowercase + string.digits
_BODY_LENGTH: Final = 20  # `s-` and 20 lower-case letters or digits, as the ECS API writes them


def _mint(prefix: str) -> str:
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(_BODY_LENGTH))


def mint_disk_id() -> DiskId:
    """A new disk id, such as `d-` followed by 20 characters."""
    return DiskId(_mint("d-"))


def mint_instance_id() -> InstanceId:
    """A new instance id, such as `i-` followed by 20 characters."""
    return InstanceId(_mint("i-"))


def mint_snapshot_id() -> SnapshotId:
    """A new snapshot id, such as `s-` followed by 20 characters."""
    return SnapshotId(_mint("s-"))


def mint_snapshot_group_id() -> SnapshotGroupId:
    """A new id of a snapshot group, such as `ssg-` followed by 20 characters."""
    return SnapshotGroupId(_mint("ssg-"))


def mint_image_id() -> ImageId:
    """A new id of a custom image, such as `m-` followed by 20 characters."""
    return ImageId(_mint("m-"))


def mint_task_id() -> TaskId:
    """A new task id, such as `t-` followed by 20 characters."""
    return TaskId(_mint("t-"))


def mint_connection_id() -> ConnectionId:
    """A new id of a connection to a disk, such as `dc-` followed by 20 characters."""
    return ConnectionId(_mint("dc-"))


def mint_policy_id() -> PolicyId:
    """A new id of an automatic snapshot policy, such as `sp-` followed by 20 characters."""
    return PolicyId(_mint("sp-"))


def mint_run_id() -> RunId:
    """A new id of a record of what a policy did, such as `pr-` followed by 20 characters."""
    return RunId(_mint("pr-"))


def mint_bulk_export_id() -> BulkExportId:
    """A new id of an export of many images in one go, such as `be-` followed by 20 characters."""
    return BulkExportId(_mint("be-"))


def mint_request_id() -> RequestId:
    """A new request id: an upper-case UUID, as every reply of the ECS API carries."""
    return RequestId(str(uuid.uuid4()).upper())


def mint_key_id() -> KeyId:
    """A new id of an encryption key: a lower-case UUID, as the vendor's key service writes them."""
    return KeyId(str(uuid.uuid4()))


def mint_account_id() -> AccountId:
    """A new account id: 16 digits that do not start with zero."""
    return AccountId(str(secrets.randbelow(9 * 10**15) + 10**15))


def mint_access_key_id() -> AccessKeyId:
    """A new access key id: `LTAI` and 20 letters or digits."""
    body = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(_BODY_LENGTH))
    return AccessKeyId("LTAI" + body)


def is_access_key_id(text: str) -> bool:
    """Whether a text looks like an access key id, and so cannot be a secret that was put in its place."""
    body = text.removeprefix("LTAI")
    return len(body) == _BODY_LENGTH and body != text and body.isascii() and body.isalnum()


def mint_secret() -> str:
    """A new access key secret: 30 letters or digits (178 bits)."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(30))
