"""Holds connections with select(2), which cannot watch a descriptor numbered 1024 or above: Python then raises, and it exits."""
import select
import socket
import sys

listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128)
held = []
while True:
    ready, _, _ = select.select([listener] + held, [], [])
    if listener in ready:
        held.append(listener.accept()[0])
    for connection in [c for c in ready if c is not listener]:
        if not connection.recv(4096):
            held.remove(connection)
            connection.close()
