"""An HTTP server that answers one request after the other, stalls once for 100 ms at the 300th, and writes when
it sent each answer (CLOCK_MONOTONIC, nanoseconds) into a file: stalls.py PORT FILE."""

import socket
import sys
import time

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nheld\n"
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=4096)
times = open(sys.argv[2], "w", buffering=1)
requests = 0
while True:
    client, _ = listener.accept()
    if client.recv(65536):
        requests += 1
        if requests == 300:
            time.sleep(0.1)
        client.sendall(ANSWER)
        print(time.monotonic_ns(), file=times)
    client.close()
