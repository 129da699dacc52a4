import pytest

from tests.factories.tasks import make_bench


@pytest.fixture
def bench(tmp_path):
    bench = make_bench(tmp_path)
    yield bench
    bench.database.close()
