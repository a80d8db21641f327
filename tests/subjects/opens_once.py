"""Opens three files when the first clients come, one for each of them, and keeps them open."""
import selectors, socket, sys, time

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", int(sys.argv[1])))
listener.listen(128)
selector = selectors.DefaultSelector()
selector.register(listener, selectors.EVENT_READ)
files = []
while True:
    for key, _ in selector.select():
        if key.fileobj is not listener:
            if not key.fileobj.recv(4096):
                selector.unregister(key.fileobj)
                key.fileobj.close()
            continue
        try:
            connection, _ = listener.accept()
        except OSError:
            time.sleep(0.2)
            continue
        selector.register(connection, selectors.EVENT_READ)
        if len(files) < 3:
            files.append(open("/dev/null"))
