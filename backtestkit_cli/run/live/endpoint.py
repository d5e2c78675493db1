"""The page of figures for Prometheus, `http://127.0.0.1:PORT/metrics`: on this computer alone, and to be read only."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from backtestkit_cli.errors import ConfigError, Problem, Source

LOOPBACK = "127.0.0.1"
PATH = "/metrics"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = 5.0
"""How long a reader may take for its question."""


@contextmanager
def served(port: int, text: Callable[[], str], where: Source) -> Iterator[None]:
    """Answer readers inside, in threads of their own.

    Raises:
        ConfigError: another program has the port, or this one may not.
    """

    class Page(BaseHTTPRequestHandler):
        timeout = SECONDS

        def do_GET(self) -> None:
            if self.path != PATH:
                self.send_error(404)
                return
            content = text().encode("utf-8")
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing of readers."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A reader that went away is none of ours."""

    try:
        server = Server((LOOPBACK, port), Page)
    except OSError as error:
        what = f"the page of metrics cannot be served: {error.strerror or error}"
        hint = "choose another port, or leave settings.metrics out"
        raise ConfigError(Problem("metrics-not-served", what, where, found=str(port), hint=hint)) from error
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="metrics", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
