"""A message queue for each client: mq_open(3) fails with EMFILE where RLIMIT_MSGQUEUE has no room for one more,
with descriptor numbers free. The client is told so and closed."""
import ctypes
import os
import resource
import selectors
import socket
import sys

mq_open = ctypes.CDLL("librt.so.1", use_errno=True).mq_open
# Each takes more than 4 KiB: there is room for a few.
resource.setrlimit(resource.RLIMIT_MSGQUEUE, (50_000, 50_000))


class Attributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_long) for name in ("flags", "maxmsg", "msgsize", "curmsgs")] + [("pad", ctypes.c_long * 4)]


def queue(number):
    name = f"/lastfd-test-{os.getpid()}-{number}".encode()
    fd = mq_open(name, os.O_CREAT | os.O_RDWR, 0o600, ctypes.byref(Attributes(0, 1, 4096, 0)))
    if fd < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    ctypes.CDLL("librt.so.1").mq_unlink(name)
    return fd


listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
ready = selectors.DefaultSelector()
ready.register(listener, selectors.EVENT_READ, None)
came = 0
while True:
    for key, _ in ready.select():
        if key.fileobj is listener:
            client, _ = listener.accept()
            came += 1
            try:
                ready.register(client, selectors.EVENT_READ, queue(came))
                client.send(b"OK\n")
            except OSError as error:
                client.send(f"ERR {error.strerror}\n".encode())
                client.close()
        elif not key.fileobj.recv(4096):
            ready.unregister(key.fileobj)
            key.fileobj.close()
            os.close(key.data)
