import pytest

from tests.factories.api import make_installation


@pytest.fixture
def installation(tmp_path):
    made = make_installation(tmp_path)
    yield made
    made.services.database.close()


@pytest.fixture
def caller(installation):
    return installation.add_caller()
