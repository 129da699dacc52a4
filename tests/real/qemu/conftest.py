import pytest

from tests.factories.image_files import make_bucket
from tests.factories.installation import open_site


@pytest.fixture
def site(tmp_path):
    with open_site(tmp_path) as opened:
        make_bucket(opened)
        yield opened
