//! `datagram`: sends one datagram (UDP) from a socket of its own, is served when an answer has matched, and
//! holds; or asks so again every so often. A datagram that gets lost is not sent again.

use super::dialogue::{News, Registered, Site, Talk, words};
use crate::scenario::Dialogue;
use crate::scenario::exchange::{Op, Script, addressed};
use std::sync::Arc;

pub(super) const REGISTERED: Registered = Registered {
    kind: Dialogue::Datagram,
    name: "datagram",
    doc: "UDP: sends one datagram from a socket of its own, and is served when the answer matches",
    alpn: &[],
    start: |site, id| {
        let script = site.script.clone().expect("a datagram has a script");
        Box::new(Datagram { script, id, said: String::new() })
    },
};

struct Datagram {
    script: Arc<Script>,
    id: u32,
    /// The first words of the last answer.
    said: String,
}

impl Talk for Datagram {
    fn open(&mut self, _: &Site, _: &mut Vec<u8>) {}

    fn go_on(&mut self, out: &mut Vec<u8>, news: &mut News) {
        for step in &self.script.steps {
            if let Op::Send(bytes) = step {
                out.extend_from_slice(&addressed(bytes, self.id));
            }
        }
        news.wake = self.script.every;
    }

    /// Each is a whole datagram.
    fn receive(&mut self, input: &[u8], _: &mut Vec<u8>, news: &mut News) {
        // An answer that says the number again is the same as that to another client.
        self.said = words(input).replace(&format!("{:010}", self.id), "{client}");
        let matches = |step: &Op| matches!(step, Op::Read(until) if until.end(input).is_some());
        if self.script.steps.iter().any(matches) {
            news.answered = true;
        } else {
            news.error.get_or_insert_with(|| self.said.clone());
        }
    }

    fn ask_again(&mut self, _: &Site, _: &mut Vec<u8>) -> bool {
        true
    }

    fn detail(&self) -> String {
        self.said.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::dialogue::tests::site;
    use super::*;
    use crate::scenario::{Exchange, Step};

    #[test]
    fn an_answer_serves_where_it_matches_and_else_turns_away() {
        let steps = vec![Step::Mark, Step::Send("ask {client}".into()), Step::Read("^yes".into())];
        let script = Exchange { every_s: Some(1.0), ..Exchange::of(steps) }.compile().unwrap();
        let mut talk = (REGISTERED.start)(&Site { script: Some(Arc::new(script)), ..site() }, 7);
        for _ in 0..2 {
            let (mut out, mut news) = (Vec::new(), News::default());
            talk.go_on(&mut out, &mut news);
            assert_eq!((out.as_slice(), news.wake.is_some()), (&b"ask 0000000007"[..], true));
            let mut news = News::default();
            talk.receive(b"yes", &mut out, &mut news);
            assert!(news.answered && news.error.is_none());
        }
        let mut news = News::default();
        talk.receive(b"no for 0000000007", &mut Vec::new(), &mut news);
        assert_eq!((news.answered, news.error.unwrap()), (false, "no for {client}".to_owned()));
    }
}
