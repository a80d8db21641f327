//! `exchange`: takes the steps of a script, is served when its last `read` has matched, and then holds,
//! repeats, or leaves.

use super::dialogue::{News, Registered, Site, Talk, words};
use crate::scenario::Dialogue;
use crate::scenario::exchange::{Op, READ_BYTES_MAX, Script, addressed};
use std::sync::Arc;

pub(super) const REGISTERED: Registered = Registered {
    kind: Dialogue::Exchange,
    name: "exchange",
    doc: "any line or byte protocol, as steps: read, send, pause, start-tls, close",
    alpn: &[],
    start: |site, id| {
        let script = site.script.clone().expect("an exchange has a script");
        Box::new(Exchange {
            script,
            id,
            at: 0,
            heard: Vec::new(),
            waits: Waits::Nothing,
            asked: false,
            said: String::new(),
        })
    },
};

struct Exchange {
    script: Arc<Script>,
    id: u32,
    /// The next step.
    at: usize,
    /// Bytes that came and were not read yet.
    heard: Vec<u8>,
    waits: Waits,
    /// Its answer under way counts for the question that it was asked.
    asked: bool,
    /// The first words of the last answer.
    said: String,
}

/// The event that the client waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// It may take its next step.
    Nothing,
    /// The end of a pause.
    Pause,
    /// An answer that has not begun.
    Answer,
    /// The rest of an answer, for so long.
    Rest,
    /// All steps are taken. Where they are repeated, the next time.
    Done,
    /// It is to repeat its steps now.
    Again,
    /// It was turned away.
    Over,
}

impl Talk for Exchange {
    fn open(&mut self, _: &Site, _: &mut Vec<u8>) {}

    fn go_on(&mut self, out: &mut Vec<u8>, news: &mut News) {
        if std::mem::take(&mut self.asked) {
            return;
        }
        match self.waits {
            Waits::Over => return,
            // The time of an answer that has come since.
            Waits::Done if self.script.every.is_none() => return,
            Waits::Rest => {
                let Some(Op::Read(until)) = self.script.steps.get(self.at) else { return };
                return self
                    .turned_away(format!("{} where {} was expected", self.said(), until.words()), news);
            }
            Waits::Done | Waits::Again => self.at = self.script.again.unwrap_or(self.at),
            Waits::Nothing | Waits::Pause | Waits::Answer => {}
        }
        self.waits = Waits::Nothing;
        self.take(out, news);
    }

    fn receive(&mut self, mut input: &[u8], out: &mut Vec<u8>, news: &mut News) {
        while !input.is_empty() {
            // If the client asked nothing, the bytes that come are not looked at.
            if matches!(self.waits, Waits::Over | Waits::Done | Waits::Again) {
                return;
            }
            let room = READ_BYTES_MAX - self.heard.len();
            if room == 0 {
                news.leaves = true;
                let words = format!("{}, and {READ_BYTES_MAX} bytes without a match", self.said());
                return self.turned_away(words, news);
            }
            let (now, later) = input.split_at(room.min(input.len()));
            self.heard.extend_from_slice(now);
            input = later;
            if self.waits != Waits::Pause {
                self.take(out, news);
            }
        }
    }

    fn ask_again(&mut self, _: &Site, _: &mut Vec<u8>) -> bool {
        if self.script.again.is_none() || self.waits == Waits::Over {
            return false;
        }
        match self.waits {
            Waits::Done => self.waits = Waits::Again,
            _ => self.asked = true,
        }
        true
    }

    fn last_words(&self) -> Option<String> {
        (!self.heard.is_empty() && self.waits != Waits::Over).then(|| self.said())
    }

    fn detail(&self) -> String {
        match self.script.steps.get(self.at) {
            Some(Op::Read(until)) if !self.heard.is_empty() => {
                format!("{} came; {} was expected", self.said(), until.words())
            }
            _ => self.said.clone(),
        }
    }
}

