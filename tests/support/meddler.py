"""Somebody between a client and an etcd member who loses, replays and invents answers."""

from __future__ import annotations

import contextlib
import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOST = None


class Meddler:
    """Listens on loopback. `meddle(path, ask)` gives (status, body), or LOST to close without a word; `ask()` asks the
    member. Every path is counted in `asked`."""

    def __init__(self, member, meddle=None):
        self.member, self.meddle, self.asked = member, meddle or (lambda _path, ask: ask()), []
        self.ending = threading.Event()
        meddler = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                sent = self.rfile.read(int(self.headers["Content-Length"]))
                meddler.asked.append(self.path)
                answer = meddler.meddle(self.path, lambda: meddler.forward(self.path, sent))
                self.close_connection = True
                if answer is not LOST:
                    with contextlib.suppress(OSError):
                        self.send_response(answer[0])
                        self.end_headers()
                        self.wfile.write(answer[1])

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.7.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    @property
    def endpoint(self):
        return "{}:{}".format(*self.server.server_address)

    def forward(self, path, sent):
        if path == "/v3/watch":
            return self.hang()
        with contextlib.closing(http.client.HTTPConnection(self.member.address, self.member.port, timeout=5)) as to:
            to.request("POST", path, sent, {"Connection": "close", "Grpc-Metadata-hasleader": "true"})
            response = to.getresponse()
            return response.status, response.read()

    def hang(self):
        """An answer that does not come before the end, and is lost then."""
        self.ending.wait(30)
        return LOST

    def close(self):
        self.ending.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
