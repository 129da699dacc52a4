import pytest

from tests.factories.installation import open_site


@pytest.fixture
def site(tmp_path):
    with open_site(tmp_path) as site:
        yield site
