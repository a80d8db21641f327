//! Errors of system calls by the kernel's number, read and written by name.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An errno(3), such as EMFILE.
///
/// As text it is its name, or `errno N` where it has none here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Errno(i32);

macro_rules! names {
    ($($name:ident = $number:literal),*) => {
        #[allow(missing_docs, reason = "errno(3)")]
        impl Errno {
            $(pub const $name: Errno = Errno($number);)*

            /// Its name, where it is a frequent one.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 { $($number => Some(stringify!($name)),)* _ => None }
            }

            /// The errno of this text. One with a name that is not known here is none that any call returns.
            pub fn named(text: &str) -> Errno {
                match text {
                    $(stringify!($name) => Errno::$name,)*
                    other => Errno(other.strip_prefix(NUMBER).and_then(|n| n.parse().ok()).unwrap_or(0)),
                }
            }
        }
    };
}

/// What stands before the number of one without a name.
const NUMBER: &str = "errno ";

names! {
    EAGAIN = 11, ENOMEM = 12, EACCES = 13, ENFILE = 23, EMFILE = 24, EADDRINUSE = 98, EADDRNOTAVAIL = 99,
    ENOBUFS = 105
}

impl Errno {
    /// From the kernel's number, which is positive.
    pub const fn from_raw(number: i32) -> Errno {
        Errno(number)
    }
}

impl std::fmt::Display for Errno {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "{NUMBER}{}", self.0),
        }
    }
}

impl Serialize for Errno {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Errno {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(from).map(|text| Errno::named(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::Errno;

    #[test]
    fn an_errno_is_read_from_its_own_text_and_from_an_unknown_name() {
        for number in [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::EADDRNOTAVAIL, libc::ENOTTY] {
            let errno = Errno::from_raw(number);
            let text = serde_json::to_string(&errno).expect("text");
            assert_eq!(serde_json::from_str::<Errno>(&text).expect("an errno"), errno, "{text}");
        }
        assert_eq!(serde_json::to_string(&Errno::from_raw(libc::EMFILE)).expect("text"), r#""EMFILE""#);
        assert_eq!(Errno::from_raw(libc::ENOTTY).to_string(), "errno 25");
        assert_eq!(serde_json::from_str::<Errno>(r#""EUNHEARD""#).expect("read all the same").name(), None);
    }
}
