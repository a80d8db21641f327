"""A service as one finds it: each request that comes in makes a call of its own to another service.

With --calls it has no listener, and makes that many calls by itself: at once, or when SIGUSR1 comes.
"""

import argparse
import http.server
import signal
import sys
import urllib.request

kept = []


def with_urllib(url, after):
    response = urllib.request.urlopen(url, timeout=3)
    if after == "keep":
        kept.append(response)
        return response.status
    with response:
        response.read()
    return response.status


def with_requests(url, after):
    import requests

    # A session each, as requests.get() makes one, with the body left for later.
    response = requests.get(url, timeout=3, stream=True)
    if after == "keep":
        kept.append(response)
        return response.status_code
    response.close()
    return response.status_code


def handler(call):
    class Relay(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/health":
                status, text = 200, b"well\n"
            else:
                status, text = self.relay()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def relay(self):
            try:
                return call(), b"relayed\n"
            except OSError as error:
                self.log_error("%s", error)
                return 500, f"{error}\n".encode()

        def log_request(self, *_):
            pass

        protocol_version = "HTTP/1.1"

    return Relay


def plain(call, calls, start):
    """Makes calls one after the other, says each that fails, and stays."""
    if start == "usr1":
        signal.sigwait([signal.SIGUSR1])
    failed = 0
    for number in range(1, calls + 1):
        try:
            call()
        except OSError as error:
            failed += 1
            print(f"call {number}: {error}", file=sys.stderr, flush=True)
    print(f"{calls} calls, {failed} failed", flush=True)
    signal.pause()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--backend", required=True, help="URL that is called")
    parser.add_argument("--client", choices=["urllib", "requests"], default="urllib")
    parser.add_argument("--after", choices=["keep", "close"], default="close", help="what becomes of the response")
    parser.add_argument("--calls", type=int, help="make calls by itself, without a listener")
    parser.add_argument("--start", choices=["now", "usr1"], default="now")
    options = parser.parse_args()
    make = {"urllib": with_urllib, "requests": with_requests}[options.client]

    def call():
        return make(options.backend, options.after)

    if options.calls is not None:
        if options.start == "usr1":
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        plain(call, options.calls, options.start)
    else:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", options.port), handler(call))
        server.serve_forever()


if __name__ == "__main__":
    main()
