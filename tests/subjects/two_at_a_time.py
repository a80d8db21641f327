"""Two processes answer one client each, until it has asked nothing for so many seconds, 0.4 if none are given."""

import os
import socket
import sys

listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=16)
idle = float((sys.argv[2:] or ["0.4"])[0])
os.fork()
while True:
    client, _ = listener.accept()
    client.settimeout(idle)
    try:
        while client.recv(4096):
            client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    except OSError:
        pass
    client.close()
