"""A select() loop. It cannot watch a descriptor numbered 1024 or above: "exit" lets Python raise, "stuck" swallows the error and tries again."""
import select, socket, sys

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", int(sys.argv[1])))
listener.listen(1024)
listener.setblocking(False)
clients = {}
while True:
    try:
        ready, _, _ = select.select([listener, *clients.values()], [], [])
    except ValueError:
        if sys.argv[2] == "exit":
            raise
        continue
    for s in ready:
        if s is listener:
            try:
                c, _ = listener.accept()
                clients[c.fileno()] = c
            except OSError:
                pass
        else:
            try:
                data = s.recv(8192)
            except OSError:
                data = b""
            if data:
                s.send(data)
            else:
                del clients[s.fileno()]
                s.close()
