"""Two processes accept from one listener. The first never accepts again after a failed accept, the other pauses
for 0.3 s. Both close clients that leave."""
import os
import selectors
import socket
import sys
import time

listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=64)
listener.setblocking(False)
gives_up = os.fork() == 0
ready = selectors.DefaultSelector()
ready.register(listener, selectors.EVENT_READ)
again, slow = None, 0 if gives_up else 0.002
while True:
    for key, _ in ready.select(None if again is None else max(0, again - time.monotonic())):
        if key.fileobj is listener:
            time.sleep(slow)  # the other one is full first
            try:
                client, _ = listener.accept()
            except BlockingIOError:
                continue
            except OSError:
                ready.unregister(listener)
                again = None if gives_up else time.monotonic() + 0.3
                continue
            ready.register(client, selectors.EVENT_READ)
        elif not key.fileobj.recv(4096):
            ready.unregister(key.fileobj)
            key.fileobj.close()
    if again is not None and time.monotonic() >= again:
        ready.register(listener, selectors.EVENT_READ)
        again = None
