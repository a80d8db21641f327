//! `http-idle`: one answered HTTP/1.1 request (RFC 9112), then the keep-alive connection is held.
//!
//! Several requests are asked by [`Repeated`]; HTTP/2 is spoken by [`http2`].
//!
//! An answer of the application is any complete response that leaves the connection open, 404 and 401
//! included; 5xx, 403 and 429 are error replies: they are what servers and proxies say when they turn clients
//! away.

use super::dialogue::{News, Registered, Site, Talk, words};
use super::http2::{self, is_told, turns_away};
use super::repeated::Repeated;
use crate::event::Status;
use crate::scenario::{Dialogue, Version};
use std::time::Duration;

pub(super) const REGISTERED: Registered = Registered {
    kind: Dialogue::HttpIdle,
    name: "http-idle",
    doc: "one answered GET over HTTP/1.1, then holds the keep-alive connection",
    alpn: &["http/1.1"],
    start: |site, _| {
        let (talk, times): (Box<dyn Talk>, _) = match site.keep_alive.on.version {
            Version::Http1 => (Box::new(HttpIdle::default()), site.keep_alive.each().0),
            // Its streams are its own.
            Version::Http2 => (http2::start(site), 1),
        };
        match site.keep_alive.every_s.map(Duration::from_secs_f64) {
            None if times == 1 => talk,
            every => Box::new(Repeated::new(talk, site, times, every)),
        }
    },
};

/// Longest response head, and longest chunk-size or trailer line, that is taken. Bytes.
const HEAD_BYTES: usize = 64 * 1024;

#[derive(Default)]
struct HttpIdle {
    /// Bytes of a head or line that is not complete yet; without memory otherwise.
    pending: Vec<u8>,
    state: State,
    /// The status of the last response; 0 before the first.
    status: u16,
    /// The server closes after this response.
    closes: bool,
    /// The last response's first line, where its body is still to come and it is an error of the application.
    trouble: Option<String>,
}

#[derive(Default)]
enum State {
    /// Reading a response head.
    #[default]
    Head,
    /// This many bytes of body left.
    Body(u64),
    /// Reading the line with a chunk's size.
    ChunkSize,
    /// This many bytes of a chunk left, its line end included.
    Chunk(u64),
    /// Reading trailer lines up to an empty one.
    Trailer,
    /// The body ends where the connection does.
    UntilClose,
    /// Nothing is asked; bytes that come now are no answer.
    Idle,
    /// The bytes that came are not HTTP/1.1.
    Foreign,
}

impl Talk for HttpIdle {
    fn open(&mut self, site: &Site, out: &mut Vec<u8>) {
        self.state = State::Head;
        out.extend_from_slice(
            format!("GET {} HTTP/1.1\r\nHost: {}\r\n", site.path, site.target.host()).as_bytes(),
        );
        out.extend_from_slice(b"User-Agent: lastfd\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n");
    }

    fn receive(&mut self, mut input: &[u8], _: &mut Vec<u8>, news: &mut News) {
        while !input.is_empty() {
            match self.state {
                State::Head => self.head(&mut input, news),
                State::Body(left) => {
                    let left = skip(&mut input, left);
                    self.state = State::Body(left);
                    if left == 0 {
                        self.complete(news);
                    }
                }
                State::ChunkSize => {
                    if let Some(line) = self.line(&mut input, news) {
                        match httparse::parse_chunk_size(&line) {
                            Ok(httparse::Status::Complete((_, 0))) => self.state = State::Trailer,
                            Ok(httparse::Status::Complete((_, size))) => {
                                self.state = State::Chunk(size.saturating_add(2))
                            }
                            _ => self.foreign(&line, news),
                        }
                    }
                }
                State::Chunk(left) => {
                    let left = skip(&mut input, left);
                    self.state = if left == 0 { State::ChunkSize } else { State::Chunk(left) };
                }
                State::Trailer => {
                    if let Some(line) = self.line(&mut input, news)
                        && (line == b"\r\n" || line == b"\n")
                    {
                        self.complete(news);
                    }
                }
                State::UntilClose | State::Idle | State::Foreign => return,
            }
        }
    }

