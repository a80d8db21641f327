//! The opening handshake (RFC 6455 section 4.2), bytes in, text out. Accepts any path; offers no extension or
//! subprotocol.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha1_smol::Sha1;

/// RFC 6455 section 1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Why a request is not upgraded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Not a WebSocket request of HTTP/1.1, or its key is not 16 bytes in base64.
    BadRequest,
    /// Another version than 13.
    UpgradeRequired,
    /// The head does not end within the bound.
    HeadTooLarge,
}

impl Refusal {
    /// The whole response; the connection is closed after it.
    pub(super) fn response(self) -> &'static str {
        match self {
            Refusal::BadRequest => {
                "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            }
            Refusal::UpgradeRequired => {
                "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            }
            Refusal::HeadTooLarge => {
                "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            }
        }
    }
}

/// Index after the empty line that ends the head, once it has come.
pub(super) fn end_of_head(received: &[u8]) -> Option<usize> {
    received.windows(4).position(|window| window == b"\r\n\r\n").map(|start| start + 4)
}

/// The 101 response to a whole request head.
///
/// # Errors
/// A [`Refusal`] when it is no upgrade to a WebSocket of version 13.
pub(super) fn answer(head: &[u8]) -> Result<String, Refusal> {
    let head = std::str::from_utf8(head).map_err(|_| Refusal::BadRequest)?;
    let mut lines = head.split("\r\n");
    let request = lines.next().unwrap_or_default();
    if !(request.starts_with("GET ") && request.ends_with(" HTTP/1.1")) {
        return Err(Refusal::BadRequest);
    }
    let (mut upgrade, mut connection, mut version, mut key) = (false, false, None, None);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "upgrade" => upgrade |= has_token(value, "websocket"),
            "connection" => connection |= has_token(value, "upgrade"),
            "sec-websocket-version" => version = Some(value),
            "sec-websocket-key" => key = Some(value),
            _ => {}
        }
    }
    if !upgrade || !connection {
        return Err(Refusal::BadRequest);
    }
    if version != Some("13") {
        return Err(Refusal::UpgradeRequired);
    }
    let key = key
        .filter(|key| BASE64_STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16))
        .ok_or(Refusal::BadRequest)?;
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        accept_value(key)
    ))
}

/// Whether a comma-separated header value has `token`, in any case.
fn has_token(value: &str, token: &str) -> bool {
    value.split(',').any(|item| item.trim().eq_ignore_ascii_case(token))
}

/// The value of Sec-WebSocket-Accept for a key, as it was sent.
fn accept_value(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(GUID.as_bytes());
    BASE64_STANDARD.encode(hash.digest().bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6455 section 1.2.
    const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";

    #[test]
    fn the_sample_key_of_the_rfc_gives_its_sample_accept_value() {
        let answer = answer(REQUEST.as_bytes()).expect("upgraded");
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        assert!(answer.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{answer}");
    }

    #[test]
    fn tokens_are_found_in_lists_and_in_any_case() {
        let request = REQUEST
            .replace("Connection: Upgrade", "CONNECTION: keep-alive, upgrade")
            .replace("websocket\r\n", "WebSocket\r\n");
        assert!(answer(request.as_bytes()).is_ok());
    }

    #[test]
    fn what_is_no_upgrade_of_version_13_is_refused() {
        for (from, to, refusal) in [
            ("GET /chat", "POST /chat", Refusal::BadRequest),
            ("HTTP/1.1\r\nHost", "HTTP/1.0\r\nHost", Refusal::BadRequest),
            ("Upgrade: websocket\r\n", "", Refusal::BadRequest),
            ("Connection: Upgrade\r\n", "Connection: close\r\n", Refusal::BadRequest),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dG9vIHNob3J0", Refusal::BadRequest),
            ("dGhlIHNhbXBsZSBub25jZQ==", "not base64!", Refusal::BadRequest),
            ("Version: 13", "Version: 8", Refusal::UpgradeRequired),
        ] {
            let request = REQUEST.replace(from, to);
            assert_ne!(request, REQUEST);
            assert_eq!(answer(request.as_bytes()), Err(refusal), "{to:?} for {from:?}");
        }
    }

    #[test]
    fn the_head_ends_after_the_empty_line_and_not_before() {
        let with_frame = [REQUEST.as_bytes(), b"\x89\x80...."].concat();
        assert_eq!(end_of_head(&with_frame), Some(REQUEST.len()));
        assert_eq!(end_of_head(&REQUEST.as_bytes()[..REQUEST.len() - 1]), None);
    }
}
