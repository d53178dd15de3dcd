//! MCP's lines as a pipe must know them: how long one may be, whether it is JSON at all, and whose answer it wants.
//! Knows no method and no meaning.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// Longer lines are answered with an error and skipped; rmcp would drop them without a word.
pub const MAX_LINE: usize = 16 << 20;

/// One line of a host's.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// JSON, its newline included.
    Json(Vec<u8>),
    /// Something else; the JSON-RPC error to answer with.
    Wrong(String),
    /// There are no more.
    End,
}

/// The next line.
pub async fn next_line(from: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<Line> {
    line_within(from, MAX_LINE).await
}

/// The next line, with another limit: a fuzzer never gets to one of 16 MiB.
#[doc(hidden)]
pub async fn line_within(from: &mut (impl AsyncBufRead + Unpin), most: usize) -> std::io::Result<Line> {
    let mut line = Vec::new();
    let mut long = None;
    loop {
        let bytes = from.fill_buf().await?;
        if bytes.is_empty() {
            break;
        }
        let end = bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let used = end.unwrap_or(bytes.len());
        if long.is_none() && line.len() + used > most {
            long = Some(Id::default());
        }
        match &mut long {
            // Read through for its id, and kept no longer.
            Some(id) => {
                id.read(&line);
                id.read(&bytes[..used]);
                line.clear();
            }
            None => line.extend_from_slice(&bytes[..used]),
        }
        from.consume(used);
        if end.is_some() {
            break;
        }
    }
    if let Some(id) = long {
        let message = format!("a message of more than {} MiB; send less at once", most >> 20);
        return Ok(Line::Wrong(error(id.value(), -32600, &message)));
    }
    if line.is_empty() {
        return Ok(Line::End);
    }
    if line.trim_ascii().is_empty() {
        // Between messages; nobody needs an answer to it.
        return Ok(Line::Json(b"\n".into()));
    }
    let Ok(text) = std::str::from_utf8(&line) else {
        return Ok(Line::Wrong(error("null", -32700, "not UTF-8")));
    };
    if let Err(bad) = serde_json::from_str::<Readable>(text) {
        let mut id = Id::default();
        if serde_json::from_str::<IgnoredAny>(text).is_ok() {
            id.read(&line);
        }
        return Ok(Line::Wrong(error(id.value(), -32700, &format!("not JSON: {bad}"))));
    }
    if line.last() != Some(&b'\n') {
        line.push(b'\n');
    }
    Ok(Line::Json(line))
}

/// The first message that wants an answer, with its newline; nothing at the end. rmcp closes a connection that begins
/// with a notification, which some hosts send when they give up on an earlier server.
pub async fn first_request(from: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<Option<Vec<u8>>> {
    loop {
        match next_line(from).await? {
            Line::End => return Ok(None),
            Line::Wrong(_) => {}
            Line::Json(line) => {
                if serde_json::from_slice::<Value>(&line).is_ok_and(|message| message.get("id").is_some()) {
                    return Ok(Some(line));
                }
            }
        }
    }
}

fn error(id: &str, code: i32, message: &str) -> String {
    let message = Value::from(message);
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":{code},\"message\":{message}}}}}\n")
}

/// JSON that can be read to its last value, as rmcp will. serde_json takes more where it only looks for the end: half a
/// surrogate pair, which JavaScript writes for half an emoji, a number beyond all others, or 128 levels and more.
struct Readable;

impl<'de> Deserialize<'de> for Readable {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Readable)
    }
}

impl<'de> Visitor<'de> for Readable {
    type Value = Self;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Readable>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self, A::Error> {
        while fields.next_entry::<Readable, Readable>()?.is_some() {}
        Ok(self)
    }
}

/// Finds the `id` of a message too long to keep, as its bytes go by.
#[derive(Debug, Default)]
struct Id {
    depth: usize,
    string: bool,
    escaped: bool,
    /// The string or number being read at the top level.
    token: Vec<u8>,
    id: bool,
    found: Option<String>,
}

