//! `tcp`: connects and holds; asks nothing, so it is never served.

use super::dialogue::{News, Registered, Site, Talk, words};
use crate::event::greeted;
use crate::scenario::Dialogue;

pub(super) const REGISTERED: Registered = Registered {
    kind: Dialogue::Tcp,
    name: "tcp",
    doc: "connects and holds; asks nothing, so it cannot tell an accepted connection from a waiting one",
    alpn: &[],
    start: |_, _| Box::new(Tcp { greeting: Vec::new() }),
};

/// How much of an unasked-for greeting is kept: it is shown when the server closes after it.
const GREETING_BYTES: usize = 128;

struct Tcp {
    greeting: Vec<u8>,
}

impl Talk for Tcp {
    fn open(&mut self, _: &Site, _: &mut Vec<u8>) {}

    fn receive(&mut self, input: &[u8], _: &mut Vec<u8>, news: &mut News) {
        news.greeted |= self.greeting.is_empty();
        let room = GREETING_BYTES - self.greeting.len();
        self.greeting.extend_from_slice(&input[..input.len().min(room)]);
    }

    /// A handshake is more than a greeting: the server works for the client.
    fn secured(&mut self, news: &mut News) {
        news.greeted = true;
    }

    fn ask_again(&mut self, _: &Site, _: &mut Vec<u8>) -> bool {
        false
    }

    /// A server that talks unasked and then closes has turned the client away, such as `-ERR max number of
    /// clients reached`.
    fn last_words(&self) -> Option<String> {
        (!self.greeting.is_empty()).then(|| words(&self.greeting))
    }

    fn detail(&self) -> String {
        if self.greeting.is_empty() { String::new() } else { greeted(&words(&self.greeting)) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::dialogue::tests::{however_cut, site};
    use super::*;

    fn client() -> Box<dyn Talk> {
        (REGISTERED.start)(&site(), 1)
    }

    #[test]
    fn it_says_nothing_and_is_never_served() {
        let mut out = Vec::new();
        client().open(&site(), &mut out);
        assert_eq!((client().ask_again(&site(), &mut out), out.len()), (false, 0));
        assert_eq!(
            however_cut(client, b"220 mail.example ESMTP\r\n"),
            (News { greeted: true, ..News::default() }, Vec::new())
        );
    }

    #[test]
    fn what_the_server_said_before_it_closed_is_kept_and_bounded() {
        let mut talk = client();
        assert_eq!(talk.last_words(), None);
        talk.receive(b"-ERR max number", &mut Vec::new(), &mut News::default());
        talk.receive(b" of clients reached\r\n", &mut Vec::new(), &mut News::default());
        talk.receive(&[b'x'; 10_000], &mut Vec::new(), &mut News::default());
        assert_eq!(talk.last_words().unwrap(), "-ERR max number of clients reached");
    }
}