    fn ask_again(&mut self, site: &Site, out: &mut Vec<u8>) -> bool {
        self.open(site, out);
        true
    }

    fn detail(&self) -> String {
        match (self.status, self.closes) {
            (0, _) => String::new(),
            (status, false) => Status::Answer(status).to_string(),
            (status, true) => format!("{}, and the server closes after it", Status::Answer(status)),
        }
    }
}

impl HttpIdle {
    fn head(&mut self, input: &mut &[u8], news: &mut News) {
        let before = self.pending.len();
        self.pending.extend_from_slice(input);
        let mut headers = [httparse::EMPTY_HEADER; 128];
        let mut response = httparse::Response::new(&mut headers);
        let length = match response.parse(&self.pending) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if self.pending.len() < HEAD_BYTES => {
                *input = &[];
                return;
            }
            _ => {
                *input = &[];
                let pending = std::mem::take(&mut self.pending);
                return self.foreign(&pending, news);
            }
        };
        let status = response.code.unwrap_or(0);
        let body = body(&response);
        let closes = closes(&response);
        let reason: String = response.reason.unwrap_or_default().chars().take(60).collect();
        *input = &input[length - before..];
        self.pending = Vec::new();
        if (100..200).contains(&status) {
            return; // an interim response: the head of the final one follows
        }
        self.status = status;
        self.closes = closes || matches!(body, State::UntilClose);
        let words = || Some(format!("{} {reason}", Status::ErrorReply(status)).trim_end().to_owned());
        if turns_away(status) {
            news.error = words();
        } else if is_told(status) {
            self.trouble = words();
        }
        self.state = body;
        // If the body ends with the connection, its end looks the same as a lost connection.
        news.parting |= matches!(self.state, State::UntilClose) && !turns_away(status);
        if matches!(self.state, State::Body(0)) {
            self.complete(news);
        }
    }

    fn complete(&mut self, news: &mut News) {
        self.state = State::Idle;
        let good = !turns_away(self.status);
        news.answered |= good && !self.closes;
        news.parting |= good && self.closes;
        news.trouble = self.trouble.take().or(news.trouble.take());
    }

    /// The next line with its end, when it is complete.
    fn line(&mut self, input: &mut &[u8], news: &mut News) -> Option<Vec<u8>> {
        let end = input.iter().position(|&b| b == b'\n').map(|at| at + 1);
        let (line, rest) = input.split_at(end.unwrap_or(input.len()));
        *input = rest;
        self.pending.extend_from_slice(line);
        if self.pending.len() > HEAD_BYTES {
            let pending = std::mem::take(&mut self.pending);
            self.foreign(&pending, news);
            return None;
        }
        end.map(|_| std::mem::take(&mut self.pending))
    }

    fn foreign(&mut self, bytes: &[u8], news: &mut News) {
        self.state = State::Foreign;
        news.error = Some(words(bytes));
    }
}

/// Drops up to `left` bytes of the input; returns how many are left then.
fn skip(input: &mut &[u8], left: u64) -> u64 {
    let now = left.min(input.len() as u64);
    *input = &input[now as usize..];
    left - now
}

/// Where the body ends (RFC 9112, section 6.3).
fn body(response: &httparse::Response<'_, '_>) -> State {
    if matches!(response.code, Some(204 | 304)) {
        return State::Body(0);
    }
    if let Some(coding) = header(response, "transfer-encoding") {
        return if coding.to_ascii_lowercase().ends_with("chunked") {
            State::ChunkSize
        } else {
            State::UntilClose
        };
    }
    header(response, "content-length")
        .and_then(|n| n.trim().parse().ok())
        .map_or(State::UntilClose, State::Body)
}

fn closes(response: &httparse::Response<'_, '_>) -> bool {
    let said = header(response, "connection").unwrap_or_default().to_ascii_lowercase();
    said.contains("close") || (response.version == Some(0) && !said.contains("keep-alive"))
}

