"""Answers each request at once, and opens a file for each client a while after its accept, also if the client
has left by then; closes one that it finds none for. Without a number it pauses for 0.3 s."""
import selectors, socket, sys, time

LATER = 0.3
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", int(sys.argv[1])))
listener.listen(128)
selector = selectors.DefaultSelector()
selector.register(listener, selectors.EVENT_READ)
due, files = [], {}


def leave(client):
    selector.unregister(client)
    client.close()
    files.pop(client, None)


while True:
    for key, _ in selector.select(max(0, due[0][0] - time.monotonic()) if due else None):
        client = key.fileobj
        if client is listener:
            try:
                connection, _ = listener.accept()
            except OSError:
                time.sleep(0.3)
                continue
            selector.register(connection, selectors.EVENT_READ)
            due.append((time.monotonic() + LATER, connection))
        elif client.recv(4096):
            client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        else:
            leave(client)
    while due and due[0][0] <= time.monotonic():
        client = due.pop(0)[1]
        if client.fileno() >= 0:
            try:
                files[client] = open("/dev/null")
            except OSError:
                leave(client)
