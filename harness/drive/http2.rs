//! `http-idle` over HTTP/2 (RFC 9113): requests as streams of one connection, which is held when all are
//! answered.
//!
//! The protocol is the crate `h2`, driven without a runtime: it reads what came from one buffer, writes into
//! another, and is polled until nothing moves any more. No sockets, no clock.

use super::dialogue::{News, Site, Talk};
use super::grpc::{foreign, is_settings};
use crate::event::Status;
use h2::client::{Builder, Connection, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream};
use hyper::body::Bytes;
use hyper::http::{Request, Uri};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes by which it is known whether the server speaks HTTP/2: the head of its first frame.
const FIRST: usize = 9;

/// A conversation that makes so many requests in all before it is served, and so many at a time.
pub(super) fn start(site: &Site) -> Box<dyn Talk> {
    let scheme = if site.tls { "https" } else { "http" };
    let uri = Uri::builder().scheme(scheme).authority(site.target.host()).path_and_query(&*site.path).build();
    let (requests, streams) = site.keep_alive.each();
    Box::new(Http2 {
        uri: uri.unwrap_or_default(),
        pipe: Pipe::default(),
        first: Vec::new(),
        line: Line::Closed,
        streams,
        to_ask: requests,
        wanted: requests,
        under_way: Vec::new(),
        told: Told::default(),
    })
}

struct Http2 {
    uri: Uri,
    pipe: Pipe,
    /// The first bytes that came, until it is known what the server speaks.
    first: Vec<u8>,
    line: Line,
    streams: u32,
    to_ask: u32,
    /// Answers until the client is answered.
    wanted: u32,
    under_way: Vec<Stream>,
    told: Told,
}

/// The contents of answers since the client was last answered.
#[derive(Default)]
struct Told {
    /// How many ended.
    answers: u32,
    /// The status of the last.
    status: u16,
    /// The first that turns the client away, in words.
    error: Option<String>,
    /// The last that is an error of the application.
    trouble: Option<String>,
    /// Some of an answer came: the server may have to learn of new room.
    moved: bool,
}

/// The connection.
enum Line {
    /// Not opened, or over.
    Closed,
    Open(SendRequest<Bytes>, Box<Connection<Pipe, Bytes>>),
}

/// A request under way.
enum Stream {
    Asked(ResponseFuture),
    Body(RecvStream),
}

impl Talk for Http2 {
    fn open(&mut self, _: &Site, out: &mut Vec<u8>) {
        let mut builder = Builder::new();
        // How many the server allows is known when its settings come.
        builder.initial_max_send_streams(1);
        let shaken = pin!(builder.handshake(self.pipe.clone())).poll(&mut idle());
        // It waits for nothing but room to write, and there always is.
        if let Poll::Ready(Ok((sender, connection))) = shaken {
            self.line = Line::Open(sender, Box::new(connection));
        }
        self.advance(out, &mut News::default());
    }

    fn receive(&mut self, input: &[u8], out: &mut Vec<u8>, news: &mut News) {
        if self.first.len() < FIRST {
            self.first.extend_from_slice(&input[..input.len().min(FIRST - self.first.len())]);
            if self.first.len() == FIRST && !is_settings(&self.first) {
                let rest = &input[input.len().min(FIRST)..];
                news.error = Some(foreign(&[&self.first, rest].concat()));
                self.line = Line::Closed;
            }
        }
        self.pipe.0.borrow_mut().came.extend(input);
        self.advance(out, news);
    }

    fn ask_again(&mut self, _: &Site, out: &mut Vec<u8>) -> bool {
        (self.to_ask, self.wanted) = (self.to_ask.saturating_add(1), self.wanted.saturating_add(1));
        self.advance(out, &mut News::default());
        true
    }

    fn detail(&self) -> String {
        match self.told.status {
            0 => String::new(),
            status => Status::Answer(status).to_string(),
        }
    }
}

impl Http2 {
    /// Lets the connection and its streams go on as far as they can.
    fn advance(&mut self, out: &mut Vec<u8>, news: &mut News) {
        while let Line::Open(sender, connection) = &mut self.line {
            self.told.moved = false;
            let over = pin!(&mut **connection).poll(&mut idle());
            while self.to_ask > 0
                && self.under_way.len() < self.streams as usize
                && let Poll::Ready(Ok(())) = sender.poll_ready(&mut idle())
            {
                let request = Request::get(self.uri.clone()).header("user-agent", "lastfd").body(());
                let asked = sender.send_request(request.expect("its parts are checked"), true);
                let Ok((response, _)) = asked else { break };
                (self.to_ask, self.told.moved) = (self.to_ask - 1, true);
                self.under_way.push(Stream::Asked(response));
            }
            let told = &mut self.told;
            self.under_way.retain_mut(|stream| stream.advance(told).is_pending());
            if let Poll::Ready(end) = over {
                self.line = Line::Closed;
                match end {
                    Err(e) if e.reason() != Some(Reason::NO_ERROR) => {
                        news.error.get_or_insert(format!("HTTP/2: {e}"));
                    }
                    _ => (news.goodbye, news.parting) = (true, self.told.answers > 0),
                }
            } else if !self.told.moved && self.pipe.0.borrow().came.is_empty() {
                break;
            }
        }
        let mut pipe = self.pipe.0.borrow_mut();
        out.append(&mut pipe.said);
        if matches!(self.line, Line::Closed) {
            pipe.came.clear();
        }
        if let Some(error) = self.told.error.take() {
            (self.to_ask, self.wanted, news.error) = (0, 0, news.error.take().or(Some(error)));
        } else if self.wanted > 0 && self.told.answers >= self.wanted && news.error.is_none() {
            (self.wanted, self.told.answers, news.answered) = (0, 0, true);
            news.trouble = self.told.trouble.take().or(news.trouble.take());
        }
    }
}

