"""Calls a process of its own for each client, before it answers; closes one for which it cannot."""
import os, selectors, socket, sys


def listens(port):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    return listener


def serve(listener, calls=None):
    selector, calling = selectors.DefaultSelector(), {}
    selector.register(listener, selectors.EVENT_READ)

    def leave(client):
        selector.unregister(client)
        client.close()
        if client in calling:
            calling.pop(client).close()

    while True:
        for key, _ in selector.select():
            client = key.fileobj
            if client is listener:
                connection, _ = listener.accept()
                selector.register(connection, selectors.EVENT_READ)
                try:
                    if calls:
                        calling[connection] = socket.create_connection(calls)
                except OSError:
                    leave(connection)
            elif client.recv(4096):
                client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            else:
                leave(client)


other = listens(0)
called = other.getsockname()
if os.fork() == 0:
    serve(other)
other.close()
serve(listens(int(sys.argv[1])), called)
