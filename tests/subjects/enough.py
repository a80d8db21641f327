"""Gives each client to a process of its own. After forty it closes its listener, or with `away` closes each
further client a moment after it has taken it."""

import os
import select
import signal
import socket
import sys

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128)
for _ in range(40):
    client, _ = listener.accept()
    if os.fork() == 0:
        listener.close()
        while client.recv(4096):
            pass
        os._exit(0)
    client.close()
while len(sys.argv) > 2:
    client, _ = listener.accept()
    select.select([], [], [], 0.02)
    client.close()
listener.close()
signal.pause()
