//! Enums whose values people choose by a word: on a command line, and where a run passes a choice on to a
//! process of its own.

/// A word that is none of those accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not one of {}", accepted.join(", "))]
#[non_exhaustive]
pub struct UnknownName {
    /// As given.
    pub word: String,
    /// In the order of their declaration.
    pub accepted: Vec<&'static str>,
}

/// Declares such an enum: each value has one line of documentation, which `--help` shows too, and its word.
macro_rules! named {
    ($(#[$about:meta])* pub enum $Type:ident {$(
        #[doc = $doc:literal] $(#[$more:meta])* $Value:ident = $word:literal,
    )+}) => {
        $(#[$about])*
        pub enum $Type {$(
            #[doc = $doc] $(#[$more])* $Value,
        )+}

        impl $Type {
            /// Every value, in the order of their declaration.
            pub const ALL: &'static [$Type] = &[$($Type::$Value),+];

            /// Its word.
            pub const fn name(self) -> &'static str {
                match self {$( $Type::$Value => $word, )+}
            }

            /// What it means, in one line.
            pub fn doc(self) -> &'static str {
                match self {$( $Type::$Value => $doc.trim(), )+}
            }
        }

        impl std::fmt::Display for $Type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl std::str::FromStr for $Type {
            type Err = $crate::internal::named::UnknownName;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                $Type::ALL.iter().copied().find(|value| value.name() == word).ok_or_else(|| Self::Err {
                    word: word.to_owned(),
                    accepted: $Type::ALL.iter().map(|value| value.name()).collect(),
                })
            }
        }
    };
}

pub(crate) use named;
