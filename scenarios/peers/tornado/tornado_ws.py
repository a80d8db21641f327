"""A push server as one finds it: Tornado, one WebSocket endpoint, a few files open for good."""

import argparse

import tornado.ioloop
import tornado.web
import tornado.websocket


class Push(tornado.websocket.WebSocketHandler):
    def on_message(self, message):
        self.write_message(message)


class Hello(tornado.web.RequestHandler):
    def get(self):
        self.write("hello\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--files", type=int, default=5, help="files held open, as a service holds its logs and data")
    parser.add_argument("--no-keep-alive", action="store_true", help="tornado.httpserver's no_keep_alive")
    parser.add_argument("--backlog", type=int, default=128, help="length of the accept queue")
    options = parser.parse_args()
    held = [open("/dev/null") for _ in range(options.files)]
    application = tornado.web.Application([("/", Push), ("/hello", Hello)])
    application.held = held
    application.listen(options.port, "127.0.0.1", no_keep_alive=options.no_keep_alive, backlog=options.backlog)
    tornado.ioloop.IOLoop.current().start()


if __name__ == "__main__":
    main()