impl Exchange {
    /// Takes steps until one has to be waited for.
    fn take(&mut self, out: &mut Vec<u8>, news: &mut News) {
        let script = Arc::clone(&self.script);
        while let Some(step) = script.steps.get(self.at) {
            match step {
                Op::Read(until) => {
                    if let Some(end) = until.end(&self.heard) {
                        self.said = self.said();
                        self.heard.drain(..end);
                        self.waits = Waits::Nothing;
                        news.answered |= self.at == script.last_read;
                    } else if script.reject.as_ref().is_some_and(|reject| reject.is_match(&self.heard)) {
                        return self.turned_away(self.said(), news);
                    } else {
                        let begun = !self.heard.is_empty();
                        if begun && self.waits != Waits::Rest {
                            (news.begun, news.wake) = (true, Some(script.read_within));
                        }
                        self.waits = if begun { Waits::Rest } else { Waits::Answer };
                        return;
                    }
                }
                Op::Send(bytes) => {
                    // Bytes that came before a question are no answer to it.
                    self.heard = Vec::new();
                    out.extend_from_slice(&addressed(bytes, self.id));
                }
                Op::Pause(time) => {
                    (self.waits, news.wake) = (Waits::Pause, Some(*time));
                    self.at += 1;
                    return;
                }
                Op::StartTls => {
                    self.at += 1;
                    (self.heard, news.start_tls) = (Vec::new(), true);
                    return;
                }
                Op::Close => news.leaves = true,
            }
            self.at += 1;
        }
        (self.heard, self.waits, news.wake) = (Vec::new(), Waits::Done, script.every);
    }

    fn turned_away(&mut self, words: String, news: &mut News) {
        (self.waits, self.heard) = (Waits::Over, Vec::new());
        self.said.clone_from(&words);
        news.error.get_or_insert(words);
    }

    /// The first words of what came.
    fn said(&self) -> String {
        words(&self.heard)
    }
}

#[cfg(test)]
mod tests {
    use super::super::dialogue::tests::{however_cut, site};
    use super::*;
    use crate::scenario::{Exchange as Steps, Step};

    fn client(steps: Steps) -> Box<dyn Talk> {
        let script = Some(Arc::new(steps.compile().unwrap()));
        let mut talk = (REGISTERED.start)(&Site { script, ..site() }, 1);
        let (mut out, mut news) = (Vec::new(), News::default());
        talk.open(&site(), &mut out);
        talk.go_on(&mut out, &mut news);
        talk
    }

    fn mail() -> Steps {
        let read = |text: &str| Step::Read(text.into());
        let helo = Step::Send(r"HELO x\r\n".into());
        Steps {
            reject: Some("^4".into()),
            ..Steps::of(vec![read("^220 .*\n"), Step::Mark, helo, read("^250 .*\n")])
        }
    }

    #[test]
    fn a_dialogue_is_served_when_its_last_read_has_matched() {
        let mut talk = client(mail());
        let (mut out, mut news) = (Vec::new(), News::default());
        talk.receive(b"220-mail.example\r\n220 ready\r\n", &mut out, &mut news);
        assert_eq!((news.answered, out.as_slice()), (false, &b"HELO x\r\n"[..]));
        talk.receive(b"250 hello\r\n", &mut out, &mut news);
        assert!(news.answered && news.error.is_none());
        assert!(talk.ask_again(&site(), &mut out));
        let (mut out, mut news) = (Vec::new(), News::default());
        talk.go_on(&mut out, &mut news);
        assert_eq!((news.answered, out.as_slice()), (false, &b"HELO x\r\n"[..]));
    }

    #[test]
    fn answers_mean_the_same_however_they_are_cut() {
        let (news, out) = however_cut(|| client(mail()), b"220 ready\r\n");
        assert_eq!((news.answered, news.error, out.as_slice()), (false, None, &b"HELO x\r\n"[..]));
    }

    #[test]
    fn what_turns_clients_away_is_an_error_in_the_servers_words() {
        let mut news = News::default();
        client(mail()).receive(b"421 too many connections\r\n", &mut Vec::new(), &mut news);
        assert_eq!(news.error.unwrap(), "421 too many connections");
        let talk = &mut client(Steps::of(vec![Step::Read("^OK".into())]));
        talk.receive(b"ERR Too many open files\n", &mut Vec::new(), &mut News::default());
        assert_eq!(talk.last_words().unwrap(), "ERR Too many open files");
    }

