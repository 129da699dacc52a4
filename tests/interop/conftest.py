"""Our NBD server in a thread, for real clients."""

import threading
from contextlib import contextmanager

import pytest

from lamina.blockio.nbd.listening import UnixAddress
from lamina.blockio.nbd.server import NbdServer


@contextmanager
def running(exports, address, **options):
    """Serve exports from a thread; gives the URI of the default export."""
    ready, stop, uris = threading.Event(), threading.Event(), []

    def tell(uri):
        uris.append(uri)
        ready.set()

    server = NbdServer(exports, address, **options)
    thread = threading.Thread(target=server.serve_forever, args=(stop,), kwargs={"on_ready": tell})
    thread.start()
    try:
        assert ready.wait(5), "the server did not start"
        yield uris[0]
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive(), "the server did not stop"


@pytest.fixture
def serve(tmp_path):
    """A context manager that serves exports at a Unix socket."""

    def serve_at_socket(*exports, **options):
        return running(
            {export.name: export for export in exports}, UnixAddress(path=tmp_path / "nbd.sock"), **options
        )

    return serve_at_socket
