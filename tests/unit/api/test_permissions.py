"""What the keys of each role may call: all actions, so that none is forgotten."""

import pytest

from lamina.api.registry import load_actions
from lamina.control.accounts.states import KeyRole
from tests.factories.api import make_installation

ACTIONS = sorted(load_actions().values(), key=lambda action: action.name)
# Said here once more, and not taken from the declarations.
LOOKS = ("Describe", "List", "Read")
# These change nothing: the service is always open, no snapshot is ever exported, and a link to get an object is a way
# to look; one to put an object needs more, see test_bucket_actions.
LOOKS_TOO = {"OpenSnapshotService", "ExportSnapshot", "CreateBucketLink"}


def may(role, name):
    if role is KeyRole.ADMINISTRATOR:
        return True
    if role is KeyRole.OPERATOR:
        return not name.startswith(("Delete", "Schedule"))
    return name.startswith(LOOKS) or name in LOOKS_TOO


@pytest.fixture(scope="module")
def callers(tmp_path_factory):
    installation = make_installation(tmp_path_factory.mktemp("permissions"))
    yield {role: installation.add_caller(role=role) for role in KeyRole}
    installation.services.database.close()


@pytest.mark.parametrize("role", KeyRole, ids=lambda role: role.value)
@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_a_key_may_call_what_its_role_allows(callers, action, role):
    answer = callers[role].call(action.name)
    if may(role, action.name):
        assert answer.code != "Forbidden.RAM"
    else:
        assert (answer.status, answer.code) == (403, "Forbidden.RAM")
        assert role.value in answer.json["Message"]


def test_a_refused_key_learns_nothing_from_parameters(callers):
    answer = callers[KeyRole.READ_ONLY].call("DeleteSnapshot", SnapshotId="s-nothing", RegionId="cn-nowhere")
    assert answer.code == "Forbidden.RAM"
