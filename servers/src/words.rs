//! Enums with one word of a command line for each value.

/// Declares such an enum, with the word of each value.
macro_rules! words {
    ($(#[$about:meta])* pub enum $Type:ident {$(
        $(#[$doc:meta])* $Value:ident = $word:literal,
    )+}) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $Type {$( $(#[$doc])* $Value, )+}

        impl std::str::FromStr for $Type {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, String> {
                match word {
                    $( $word => Ok($Type::$Value), )+
                    _ => Err(format!("expected one of {}", [$($word),+].join(", "))),
                }
            }
        }
    };
}

pub(crate) use words;
