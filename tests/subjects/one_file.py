"""Answers all who have asked by then from one file, which it opens for that and closes again."""

import select
import socket
import sys

ANSWER = b"HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n"
TOGETHER = 0.004

listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128)
listener.setblocking(False)
poll = select.epoll()
poll.register(listener, select.EPOLLIN)
clients = {}
while True:
    poll.poll()
    # Others come within this time.
    select.select([], [], [], TOGETHER)
    asked = []
    for number, _ in poll.poll(0):
        if number != listener.fileno():
            asked.append(number)
            continue
        try:
            while True:
                client, _ = listener.accept()
                client.setblocking(False)
                clients[client.fileno()] = client
                poll.register(client, select.EPOLLIN)
        except OSError:
            pass
    asked = [number for number in asked if number in clients]
    if not asked:
        continue
    try:
        with open("/dev/null"):
            answer = ANSWER % b"200 OK"
    except OSError:
        answer = ANSWER % b"503 Service Unavailable"
    for number in asked:
        try:
            sent = clients[number].recv(65536)
            if sent:
                clients[number].send(answer)
        except OSError:
            sent = b""
        if not sent:
            clients.pop(number).close()
