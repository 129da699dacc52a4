"""`lamina ecs`: what follows from the declaration of an action."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner

from lamina.api.registry import load_actions
from lamina.api.schema import read_fields
from lamina.api.spec import Kind
from lamina.cli.ecs import ecs

ACTIONS = [each for each in load_actions().values() if each.kind is not Kind.MOVES_DATA]
PLACED = [
    (action.name, spec.wire)
    for action in ACTIONS
    for spec in read_fields(action.request)
    if spec.wire.lower() == "regionid"
]


@pytest.fixture
def profile(tmp_path, stage):
    path = tmp_path / "profile.json"
    path.write_text(
        json.dumps(
            {
                "endpoint": stage.endpoint,
                "access_key_id": "id",
                "access_key_secret": "secret",
                "region_id": "here",
            }
        )
    )
    return path


def read_sent(stage):
    path, _, body = stage.requests.pop()
    return parse_qs(urlsplit(path).query) | parse_qs(body.decode())


def test_the_region_is_that_of_the_profile_however_the_action_spells_it(stage, profile):
    assert {wire for _, wire in PLACED} > {"RegionId"}, "policies spell it otherwise"
    for name, wire in PLACED:
        stage.answers = [(200, {}, b"{}")]
        done = CliRunner().invoke(ecs, [name, "--profile", str(profile)])
        assert done.exit_code == 0, done.output
        assert read_sent(stage)[wire] == ["here"], name


def test_a_region_that_is_given_wins(stage, profile):
    stage.answers = [(200, {}, b"{}")]
    CliRunner().invoke(ecs, ["DescribeDisks", "--profile", str(profile), "--RegionId", "there"])
    assert read_sent(stage)["RegionId"] == ["there"]


def test_only_the_region_comes_from_the_profile():
    text = CliRunner().invoke(ecs, ["LockSnapshot", "--help"]).output
    assert text.count("what the profile says") == 1
    assert text.count("Mandatory.") == 4
