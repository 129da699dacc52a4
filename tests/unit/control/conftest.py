import pytest

from tests.factories.installation import open_site


@pytest.fixture
def site(tmp_path):
    """A new installation whose tasks run when the test says `site.work()`."""
    with open_site(tmp_path) as site:
        yield site
