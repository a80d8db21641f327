//! A dialogue whose client asks several times on its connection, one question after the other, or once more
//! every so often while it holds.

use super::dialogue::{News, Site, Talk};
use std::time::Duration;

/// A dialogue, and the questions that are still to be asked.
pub(super) struct Repeated {
    talk: Box<dyn Talk>,
    site: Site,
    /// Questions in all before it is served, and how many of them are answered.
    of: (u32, u32),
    /// While it holds, one more so often.
    every: Option<Duration>,
    /// It holds, and nothing is under way.
    idle: bool,
}

impl Repeated {
    /// Asks `times` in all before it is served.
    pub fn new(talk: Box<dyn Talk>, site: &Site, times: u32, every: Option<Duration>) -> Repeated {
        Repeated { talk, site: site.clone(), of: (times, 0), every, idle: false }
    }
}

impl Talk for Repeated {
    fn open(&mut self, site: &Site, out: &mut Vec<u8>) {
        self.talk.open(site, out);
    }

    fn go_on(&mut self, out: &mut Vec<u8>, news: &mut News) {
        if std::mem::take(&mut self.idle) {
            self.talk.ask_again(&self.site, out);
        }
        self.talk.go_on(out, news);
    }

    fn secured(&mut self, news: &mut News) {
        self.talk.secured(news);
    }

    fn receive(&mut self, input: &[u8], out: &mut Vec<u8>, news: &mut News) {
        let before = std::mem::take(&mut news.answered);
        self.talk.receive(input, out, news);
        if !news.answered {
            news.answered = before;
            return;
        }
        self.of.1 = self.of.1.saturating_add(1);
        if self.of.1 < self.of.0 {
            news.answered = before;
            self.talk.ask_again(&self.site, out);
        } else {
            (self.idle, news.wake) = (self.every.is_some(), self.every);
        }
    }

    fn ask_again(&mut self, site: &Site, out: &mut Vec<u8>) -> bool {
        self.idle = false;
        self.talk.ask_again(site, out)
    }

    fn last_words(&self) -> Option<String> {
        self.talk.last_words()
    }

    fn detail(&self) -> String {
        let (detail, (all, answered)) = (self.talk.detail(), self.of);
        if answered == 0 || answered >= all {
            return detail;
        }
        format!("{detail}{}{answered} of {all} requests answered", if detail.is_empty() { "" } else { "; " })
    }
}

#[cfg(test)]
mod tests {
    use super::super::dialogue::tests::{however_cut, site};
    use super::super::registry::registered;
    use super::*;
    use crate::scenario::Dialogue;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";

    fn client(times: u32, every_s: Option<u64>) -> Box<dyn Talk> {
        let talk = (registered(Dialogue::HttpIdle).start)(&site(), 1);
        let mut talk = Repeated::new(talk, &site(), times, every_s.map(Duration::from_secs));
        talk.open(&site(), &mut Vec::new());
        Box::new(talk)
    }

    fn requests(out: &[u8]) -> usize {
        String::from_utf8_lossy(out).matches("GET /ws?x=1 HTTP/1.1\r\n").count()
    }

    #[test]
    fn a_client_is_served_when_its_last_request_is_answered() {
        let mut talk = client(3, None);
        for answered in 1..=3 {
            let (mut out, mut news) = (Vec::new(), News::default());
            talk.receive(ANSWER, &mut out, &mut news);
            assert_eq!((news.answered, requests(&out)), (answered == 3, usize::from(answered < 3)));
        }
    }

    #[test]
    fn an_answer_asks_the_next_question_however_it_is_cut() {
        let (news, out) = however_cut(|| client(2, None), ANSWER);
        assert_eq!((news, requests(&out)), (News::default(), 1));
    }

    #[test]
    fn a_server_that_closes_too_early_says_after_how_many_requests() {
        let mut talk = client(3, None);
        talk.receive(ANSWER, &mut Vec::new(), &mut News::default());
        let mut news = News::default();
        let last = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx";
        talk.receive(last, &mut Vec::new(), &mut news);
        assert!(news.parting && !news.answered);
        assert_eq!(talk.detail(), "status 200, and the server closes after it; 1 of 3 requests answered");
    }

    #[test]
    fn a_client_that_holds_asks_again_when_its_time_is_over_and_not_before() {
        let mut talk = client(1, Some(5));
        let (mut out, mut news) = (Vec::new(), News::default());
        talk.go_on(&mut out, &mut news);
        assert_eq!(requests(&out), 0, "its first request is under way");
        talk.receive(ANSWER, &mut out, &mut news);
        assert_eq!((news.answered, news.wake, requests(&out)), (true, Some(Duration::from_secs(5)), 0));
        talk.go_on(&mut out, &mut News::default());
        assert_eq!(requests(&out), 1);
        // A question of the run that is under way is not asked twice.
        talk.receive(ANSWER, &mut out, &mut News::default());
        out.clear();
        talk.ask_again(&site(), &mut out);
        talk.go_on(&mut out, &mut News::default());
        assert_eq!(requests(&out), 1);
    }
}
