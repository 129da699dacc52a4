"""Another account's id answers exactly as one that does not exist: every action, every parameter that names something.

The list of trials grows from the declarations of the actions; see `tests.factories.example_calls`.
"""

import re

import pytest

from lamina.api.registry import load_actions
from lamina.api.spec import Kind
from tests.conformance.worlds import build_world
from tests.factories.example_calls import KINDS, NOBODYS, list_named, list_parameters, write_call

ACTIONS = sorted(load_actions().values(), key=lambda action: action.name)
TRIALS = [(action, parameter) for action in ACTIONS for parameter in list_named(action)]

# Parameters that exclude another one of the example, which has to go.
WITHOUT = {
    ("CreateDisk", "InstanceId"): ("ZoneId",),
    ("ModifyDiskAttribute", "DiskIds.1"): ("DiskId",),
}
# Codes that say "not found" in other words.
NOT_FOUND = {"ParameterInvalid"}
# Parameters that are never looked up: what is left out may be anything, and copies of policies have no key.
LEFT_OUT = {
    ("CreateSnapshotGroup", "ExcludeDiskId.1"),
    ("CreateAutoSnapshotPolicy", "CopyEncryptionConfiguration.KMSKeyId"),
    ("ModifyAutoSnapshotPolicyEx", "CopyEncryptionConfiguration.KMSKeyId"),
}
# Actions that look nothing up, since they are refused to everybody.
CLOSED = {"CopySnapshot": "InvalidUser.NotInWhiteList", "ExportSnapshot": "UserNotInTheWhiteList"}


@pytest.fixture(scope="module")
def owner(service):
    with build_world(service) as world:
        yield world


@pytest.fixture(scope="module")
def stranger_world(service):
    with build_world(service) as world:
        yield world


def test_every_parameter_that_looks_like_a_name_is_known():
    unknown = {
        f"{action.name}: {parameter.wire}"
        for action in ACTIONS
        for parameter in list_parameters(action)
        if re.search(r"Ids?$", parameter.last) and parameter.last not in KINDS.keys() | NOBODYS
    }
    assert not unknown, f"say in tests/factories/example_calls.py what these name: {unknown}"


@pytest.mark.parametrize(
    ("action", "parameter"), TRIALS, ids=[f"{action.name}-{parameter.wire}" for action, parameter in TRIALS]
)
def test_e33_a_foreign_id_is_an_unknown_id(owner, stranger_world, action, parameter):
    owner.renew()
    stranger_world.renew()
    owner.settle()
    before = owner.dump()
    foreign_id = owner.own[parameter.kind]
    unknown_id = foreign_id[: foreign_id.index("-") + 1] + "0" * 20
    unknown = ask(stranger_world, action, parameter, unknown_id)
    foreign = ask(stranger_world, action, parameter, foreign_id)
    assert foreign == unknown
    assert owner.dump() == before
    _, code, _ = foreign
    if (action.name, parameter.wire) in LEFT_OUT:
        return
    is_told = code == "ok" or "NotFound" in code or code in NOT_FOUND or code == CLOSED.get(action.name)
    assert is_told, "the trial did not get as far as the look-up"


def ask(world, action, parameter, resource_id):
    call = write_call(action, world.own)
    for name in WITHOUT.get((action.name, parameter.wire), ()):
        call.pop(name, None)
    call[parameter.wire] = parameter.write(resource_id)
    if parameter.last.lower() == "kmskeyid":  # it means nothing where nothing is encrypted
        call[parameter.wire[: -len(parameter.last)] + "Encrypted"] = "true"
    body = bytes(512) if action.kind is Kind.MOVES_DATA and "Length" not in call and "Offset" in call else b""
    world.settle()
    reply = world.raw.call(action.name, call, body)
    text = reply.body.decode()
    for name, value in reply.json.items():
        if name.endswith("Id") and name != "RegionId":  # of the call, or of what it made
            text = text.replace(value, f"<{name}>")
    return (
        reply.status,
        reply.code,
        text.replace(resource_id, "<id>").replace(resource_id.split("-")[1], "<body>"),
    )
