"""Looks once a second at the clients that have come, and gives each that has been there for a second and a half
to a process of its own."""

import os
import select
import signal
import socket
import sys
import time

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128)
waiting = []
while True:
    ready, _, _ = select.select([listener], [], [], 1 if waiting else None)
    if ready:
        try:
            waiting.append((listener.accept()[0], time.monotonic() + 1.5))
        except OSError:
            pass
    for client, until in waiting:
        if time.monotonic() < until:
            continue
        if os.fork() == 0:
            listener.close()
            for other, _ in waiting:
                if other is not client:
                    other.close()
            while client.recv(4096):
                pass
            os._exit(0)
        client.close()
    waiting = [one for one in waiting if one[0].fileno() >= 0]
