//! Every dialogue against bytes that no honest server sends: none panics, answers more than it was given, or
//! keeps more than it may.

use super::dialogue::{self, News, Site, Talk};
use super::registry::registry;
use crate::scenario::exchange::{Exchange, Step};
use crate::scenario::{Dialogue, KeepAlive, OnConnection, Version};
use proptest::prelude::*;
use std::sync::Arc;

/// The most bytes that a dialogue sends by itself: its opening, once more when it is asked again, and when it
/// is woken.
const OWN_WORDS: usize = 4096;

fn site() -> Site {
    let steps = ["^220 .*\n", "^250"].map(|text| Step::Read(text.into()));
    let [first, second] = steps;
    let script =
        Exchange::of(vec![first, Step::Send("HELO x\r\n".into()), second]).compile().expect("patterns");
    Site { path: "/".into(), script: Some(Arc::new(script)), ..dialogue::tests::site() }
}

/// Pieces of protocols, whole and broken, and bytes of none.
fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let known: &[&[u8]] = &[
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n",
        b"Content-Length: 18446744073709551615\r\n",
        b"Content-Length: 5\r\n",
        b"Content-Encoding: gzip\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"ffffffffffffffff\r\n",
        b"0\r\n",
        b"\r\n",
        b"220 ready\r\n",
        b"250 hello\r\n",
        b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
        // WebSocket: a ping, a close, and a frame of 2^63 − 1 bytes.
        b"\x89\x7d",
        b"\x88\x02\x03\xe8",
        b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff",
        // HTTP/2: empty settings, a ping, a goaway that ends early, and a frame of 16 MiB.
        b"\0\0\0\x04\0\0\0\0\0",
        b"\0\0\x08\x06\0\0\0\0\0pingpong",
        b"\0\0\x08\x07\0\0\0\0\0\0\0",
        b"\xff\xff\xff\0\0\0\0\0\x01",
    ];
    let piece = prop_oneof![
        4 => prop::sample::select(known).prop_map(<[u8]>::to_vec),
        2 => prop::collection::vec(any::<u8>(), 1..40),
        1 => (any::<u8>(), 1..100_000usize).prop_map(|(byte, times)| vec![byte; times]),
    ];
    prop::collection::vec(piece, 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]
    #[test]
    fn no_bytes_make_a_dialogue_panic_or_talk_without_end(pieces in pieces(), cut in 1..20_000usize) {
        let (one, heard) = (site(), pieces.concat());
        let on = |version| OnConnection { version, requests: Some(3), streams: None };
        let keep_alive = |version| KeepAlive { on: on(version), every_s: Some(1.0) };
        let several = |version| Site { keep_alive: keep_alive(version), ..site() };
        let several = [Version::Http1, Version::Http2].map(several);
        let http = registry().iter().filter(|entry| entry.kind == Dialogue::HttpIdle);
        let asked = http.flat_map(|entry| several.iter().map(move |site| (entry, site)));
        for (entry, site) in registry().iter().map(|entry| (entry, &one)).chain(asked) {
            let mut talk: Box<dyn Talk> = (entry.start)(site, 7);
            let (mut out, mut news) = (Vec::new(), News::default());
            talk.open(site, &mut out);
            talk.go_on(&mut out, &mut news);
            for piece in heard.chunks(cut) {
                talk.receive(piece, &mut out, &mut news);
                if news.wake.take().is_some() {
                    talk.go_on(&mut out, &mut news);
                }
            }
            talk.ask_again(site, &mut out);
            prop_assert!(
                out.len() <= OWN_WORDS + 8 * heard.len(),
                "{}: {} bytes for {}", entry.name, out.len(), heard.len()
            );
            let words = [talk.detail()].into_iter().chain(talk.last_words()).chain(news.error);
            for words in words {
                prop_assert!(words.len() < 400 && !words.contains('\u{1b}'), "{}: {words:?}", entry.name);
            }
            prop_assert!(entry.kind != Dialogue::Tcp || out.is_empty());
        }
    }
}