impl Stream {
    /// Goes on to the end of the answer, as far as it has come.
    fn advance(&mut self, told: &mut Told) -> Poll<()> {
        if let Stream::Asked(response) = self {
            let response = match pin!(response).poll(&mut idle()) {
                Poll::Ready(Ok(response)) => response,
                Poll::Ready(Err(e)) => return told.broken(&e),
                Poll::Pending => return Poll::Pending,
            };
            told.head(response.status());
            told.moved = true;
            *self = Stream::Body(response.into_body());
        }
        let Stream::Body(body) = self else { return Poll::Pending };
        loop {
            match body.poll_data(&mut idle()) {
                Poll::Ready(Some(Ok(data))) => {
                    told.moved = true;
                    let _ = body.flow_control().release_capacity(data.len()); // it was taken just now
                }
                Poll::Ready(Some(Err(e))) => return told.broken(&e),
                Poll::Ready(None) => {
                    told.answers += 1;
                    return Poll::Ready(());
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Told {
    fn head(&mut self, status: hyper::StatusCode) {
        self.status = status.as_u16();
        let reason = status.canonical_reason().unwrap_or("<unknown status code>");
        let words = || format!("{} {reason}", Status::ErrorReply(status.as_u16()));
        if turns_away(self.status) {
            self.error.get_or_insert_with(words);
        } else if is_told(self.status) {
            self.trouble = Some(words());
        }
    }

    /// A stream that ends without its answer.
    fn broken(&mut self, error: &h2::Error) -> Poll<()> {
        // An error that ends all of them is reported once, for the connection.
        if error.is_reset() {
            self.error.get_or_insert(format!("HTTP/2: {error}"));
        }
        Poll::Ready(())
    }
}

/// Whether servers and proxies send this status when they turn clients away.
pub(super) fn turns_away(status: u16) -> bool {
    status >= 500 || status == 403 || status == 429
}

/// Whether the driver reports this status: a redirect or an error of the application. 304 is what a
/// conditional request asks for.
pub(super) fn is_told(status: u16) -> bool {
    status >= 300 && status != 304
}

/// Nobody is woken: all is polled whenever something came.
fn idle() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Bytes from the server that were not read yet, and bytes to be sent.
#[derive(Default, Clone)]
struct Pipe(Rc<RefCell<Buffers>>);

#[derive(Default)]
struct Buffers {
    came: VecDeque<u8>,
    said: Vec<u8>,
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut buffers = self.0.borrow_mut();
        if buffers.came.is_empty() {
            return Poll::Pending;
        }
        let (now, _) = buffers.came.as_slices();
        let length = now.len().min(into.remaining());
        into.put_slice(&now[..length]);
        buffers.came.drain(..length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().said.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::dialogue::tests::site;
    use super::*;
    use crate::scenario::{KeepAlive, OnConnection, Version};
    use hyper::http::Response;

    /// The other side: h2's own server over such buffers, which answers so many streams at a time, each
    /// with this status and a body longer than a window.
    struct Server {
        pipe: Pipe,
        connection: h2::server::Connection<Pipe, Bytes>,
        paths: Vec<String>,
        most: usize,
    }

    const BODY: usize = 100_000;

    impl Server {
        /// The client's first bytes, and the server that got them.
        fn new(first: &[u8], at_a_time: u32) -> Server {
            let pipe = Pipe::default();
            pipe.0.borrow_mut().came.extend(first);
            let mut builder = h2::server::Builder::new();
            let mut shaking = pin!(builder.max_concurrent_streams(at_a_time).handshake(pipe.clone()));
            let Poll::Ready(Ok(connection)) = shaking.as_mut().poll(&mut idle()) else {
                panic!("no HTTP/2 preface")
            };
            Server { pipe, connection, paths: Vec::new(), most: 0 }
        }

        fn hear(&mut self, bytes: &[u8], status: u16) -> Vec<u8> {
            self.pipe.0.borrow_mut().came.extend(bytes);
            let mut together = 0;
            while let Poll::Ready(Some(Ok((request, mut respond)))) = self.connection.poll_accept(&mut idle())
            {
                together += 1;
                self.paths.push(request.uri().to_string());
                let response = Response::builder().status(status).body(()).unwrap();
                let mut body = respond.send_response(response, false).unwrap();
                body.send_data(Bytes::from(vec![b'x'; BODY]), true).unwrap();
            }
            self.most = self.most.max(together);
            std::mem::take(&mut self.pipe.0.borrow_mut().said)
        }
    }

    fn client(on: OnConnection) -> Box<dyn Talk> {
        let version = Version::Http2;
        start(&Site { keep_alive: KeepAlive { on: OnConnection { version, ..on }, every_s: None }, ..site() })
    }

    /// Lets both speak until neither has more to say.
    fn talk(talk: &mut dyn Talk, server: &mut Server, mut out: Vec<u8>, status: u16, piece: usize) -> News {
        let mut news = News::default();
        loop {
            let said = server.hear(&out, status);
            out.clear();
            if said.is_empty() {
                return news;
            }
            for piece in said.chunks(piece) {
                talk.receive(piece, &mut out, &mut news);
            }
        }
    }

    #[test]
    fn a_client_is_served_when_all_its_streams_are_answered_however_they_are_cut() {
        for piece in [usize::MAX, 1000, 7] {
            let mut one =
                client(OnConnection { requests: Some(10), streams: Some(4), ..OnConnection::default() });
            let mut out = Vec::new();
            one.open(&site(), &mut out);
            let mut server = Server::new(&out, 100);
            let news = talk(&mut *one, &mut server, Vec::new(), 200, piece);
            assert_eq!(news, News { answered: true, ..News::default() });
            assert_eq!(server.paths, vec!["http://127.0.0.1:8080/ws?x=1"; 10]);
            assert!(server.most <= 4, "{} at a time", server.most);
            let (mut out, news) = (Vec::new(), News::default());
            assert!(one.ask_again(&site(), &mut out) && !news.answered);
            assert!(talk(&mut *one, &mut server, out, 200, piece).answered);
            assert_eq!(server.paths.len(), 11);
        }
    }

    #[test]
    fn a_server_that_allows_fewer_streams_at_a_time_answers_all_of_them() {
        let mut one = client(OnConnection { streams: Some(20), ..OnConnection::default() });
        let mut out = Vec::new();
        one.open(&site(), &mut out);
        let mut server = Server::new(&out, 3);
        assert!(talk(&mut *one, &mut server, Vec::new(), 200, usize::MAX).answered);
        assert_eq!(server.paths.len(), 20);
    }

    #[test]
    fn a_status_that_turns_clients_away_is_an_error_reply_and_another_is_told() {
        for (status, error, trouble) in
            [(503, Some("HTTP 503 Service Unavailable"), None), (404, None, Some("HTTP 404 Not Found"))]
        {
            let mut one = client(OnConnection::default());
            let mut out = Vec::new();
            one.open(&site(), &mut out);
            let news = talk(&mut *one, &mut Server::new(&out, 1), Vec::new(), status, usize::MAX);
            assert_eq!((news.error.as_deref(), news.trouble.as_deref()), (error, trouble));
            assert_eq!(news.answered, error.is_none());
        }
    }

    #[test]
    fn a_server_that_closes_before_the_last_answer_has_answered_and_leaves() {
        let mut one =
            client(OnConnection { requests: Some(20), streams: Some(2), ..OnConnection::default() });
        let mut out = Vec::new();
        one.open(&site(), &mut out);
        let mut server = Server::new(&out, 100);
        let (mut out, mut news) = (Vec::new(), News::default());
        while server.paths.len() < 10 {
            let said = server.hear(&std::mem::take(&mut out), 200);
            one.receive(&said, &mut out, &mut news);
        }
        assert_eq!(news, News::default());
        server.connection.graceful_shutdown();
        let news = talk(&mut *one, &mut server, out, 200, usize::MAX);
        assert!(news.parting && news.goodbye && !news.answered && news.error.is_none(), "{news:?}");
    }

    #[test]
    fn a_goaway_is_a_goodbye_and_what_is_not_http2_an_error_in_its_own_words() {
        let mut one = client(OnConnection::default());
        let mut out = Vec::new();
        one.open(&site(), &mut out);
        let mut server = Server::new(&out, 1);
        assert!(talk(&mut *one, &mut server, Vec::new(), 200, usize::MAX).answered);
        server.connection.graceful_shutdown();
        let news = talk(&mut *one, &mut server, Vec::new(), 200, usize::MAX);
        assert!(news.goodbye && !news.parting, "it was answered before: {news:?}");

        let (mut one, mut news) = (client(OnConnection::default()), News::default());
        one.open(&site(), &mut Vec::new());
        one.receive(b"HTTP/1.1 400 Bad Request\r\n\r\n", &mut Vec::new(), &mut news);
        assert_eq!(news.error.unwrap(), "HTTP/1.1 400 Bad Request where HTTP/2 was expected");
    }
}
