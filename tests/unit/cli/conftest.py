"""A server of the standard library that answers what the test says."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Stage:
    """The answers to give, and the requests that came."""

    def __init__(self):
        self.answers = []
        self.requests = []


@pytest.fixture
def stage():
    stage = Stage()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            stage.requests.append(
                (self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            )
            status, headers, data = stage.answers.pop(0)
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    stage.endpoint = f"http://127.0.0.1:{server.server_port}"
    yield stage
    server.shutdown()
    thread.join()
    server.server_close()
