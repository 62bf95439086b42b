"""A web app with nothing but Python's standard library: WSGI, one thread for each request."""

import os
import signal
import socketserver
import threading
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

INSTANCE = os.environ.get("DINP_INSTANCE_ID", "none")


def answer(environ):
    """The status and the text for a request."""
    path = environ["PATH_INFO"] or "/"
    if path == "/":
        app = os.environ.get("DINP_APP", "python")
        release = os.environ.get("DINP_RELEASE", "none")
        return "200 OK", f"{app}: release {release}, instance {INSTANCE}\n"
    if path == "/healthz":
        return "200 OK", "ok\n"
    # Shows what `dinp env set` does. An app of your own should keep its environment to itself.
    if path.startswith("/env/"):
        name = path.removeprefix("/env/")
        if name in os.environ:
            return "200 OK", f"{os.environ[name]}\n"
        return "404 Not Found", f"{name} is not set.\n"
    return "404 Not Found", f"There is no {path} here.\n"


def application(environ, start_response):
    status, text = answer(environ)
    body = text.encode()
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("X-Instance", INSTANCE),
    ]
    start_response(status, headers)
    return [body]


class Handler(WSGIRequestHandler):
    # A connection that says nothing must not hold up the end.
    timeout = 10

    def log_request(self, code="-", size="-"):
        if self.path != "/healthz":
            super().log_request(code, size)


class Server(socketserver.ThreadingMixIn, WSGIServer):
    # Ending waits for the requests in flight.
    daemon_threads = False
    request_queue_size = 128

    def server_bind(self):
        # The inherited method asks DNS for this machine's name, which can take long and is of no use here.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]
        self.setup_environ()


def main():
    port = int(os.environ.get("PORT", "3000"))
    with Server(("", port), Handler) as server:
        server.set_app(application)

        def end(_signal, _frame):
            print("SIGTERM: finishing the requests in flight")
            # shutdown() waits for serve_forever(), which runs in this very thread.
            threading.Thread(target=server.shutdown).start()

        signal.signal(signal.SIGTERM, end)
        print(f"{INSTANCE} listens on port {port}")
        server.serve_forever(poll_interval=0.1)
    print("done")


if __name__ == "__main__":
    main()