    #[test]
    fn an_answer_that_never_matches_names_what_came_instead() {
        let mut news = News::default();
        let talk = &mut client(mail());
        talk.receive(b"SSH-2.0-OpenSSH\r\n", &mut Vec::new(), &mut news);
        assert!(news.wake.is_some() && news.error.is_none());
        talk.go_on(&mut Vec::new(), &mut news);
        assert_eq!(news.error.unwrap(), "SSH-2.0-OpenSSH where `^220 .*\n` was expected");
    }

    #[test]
    fn the_time_of_an_answer_that_came_in_pieces_asks_nothing_again() {
        let mut talk = client(mail());
        talk.receive(b"220 ready\r\n", &mut Vec::new(), &mut News::default());
        for piece in [&b"250 "[..], b"hello\r\n"] {
            talk.receive(piece, &mut Vec::new(), &mut News::default());
        }
        let (mut out, mut news) = (Vec::new(), News::default());
        talk.go_on(&mut out, &mut news);
        assert_eq!((out.len(), news), (0, News::default()));
    }

    #[test]
    fn a_question_does_not_restart_a_repetition_under_way() {
        let mut talk = client(Steps { every_s: Some(1.0), ..mail() });
        let (mut out, mut news) = (Vec::new(), News::default());
        talk.receive(b"220 ready\r\n", &mut out, &mut news);
        assert!(talk.ask_again(&site(), &mut out), "its answer is under way");
        out.clear();
        talk.go_on(&mut out, &mut news);
        assert_eq!((out.len(), news.error.clone()), (0, None));
        talk.receive(b"250 hello\r\n", &mut out, &mut news);
        assert!(news.answered);
    }

    #[test]
    fn an_answer_as_long_as_can_be_matches_however_it_is_cut() {
        let all = [b'x'; READ_BYTES_MAX];
        for cut in [1, 60_000] {
            let (mut news, mut talk) =
                (News::default(), client(Steps::of(vec![Step::ReadBytes(READ_BYTES_MAX as u32)])));
            talk.receive(&all[..cut], &mut Vec::new(), &mut news);
            talk.receive(&all, &mut Vec::new(), &mut news);
            assert!(news.answered && news.error.is_none());
        }
    }

    #[test]
    fn an_endless_answer_is_given_up() {
        let (mut news, mut talk) = (News::default(), client(mail()));
        for _ in 0..100 {
            talk.receive(&[b'x'; 1000], &mut Vec::new(), &mut news);
        }
        assert!(news.error.is_some() && news.leaves && !news.answered);
    }

    #[test]
    fn pauses_repetitions_and_leaving_are_asked_for() {
        let steps = vec![
            Step::Mark,
            Step::Read("a".into()),
            Step::Pause("2s".into()),
            Step::Send("b".into()),
            Step::Read("c".into()),
        ];
        let mut talk = client(Steps { every_s: Some(5.0), ..Steps::of(steps) });
        let (mut out, mut news) = (Vec::new(), News::default());
        talk.receive(b"a", &mut out, &mut news);
        assert_eq!((news.wake.take().unwrap().as_secs(), out.len()), (2, 0));
        talk.go_on(&mut out, &mut news);
        assert_eq!(out, b"b");
        talk.receive(b"c", &mut out, &mut news);
        assert_eq!((news.answered, news.wake.unwrap().as_secs()), (true, 5));
        talk.go_on(&mut out, &mut news);
        talk.receive(b"a", &mut out, &mut news);
        talk.go_on(&mut out, &mut news);
        assert_eq!(out, b"bb");

        let mut news = News::default();
        client(Steps::of(vec![Step::ReadBytes(2), Step::Close])).receive(b"ab", &mut out, &mut news);
        assert!(news.answered && news.leaves);
    }
}
