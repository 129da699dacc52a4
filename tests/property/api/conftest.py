import pytest

from tests.factories.api import make_installation


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    made = make_installation(tmp_path_factory.mktemp("api"))
    yield made
    made.services.database.close()


@pytest.fixture(scope="module")
def caller(installation):
    return installation.add_caller()