impl Id {
    const LONGEST: usize = 256;

    fn read(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.step(*byte);
        }
    }

    fn step(&mut self, byte: u8) {
        if self.string {
            self.keep(byte);
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => {
                self.string = true;
                self.keep(byte);
            }
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.end_value();
                self.depth = self.depth.saturating_sub(1);
            }
            b':' if self.depth == 1 => {
                self.id = self.token == b"\"id\"";
                self.token.clear();
            }
            b',' => self.end_value(),
            byte if byte.is_ascii_whitespace() => {}
            byte => self.keep(byte),
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.depth == 1 && self.token.len() < Self::LONGEST {
            self.token.push(byte);
        }
    }

    fn end_value(&mut self) {
        if self.depth == 1 {
            if self.id {
                self.found = String::from_utf8(std::mem::take(&mut self.token)).ok();
            }
            self.id = false;
            self.token.clear();
        }
    }

    /// As JSON; `null` where there was none, or none we could repeat.
    fn value(&self) -> &str {
        self.found.as_deref().filter(|id| serde_json::from_str::<Value>(id).is_ok()).unwrap_or("null")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(text: &[u8]) -> Vec<Line> {
        let mut from = tokio::io::BufReader::with_capacity(7, text);
        let mut lines = Vec::new();
        loop {
            match next_line(&mut from).await.unwrap() {
                Line::End => return lines,
                line => lines.push(line),
            }
        }
    }

    fn wrong(line: &Line) -> serde_json::Value {
        let Line::Wrong(line) = line else { panic!("{line:?}") };
        serde_json::from_str(line).unwrap()
    }

    #[tokio::test]
    async fn json_passes_and_the_rest_is_answered() {
        let read = lines(b"{\"id\":1}\n\nnot json\n{\"a\":\"\xff\"}\n[1]\n{\"id\":2}").await;
        assert_eq!(read[0], Line::Json(b"{\"id\":1}\n".into()));
        assert_eq!(read[1], Line::Json(b"\n".into()));
        assert_eq!(wrong(&read[2])["error"]["code"], -32700);
        assert_eq!(wrong(&read[3])["error"]["code"], -32700, "bytes that are not UTF-8");
        assert_eq!(read[4], Line::Json(b"[1]\n".into()), "JSON of another shape is rmcp's to refuse");
        assert_eq!(read[5], Line::Json(b"{\"id\":2}\n".into()), "the last newline may be missing");
    }

    #[tokio::test]
    async fn what_only_looks_like_json_is_answered_by_its_id() {
        let deep = format!("{{\"id\":3,\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        for (line, id) in [(r#"{"id":1,"a":"\ud83d"}"#, 1), (r#"{"a":1e999,"id":2}"#, 2), (&deep, 3)] {
            let read = lines(line.as_bytes()).await;
            assert_eq!(wrong(&read[0])["id"], id, "{line}");
            assert_eq!(wrong(&read[0])["error"]["code"], -32700);
        }
    }

    #[tokio::test]
    async fn a_line_too_long_is_refused_by_its_id_and_the_next_one_passes() {
        let filler = "x".repeat(MAX_LINE);
        for (message, id) in [
            (format!("{{\"id\":7,\"params\":{{\"id\":8,\"x\":\"{filler}\"}}}}"), serde_json::json!(7)),
            (
                format!("{{\"params\":{{\"x\":\"{filler}\\\"}}\"}}, \"id\" : \"a,b\"}}"),
                serde_json::json!("a,b"),
            ),
            (format!("{{\"x\":\"{filler}\"}}"), serde_json::Value::Null),
            (filler.clone() + "y", serde_json::Value::Null),
        ] {
            let mut from = tokio::io::BufReader::new(message.as_bytes());
            let line = next_line(&mut from).await.unwrap();
            assert_eq!(wrong(&line)["id"], id);
            assert_eq!(wrong(&line)["error"]["code"], -32600);
            assert_eq!(next_line(&mut from).await.unwrap(), Line::End);
        }
    }
}