/// The last header of this name, as text.
pub(super) fn header<'a>(response: &httparse::Response<'_, 'a>, name: &str) -> Option<&'a str> {
    let found = response.headers.iter().rev().find(|h| h.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(found.value).ok()
}

#[cfg(test)]
mod tests {
    use super::super::dialogue::tests::{however_cut, site};
    use super::*;

    fn client() -> Box<dyn Talk> {
        (REGISTERED.start)(&site(), 1)
    }

    fn served() -> News {
        News { answered: true, ..News::default() }
    }

    fn parting() -> News {
        News { parting: true, ..News::default() }
    }

    #[test]
    fn the_request_names_host_and_path() {
        let mut out = Vec::new();
        client().open(&site(), &mut out);
        let mut headers = [httparse::EMPTY_HEADER; 8];
        let mut request = httparse::Request::new(&mut headers);
        assert_eq!(request.parse(&out), Ok(httparse::Status::Complete(out.len())));
        assert_eq!((request.method, request.path, request.version), (Some("GET"), Some("/ws?x=1"), Some(1)));
        assert!(request.headers.iter().any(|h| h.name == "Host" && h.value == b"127.0.0.1:8080"));
    }

    #[test]
    fn a_complete_answer_that_leaves_the_connection_open_is_served() {
        for reply in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
            "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\nT: v\r\n\r\n",
        ] {
            assert_eq!(however_cut(client, reply.as_bytes()), (served(), Vec::new()), "{reply}");
        }
    }

    #[test]
    fn an_error_of_the_application_is_served_and_told() {
        let told = |reply: &str| however_cut(client, reply.as_bytes()).0;
        let trouble = Some("HTTP 404 Not Found".to_owned());
        let kept = told("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno");
        assert_eq!(kept, News { trouble: trouble.clone(), ..served() });
        let closed = told("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
        assert_eq!(closed, News { trouble, ..parting() });
    }

    #[test]
    fn an_answer_is_not_served_before_its_last_byte() {
        for reply in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ] {
            let cut = &reply.as_bytes()[..reply.len() - 1];
            assert_eq!(however_cut(client, cut), (News::default(), Vec::new()), "{reply}");
        }
    }

    #[test]
    fn a_good_answer_after_which_the_server_closes_is_an_answer_and_its_client_is_not_held() {
        for reply in [
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
            "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
            "HTTP/1.1 200 OK\r\n\r\nuntil the end",
        ] {
            assert_eq!(however_cut(client, reply.as_bytes()), (parting(), Vec::new()), "{reply}");
            let mut talk = client();
            talk.receive(reply.as_bytes(), &mut Vec::new(), &mut News::default());
            assert_eq!(talk.detail(), "status 200, and the server closes after it");
        }
    }

    #[test]
    fn a_status_that_turns_clients_away_is_an_error_reply() {
        for (reply, error) in [
            (
                "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy",
                "HTTP 503 Service Unavailable",
            ),
            ("HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n", "HTTP 429 Too Many Requests"),
            ("HTTP/1.1 403\r\nContent-Length: 0\r\n\r\n", "HTTP 403"),
        ] {
            let (news, _) = however_cut(client, reply.as_bytes());
            assert_eq!(news, News { error: Some(error.into()), ..News::default() }, "{reply}");
        }
    }

    #[test]
    fn what_is_not_http_is_an_error_reply_in_its_own_words() {
        let mut news = News::default();
        client().receive(b"-ERR max number of clients reached\r\n", &mut Vec::new(), &mut news);
        assert_eq!(news.error.unwrap(), "-ERR max number of clients reached");
    }

    #[test]
    fn an_endless_head_is_given_up() {
        let (mut talk, mut news) = (client(), News::default());
        talk.receive(b"HTTP/1.1 200 OK\r\nX: ", &mut Vec::new(), &mut news);
        for _ in 0..100 {
            talk.receive(&[b'x'; 1000], &mut Vec::new(), &mut news);
        }
        assert!(news.error.is_some() && !news.answered);
    }

    #[test]
    fn a_held_connection_can_be_asked_again() {
        let (mut talk, mut out) = (client(), Vec::new());
        for _ in 0..2 {
            let mut news = News::default();
            assert!(talk.ask_again(&site(), &mut out));
            talk.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", &mut out, &mut news);
            assert_eq!(news, served());
            talk.receive(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n", &mut out, &mut news);
            assert_eq!(news, served(), "what comes unasked is no answer");
        }
    }
}
