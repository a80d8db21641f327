"""Two listeners in one process, each with a thread and an accept policy of its own.

two_listeners.py PORT PATH LOADED OTHER: PATH is a Unix socket where nobody comes, and which is polled. A policy is the
pause after a failed accept, in seconds; 0 makes none.
"""

import os
import selectors
import socket
import sys
import threading
import time


def accept(listener, pause, polled, clients):
    while True:
        try:
            clients.register(listener.accept()[0], selectors.EVENT_READ)
        except BlockingIOError:
            time.sleep(polled)
        except OSError:
            if pause:
                time.sleep(pause)


def main(port, path, loaded, other):
    clients = selectors.DefaultSelector()
    first = socket.create_server(("127.0.0.1", int(port)), backlog=64)
    second = socket.socket(socket.AF_UNIX)
    if os.path.exists(path):
        os.unlink(path)
    second.bind(path)
    second.listen(8)
    second.setblocking(False)
    for arguments in ((first, float(loaded), 0), (second, float(other), 0.01)):
        threading.Thread(target=accept, args=(*arguments, clients), daemon=True).start()
    while True:
        for key, _ in clients.select():
            if not key.fileobj.recv(4096):
                clients.unregister(key.fileobj)
                key.fileobj.close()


main(*sys.argv[1:])
