"""A process for each client, each blocked in accept until then; the one that accepts starts the next."""

import os
import socket
import sys

listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128)
started = 1
while True:
    client, _ = listener.accept()
    if started < 12:
        started += 1
        if os.fork() == 0:
            client.close()
            continue
    started = 12
    while client.recv(4096):
        pass
    client.close()
