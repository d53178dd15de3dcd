//! A person at a pane, after the hello: frames, `u32 LE length | JSON`, additive for ever: a kind or a field that one side
//! does not know is skipped. What a child shows comes as rows of cells; its bytes never do. Knows neither side.

use std::io;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{
    child::{
        picture::{Pointer, Row},
        screen::Wants,
    },
    id::Size,
};

/// The most that may follow a length, in bytes: a screen of the largest size, each cell in a style of its own.
pub const MAX_FRAME: usize = 64 << 20;

/// What a person wants to look at, in their hello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// A child's id or name.
    pub child: String,
    /// Whether the input is taken, too.
    pub take: bool,
    /// How much of their terminal is for it.
    pub size: Size,
}

/// A person to the broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum FromViewer {
    /// Types; heeded while they hold the input.
    Input {
        /// As their terminal sent it.
        #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
        bytes: Vec<u8>,
    },
    /// Pastes; the same.
    Paste {
        /// What.
        text: String,
    },
    /// Has another size.
    Resize {
        /// Which.
        size: Size,
    },
    /// Takes the input.
    Take,
    /// Gives it back, and looks on.
    GiveBack,
    /// Looks at what has scrolled away.
    Scroll {
        /// So many rows further up than now.
        up: usize,
    },
    /// Asks what is held.
    Held,
    /// Has a held message typed now.
    Deliver {
        /// Which; all, if none is named.
        #[serde(default)]
        delivery: Option<u64>,
    },
    /// Sends a held message back.
    Reject {
        /// Which.
        delivery: u64,
        /// A word for its sender.
        why: String,
    },
    /// Gives a held message another text.
    Edit {
        /// Which.
        delivery: u64,
        /// What it shall say.
        text: String,
    },
    /// Ends the child, and everything below it.
    Kill,
    /// Something that only a later version says.
    #[serde(other)]
    Unknown,
}

/// The broker to a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum ToViewer {
    /// What the child's screen shows now.
    Screen {
        /// Its size.
        size: Size,
        /// The rows that are not as they were in the frame before, by their numbers; all if the size is another.
        rows: Vec<(u16, Row)>,
        /// Its cursor, if that is to be seen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pointer: Option<Pointer>,
        /// How many rows further up than the newest this is,
        #[serde(default)]
        up: usize,
        /// of how many.
        #[serde(default)]
        above: usize,
        /// What its program wants of their terminal.
        #[serde(default)]
        wants: Wants,
    },
    /// What is known of the child.
    Child(Known),
    /// What is held.
    Held {
        /// In order.
        messages: Vec<Message>,
    },
    /// A word for the person.
    Word {
        /// It.
        text: String,
    },
    /// Nothing will come, and why.
    Refused {
        /// Why.
        why: String,
    },
    /// Something that only a later version says.
    #[serde(other)]
    Unknown,
}

/// What a status line shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Known {
    /// Its id.
    pub child: String,
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: String,
    /// Which rule says so.
    pub why: String,
    /// Since when, in milliseconds after 1970.
    pub since_ms: u64,
    /// The person who holds its input, if one does.
    pub person: Option<String>,
    /// Whether that is this connection.
    pub yours: bool,
    /// Since when it is whoever's it is.
    pub owner_since_ms: u64,
    /// Messages that wait for the input to be given back.
    pub held: usize,
    /// Messages that wait for their turn.
    pub queued: usize,
    /// The title it set.
    pub title: Option<String>,
    /// It has ended.
    pub ended: bool,
}

/// A message that is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its number.
    pub delivery: u64,
    /// What it says.
    pub text: String,
}

/// The next frame; nothing at the end.
pub async fn read<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<T>> {
    let len = match from.read_u32_le().await {
        Ok(len) => len as usize,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    if len > MAX_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame beyond any that we send"));
    }
    // Only as large as what comes.
    let mut bytes = Vec::with_capacity(len.min(64 << 10));
    if from.take(len as u64).read_to_end(&mut bytes).await? < len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(serde_json::from_slice(&bytes)?))
}

/// Sends a frame, whole.
pub async fn write(to: &mut (impl AsyncWrite + Unpin), frame: &impl Serialize) -> io::Result<()> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, frame)?;
    let len = (bytes.len() - 4) as u32;
    bytes[..4].copy_from_slice(&len.to_le_bytes());
    to.write_all(&bytes).await?;
    to.flush().await
}

fn to_base64<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&STANDARD.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    STANDARD.decode(String::deserialize(from)?).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_out_as_they_went_in() {
        let (mut one, mut other) = tokio::io::duplex(16);
        let sent = [
            FromViewer::Input { bytes: b"\x1b[A\x00\xff".into() },
            FromViewer::Reject { delivery: 3, why: "no".into() },
            FromViewer::Take,
        ];
        let all = sent.clone();
        let writer = tokio::spawn(async move {
            for frame in &all {
                write(&mut one, frame).await.unwrap();
            }
        });
        for frame in sent {
            assert_eq!(read::<FromViewer>(&mut other).await.unwrap(), Some(frame));
        }
        writer.await.unwrap();
        assert_eq!(read::<FromViewer>(&mut other).await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_is_not_known_is_skipped_and_what_makes_no_sense_is_an_error() {
        let frame = |text: &str| [&(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
        let later = frame(r#"{"do":"dance","how":"well"}"#);
        assert_eq!(read::<FromViewer>(&mut &later[..]).await.unwrap(), Some(FromViewer::Unknown));
        let more = frame(r#"{"is":"word","text":"a","loud":true}"#);
        let word = ToViewer::Word { text: "a".into() };
        assert_eq!(read::<ToViewer>(&mut &more[..]).await.unwrap(), Some(word));
        for bad in [frame("{"), frame(r#"{"do":1}"#), vec![255; 9], later[..9].to_vec()] {
            assert!(read::<FromViewer>(&mut &bad[..]).await.is_err(), "{bad:?}");
        }
    }
}
