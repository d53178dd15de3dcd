//! Who and where: the small values every other module speaks of. Knows nothing of how they are used.

use std::{fmt, str::FromStr};

use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A child, for its whole life and never again: `c3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChildId(pub u32);

impl fmt::Display for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}", self.0)
    }
}

impl FromStr for ChildId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digits = text.strip_prefix('c').ok_or(())?;
        if digits.is_empty() || digits.starts_with('0') || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(());
        }
        digits.parse().map(ChildId).map_err(|_| ())
    }
}

impl Serialize for ChildId {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChildId {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        parsed(from, "a child's id")
    }
}

/// An MCP host's place in the tree: `r1`. It outlives the host that opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RootId(pub u32);

impl fmt::Display for RootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

/// Who calls, and whose child a child is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Caller {
    /// An MCP host outside any pane of ours.
    Root(RootId),
    /// A program inside the pane of this child.
    Child(ChildId),
    /// The user at a terminal or in a script, outside any tree.
    Person,
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Caller::Root(id) => id.fmt(f),
            Caller::Child(id) => id.fmt(f),
            Caller::Person => f.write_str("person"),
        }
    }
}

impl Serialize for RootId {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RootId {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Caller::deserialize(from)? {
            Caller::Root(id) => Ok(id),
            other => Err(serde::de::Error::custom(format!("{other} is not a root"))),
        }
    }
}

impl Serialize for Caller {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl FromStr for Caller {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.as_bytes().first() {
            Some(b'r') => text[1..].parse().map(|id| Caller::Root(RootId(id))).map_err(|_| ()),
            Some(b'c') => text.parse().map(Caller::Child),
            _ if text == "person" => Ok(Caller::Person),
            _ => Err(()),
        }
    }
}

impl<'de> Deserialize<'de> for Caller {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        parsed(from, "a caller")
    }
}

/// What is written as text is read from it.
fn parsed<'de, T: FromStr, D: serde::Deserializer<'de>>(from: D, what: &str) -> Result<T, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(|_| serde::de::Error::custom(format!("{text:?} is not {what}")))
}

/// A child's secret: 32 random bytes, written as hex. Only the child is ever given it; we keep its hash.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 32]);

impl Token {
    /// A new one, from the operating system's generator.
    pub fn random() -> Self {
        let mut bytes = [0; 32];
        rand::rng().fill_bytes(&mut bytes);
        Token(bytes)
    }

    /// For the child's environment, and nowhere else.
    pub fn reveal(&self) -> String {
        hex::encode(self.0)
    }

    /// What may be kept and compared.
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0).into())
    }
}

impl FromStr for Token {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| ())?;
        Ok(Token(bytes))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// SHA-256 of a [`Token`]. It is looked up by its value, and compared in constant time.
///
/// How long a lookup takes may tell which bucket a hash falls into, and no more: the map's own hash is keyed at random,
/// and the bytes of two hashes are never compared one by one. Even those would tell nothing of the token: whoever
/// guesses cannot choose the SHA-256 of a guess, nor go back from a hash to the 256 random bits it was made of.
#[derive(Clone, Debug)]
pub struct TokenHash([u8; 32]);

impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        let differing =
            self.0.iter().zip(other.0).fold(0, |differing, (one, other)| differing | (one ^ other));
        // Else the compiler may see that the first difference decides.
        std::hint::black_box(differing) == 0
    }
}

impl Eq for TokenHash {}

impl std::hash::Hash for TokenHash {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Serialize for TokenHash {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(self.0))
    }
}

impl FromStr for TokenHash {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| ())?;
        Ok(TokenHash(bytes))
    }
}

impl<'de> Deserialize<'de> for TokenHash {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        parsed(from, "a hash")
    }
}

/// How many bytes a child had written when something was so. Never goes back.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Offset(pub u64);

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::ops::Add<usize> for Offset {
    type Output = Offset;

    fn add(self, bytes: usize) -> Offset {
        Offset(self.0.saturating_add(bytes as u64))
    }
}

impl std::ops::Sub for Offset {
    type Output = u64;

    fn sub(self, earlier: Offset) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A terminal's size in character cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Columns.
    pub cols: u16,
}

impl Size {
    /// What a child gets when nobody says otherwise: a screenful an agent reads in one answer.
    pub const DEFAULT: Size = Size { rows: 40, cols: 120 };
    /// The emulator panics below this.
    pub const MIN: Size = Size { rows: 1, cols: 2 };
    /// Half a megabyte of cells; larger ones only cost memory.
    pub const MAX: Size = Size { rows: 500, cols: 1000 };

    /// The nearest size between [`Size::MIN`] and [`Size::MAX`].
    pub fn clamped(self) -> Size {
        Size {
            rows: self.rows.clamp(Size::MIN.rows, Size::MAX.rows),
            cols: self.cols.clamp(Size::MIN.cols, Size::MAX.cols),
        }
    }
}

/// How a child ended, as its parent in the kernel's sense was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// It returned this status.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit code {code}"),
            Exit::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_positive_number_after_c_names_a_child() {
        for (text, id) in [
            ("c1", Some(ChildId(1))),
            ("c4294967295", Some(ChildId(u32::MAX))),
            ("c0", None),
            ("c01", None),
            ("c", None),
            ("1", None),
            ("c+1", None),
            ("c4294967296", None),
            ("claude", None),
        ] {
            assert_eq!(text.parse().ok(), id, "{text}");
        }
    }

    #[test]
    fn callers_are_read_as_they_are_written() {
        for caller in [Caller::Root(RootId(7)), Caller::Child(ChildId(3)), Caller::Person] {
            assert_eq!(serde_json::from_value::<Caller>(serde_json::json!(caller)).unwrap(), caller);
        }
        for text in ["", "r", "rx", "c0", "anyone", "é"] {
            assert!(text.parse::<Caller>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_token_is_read_back_and_never_printed() {
        let token = Token::random();
        assert_eq!(token.reveal().parse::<Token>().unwrap().hash(), token.hash());
        assert_ne!(token.hash(), Token::random().hash());
        assert_eq!(format!("{token:?}"), "Token(…)");
        assert!("00".parse::<Token>().is_err());
        assert!("zz".repeat(32).parse::<Token>().is_err());
    }

    #[test]
    fn hashes_are_equal_when_every_byte_is() {
        let hash = Token([7; 32]).hash();
        assert_eq!(hash, Token([7; 32]).hash());
        for byte in 0..32 {
            for bit in 0..8 {
                let mut other = hash.clone();
                other.0[byte] ^= 1 << bit;
                assert_ne!(hash, other);
            }
        }
    }

    #[test]
    fn sizes_stay_within_what_the_emulator_bears() {
        for (rows, cols, clamped) in
            [(0, 0, (1, 2)), (1, 1, (1, 2)), (40, 120, (40, 120)), (65535, 65535, (500, 1000))]
        {
            let size = Size { rows, cols }.clamped();
            assert_eq!((size.rows, size.cols), clamped);
        }
    }
}
