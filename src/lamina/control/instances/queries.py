"""Looking instances up. One that is being released is not found."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, select

from lamina.control.instances.errors import InstanceNotFoundError, InstanceStateError
from lamina.control.instances.records import InstanceRecord
from lamina.control.instances.states import InstanceState
from lamina.control.paging import AgeOrder, Page, PageKey, Slice, fetch_slice
from lamina.control.scope import Scope
from lamina.control.tags.queries import has_tags, list_tags
from lamina.control.tags.records import ResourceType
from lamina.ids import InstanceId, ZoneId


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceFilter:
    """Which instances of the scope's account and region are wanted; what is None does not matter.

    Attributes:
        instance_ids: only these; an empty list matches nothing.
        is_security_locked: locked by the operator, or not.
        expired_by: paid for in advance, until this instant at the latest.
        is_prepaid: paid for in advance, or by use.
        tags: key to value; None as a value matches any.
        created_from: not before this instant.
        created_to: not after this instant.
    """

    instance_ids: Sequence[InstanceId] | None = None
    name: str | None = None
    state: InstanceState | None = None
    zone_id: ZoneId | None = None
    image_id: str | None = None
    instance_type: str | None = None
    key_pair_name: str | None = None
    security_group_id: str | None = None
    v_switch_id: str | None = None
    is_security_locked: bool | None = None
    expired_by: datetime | None = None
    is_prepaid: bool | None = None
    tags: Mapping[str, str | None] = field(default_factory=dict)
    created_from: datetime | None = None
    created_to: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceView:
    """An instance with its tags."""

    instance: InstanceRecord
    tags: Mapping[str, str]


def get_instance(scope: Scope, instance_id: InstanceId) -> InstanceRecord:
    """One instance of the account, in any region; a writing transaction keeps others from changing it.

    Raises:
        InstanceNotFoundError: the account has no such instance, or it is being released.
    """
    instance = scope.session.scalars(
        select(InstanceRecord).where(
            InstanceRecord.id == instance_id,
            InstanceRecord.account_id == scope.account_id,
            InstanceRecord.state != InstanceState.RELEASING,
        )
    ).one_or_none()
    if instance is None:
        raise InstanceNotFoundError(instance_id)
    return instance


def require_state(instance: InstanceRecord, allowed: Collection[InstanceState]) -> None:
    """Let only an instance in one of these states pass.

    Raises:
        InstanceStateError: it is in another one.
    """
    if instance.state not in allowed:
        raise InstanceStateError(instance.id, instance.state, allowed)


def list_instances(scope: Scope, wanted: InstanceFilter, part: Slice) -> Page[InstanceView]:
    """The instances of the account in the region that match, newest first."""
    query = select(InstanceRecord).where(
        InstanceRecord.account_id == scope.account_id,
        InstanceRecord.region_id == scope.region_id,
        InstanceRecord.state != InstanceState.RELEASING,
        *_match(wanted),
    )
    order = AgeOrder(created_at=InstanceRecord.created_at, id=InstanceRecord.id)
    found, total, has_more = fetch_slice(scope, query, order, part)
    tags = list_tags(scope.session, ResourceType.INSTANCE, [instance.id for instance in found])
    return Page(
        items=tuple(InstanceView(instance=instance, tags=tags[instance.id]) for instance in found),
        total_count=total,
        next_key=PageKey(created_at=found[-1].created_at, id=found[-1].id) if has_more else None,
    )


def _match(wanted: InstanceFilter) -> list[ColumnElement[bool]]:
    plain = (
        (InstanceRecord.name, wanted.name),
        (InstanceRecord.state, wanted.state),
        (InstanceRecord.zone_id, wanted.zone_id),
        (InstanceRecord.image_id, wanted.image_id),
        (InstanceRecord.instance_type, wanted.instance_type),
        (InstanceRecord.key_pair_name, wanted.key_pair_name),
        (InstanceRecord.security_group_id, wanted.security_group_id),
        (InstanceRecord.v_switch_id, wanted.v_switch_id),
        (InstanceRecord.is_security_locked, wanted.is_security_locked),
    )
    conditions: list[ColumnElement[bool]] = [column == value for column, value in plain if value is not None]
    if wanted.instance_ids is not None:
        conditions.append(InstanceRecord.id.in_(wanted.instance_ids))
    if wanted.expired_by is not None:
        conditions.append(InstanceRecord.expires_at <= wanted.expired_by)
    if wanted.is_prepaid is not None:
        is_prepaid = InstanceRecord.expires_at.is_not(None)
        conditions.append(is_prepaid if wanted.is_prepaid else ~is_prepaid)
    if wanted.created_from is not None:
        conditions.append(InstanceRecord.created_at >= wanted.created_from)
    if wanted.created_to is not None:
        conditions.append(InstanceRecord.created_at <= wanted.created_to)
    return conditions + has_tags(ResourceType.INSTANCE, InstanceRecord.id, wanted.tags)
