"""CreateInstance."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.shapes.instance_names import BAD_HOST_NAME, BAD_NAME, name_instances
from lamina.api.shapes.new_instance import (
    ANSWERS,
    ERRORS,
    NOT_OFFERED,
    RAISES,
    NewInstanceRequest,
    make_instances,
)
from lamina.api.spec import Kind, action
from lamina.control.scope import Scope
from lamina.ids import InstanceId


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateInstanceRequest(NewInstanceRequest):
    """Parameters; see `NewInstanceRequest` for most of them."""

    instance_name: str | None = None
    host_name: str | None = None
    inner_ip_address: str | None = None
    node_controller_id: str | None = None
    use_additional_service: bool = False
    vlan_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateInstanceAnswer:
    """The instance, which is `Pending` for now."""

    instance_id: InstanceId


@action(
    kind=Kind.WRITES,
    raises=RAISES,
    errors=ERRORS,
    answers=(*ANSWERS, BAD_NAME, BAD_HOST_NAME),
    not_offered=NOT_OFFERED,
)
def create_instance(call: Call, scope: Scope, request: CreateInstanceRequest) -> CreateInstanceAnswer:
    """Create an instance with its disks, with the bytes of an image; it is `Stopped` once they are made."""
    names = name_instances([request.instance_name], [request.host_name])
    [made] = make_instances(call, scope, request, names)
    return CreateInstanceAnswer(instance_id=made.id)
