"""RunInstances."""

from dataclasses import dataclass
from typing import Final

from lamina.api.call import Call
from lamina.api.codes import INVALID_PARAMETER, ApiError, Code
from lamina.api.schema import param
from lamina.api.shapes.instance_names import BAD_HOST_NAME, BAD_NAME, name_instances, number_names
from lamina.api.shapes.new_instance import (
    ANSWERS,
    ERRORS,
    NOT_OFFERED,
    RAISES,
    NewInstanceRequest,
    make_instances,
    read_release_time,
)
from lamina.api.spec import Kind, action
from lamina.control.provisioning.create import InstanceNames
from lamina.control.scope import Scope
from lamina.ids import InstanceId

_AT_ONCE: Final = (1, 100)
_NO_TEMPLATE: Final = Code(404, "InvalidLaunchTemplate.NotFound")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkInterface:
    """`NetworkInterface.N`; accepted, since there are no networks."""

    description: str | None = None
    instance_type: str | None = None
    network_interface_name: str | None = None
    primary_ip_address: str | None = None
    security_group_id: str | None = None
    v_switch_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInstancesRequest(NewInstanceRequest):
    """Parameters; see `NewInstanceRequest` for most of them."""

    amount: int = param(default=1, between=_AT_ONCE)
    min_amount: int | None = param(default=None, between=_AT_ONCE)
    instance_name: str | None = None
    host_name: str | None = None
    host_names: tuple[str, ...] = param(default=(), at_most=_AT_ONCE[1])
    unique_suffix: bool = False
    auto_release_time: str | None = None
    auto_pay: bool = True
    ipv6_address_count: int | None = None
    isp: str | None = None
    launch_template_id: str | None = None
    launch_template_name: str | None = None
    launch_template_version: int | None = None
    network_interface: tuple[NetworkInterface, ...] = ()
    network_interface_queue_number: int | None = None
    security_group_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInstancesAnswer:
    """The instances, which are `Pending` for now."""

    instance_id_sets: tuple[InstanceId, ...] = param(wire="InstanceIdSets/InstanceIdSet")


@action(
    kind=Kind.WRITES,
    raises=RAISES,
    errors=ERRORS,
    answers=(*ANSWERS, BAD_NAME, BAD_HOST_NAME, _NO_TEMPLATE),
    not_offered=NOT_OFFERED,
)
def run_instances(call: Call, scope: Scope, request: RunInstancesRequest) -> RunInstancesAnswer:
    """Create instances, all of them or none, and start each once its disks are made."""
    if request.launch_template_id is not None or request.launch_template_name is not None:
        raise ApiError(_NO_TEMPLATE, "there are no launch templates; give the parameters themselves")
    if request.min_amount is not None and request.min_amount > request.amount:
        raise ApiError(INVALID_PARAMETER, "MinAmount is more than Amount")
    release_at = read_release_time(scope, request.auto_release_time, request.instance_charge_type)
    made = make_instances(call, scope, request, _read_names(request), starts=True, auto_release_at=release_at)
    return RunInstancesAnswer(instance_id_sets=tuple(each.id for each in made))


def _read_names(request: RunInstancesRequest) -> tuple[InstanceNames, ...]:
    if request.host_name is not None and request.host_names:
        raise ApiError(INVALID_PARAMETER, "HostName and HostNames.N exclude each other; give one of them")
    amount, has_suffix = request.amount, request.unique_suffix
    if len(request.host_names) > amount:
        raise ApiError(INVALID_PARAMETER, f"HostNames.N has {len(request.host_names)} names for {amount}")
    host_names = number_names(request.host_name, amount, has_suffix=has_suffix)
    if request.host_names:
        host_names = [*request.host_names, *host_names[len(request.host_names) :]]
    return name_instances(number_names(request.instance_name, amount, has_suffix=has_suffix), host_names)
