"""The end of an instance's row."""

from sqlalchemy.orm import Session

from lamina.control.instances.records import InstanceRecord
from lamina.control.tags.put import drop_tags
from lamina.control.tags.records import ResourceType


def drop_instance(session: Session, instance: InstanceRecord) -> None:
    """Forget an instance that no disk belongs to any more."""
    drop_tags(session, ResourceType.INSTANCE, instance.id)
    session.delete(instance)
    session.flush()
