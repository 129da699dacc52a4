"""The API of an installation, as an ASGI application. Runs inside `all_in_one`."""

import gc
import sys
from typing import Final

from lamina.api.asgi import ApiApp
from lamina.api.bucket_links import BucketLinks
from lamina.api.call import Services
from lamina.api.nonces import NonceStore
from lamina.api.price_list import with_price_list
from lamina.api.rate_limit import RateLimiter
from lamina.api.registry import load_actions
from lamina.api.server import Pipeline
from lamina.clock import SystemClock
from lamina.control.audit.journal import AuditJournal
from lamina.control.first_start import DEFAULT_REGION
from lamina.control.installation import Installation

_SWITCH_SECONDS: Final = 0.0005


def make_app(installation: Installation) -> ApiApp:
    """What answers the calls to an installation. Its audit log ends with it, when the ASGI server shuts it down."""
    load_actions()  # now, and not when the first call comes
    wall_clock = SystemClock()
    audit = AuditJournal(installation.database)
    audit.start()
    services = Services(
        database=installation.database,
        vault=installation.vault,
        volumes=installation.volumes,
        buckets=installation.buckets,
        repositories=installation.repositories,
        clock=installation.clock,
        wall_clock=wall_clock,
        limits=installation.limits,
        region_id=DEFAULT_REGION.id,
        nonces=NonceStore(wall_clock, installation.directory / "nonces"),
        limiter=RateLimiter(wall_clock, installation.preferences.rates),
        audit=audit,
        tariff=installation.tariff,
        paging_key=installation.root_key.derive("paging"),
        public_url=installation.preferences.public_url,
    )
    links = BucketLinks(installation.buckets, audit, installation.clock)

    def close() -> None:
        links.close()
        audit.close()

    answer = with_price_list(installation.tariff.prices, Pipeline(services).answer)
    return ApiApp(answer, links=links, close=close)


def settle_down() -> None:
    """Let no call wait for long: neither for the garbage collector, nor for another thread that is counting.

    The collector passes over all that was made so far, which stays as long as the process does. Otherwise it looks
    through a hundred thousand modules, classes and tables now and then, and all calls wait 40 ms. And a thread that
    comes back from the database has its turn after half a millisecond and not after 5, ten times in a transaction
    that others are waiting for: a sixth more of them fit into a second.
    """
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(_SWITCH_SECONDS)
