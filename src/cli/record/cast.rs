//! An asciicast, version 3, as it is written: a header, then one line for each event, with the time since the one
//! before. A plain value that is told the time; it writes nothing itself.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::id::{Exit, Size};

/// What the header says beside the size.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct About {
    /// When it began, in seconds after 1970.
    pub(super) timestamp: u64,
    /// The child's name.
    pub(super) title: String,
    /// Its program.
    pub(super) command: String,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Cast {
    /// When the event before was, in microseconds, as it is written: nothing adds up.
    last: u128,
    size: Option<Size>,
    /// The beginning of a character whose rest has not come.
    partial: Vec<u8>,
}

impl Cast {
    /// The first line.
    pub(super) fn header(&mut self, size: Size, about: &About) -> String {
        self.size = Some(size);
        let term = json!({"cols": size.cols, "rows": size.rows, "type": "xterm-256color"});
        let About { timestamp, title, command } = about;
        let header = json!({
            "version": 3, "term": term, "timestamp": timestamp, "title": title, "command": command,
        });
        format!("{header}\n")
    }

    /// The program wrote this. What is no UTF-8 is written as U+FFFD; half a character waits for its other half.
    pub(super) fn output(&mut self, at: Duration, bytes: &[u8]) -> String {
        self.partial.extend(bytes);
        let mut text = String::new();
        let mut rest = &self.partial[..];
        loop {
            match str::from_utf8(rest) {
                Ok(whole) => {
                    text.push_str(whole);
                    rest = &[];
                    break;
                }
                Err(error) => {
                    let (whole, wrong) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(whole));
                    rest = wrong;
                    let Some(length) = error.error_len() else { break };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = &rest[length..];
                }
            }
        }
        self.partial = rest.to_vec();
        if text.is_empty() { String::new() } else { self.event(at, "o", json!(text)) }
    }

    /// The terminal has this size now; nothing if it had before.
    pub(super) fn size(&mut self, at: Duration, size: Size) -> String {
        if self.size.replace(size) == Some(size) {
            return String::new();
        }
        self.event(at, "r", json!(format!("{}x{}", size.cols, size.rows)))
    }

    /// Something that a player may show on its way.
    pub(super) fn marker(&mut self, at: Duration, text: &str) -> String {
        let cut = self.cut(at);
        cut + &self.event(at, "m", json!(text))
    }

    /// The program has ended, as a shell would tell it; of one that was lost nobody knows how.
    pub(super) fn end(&mut self, at: Duration, exit: Option<Exit>) -> String {
        let cut = self.cut(at);
        let code = match exit {
            Some(Exit::Code(code)) => code,
            Some(Exit::Signal(signal)) => 128 + signal,
            None => return cut,
        };
        cut + &self.event(at, "x", json!(code.to_string()))
    }

    /// Half a character, whose other half will not come.
    pub(super) fn cut(&mut self, at: Duration) -> String {
        if self.partial.is_empty() {
            return String::new();
        }
        self.partial.clear();
        self.event(at, "o", json!(char::REPLACEMENT_CHARACTER))
    }

    fn event(&mut self, at: Duration, kind: &str, data: Value) -> String {
        let at = at.as_micros().max(self.last);
        let since = at - self.last;
        self.last = at;
        format!("[{}.{:06}, {}, {data}]\n", since / 1_000_000, since % 1_000_000, json!(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::recording::{Happened, Recording};

    const SIZE: Size = Size { rows: 24, cols: 80 };

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn begun() -> (Cast, String) {
        let mut cast = Cast::default();
        let about = About { timestamp: 1_700_000_000, title: "a \"b\"".into(), command: "sh".into() };
        let header = cast.header(SIZE, &about);
        (cast, header)
    }

    #[test]
    fn a_recording_is_written_as_players_read_it() {
        let (mut cast, mut all) = begun();
        all += &cast.output(ms(1_500), b"a\x1b[31m\"\r\n");
        all += &cast.size(ms(1_500), SIZE);
        all += &cast.size(ms(2_000), Size { rows: 10, cols: 20 });
        all += &cast.marker(ms(2_000), "7 bytes were dropped");
        all += &cast.output(ms(62_000), "é".as_bytes());
        all += &cast.end(ms(62_001), Some(Exit::Signal(9)));
        insta::assert_snapshot!(all, @r#"
        {"command":"sh","term":{"cols":80,"rows":24,"type":"xterm-256color"},"timestamp":1700000000,"title":"a \"b\"","version":3}
        [1.500000, "o", "a\u001b[31m\"\r\n"]
        [0.500000, "r", "20x10"]
        [0.000000, "m", "7 bytes were dropped"]
        [60.000000, "o", "é"]
        [0.001000, "x", "137"]
        "#);
        let mut read = Recording::new(all.as_bytes()).unwrap();
        let moments: Vec<_> = std::iter::from_fn(|| read.moment().unwrap()).collect();
        assert_eq!(moments.last().unwrap().at, ms(62_001));
        assert_eq!(moments.last().unwrap().what, Happened::Exited(137));
        assert_eq!(moments[0].what, Happened::Output("a\x1b[31m\"\r\n".into()));
        assert_eq!(moments[1].what, Happened::Resized(Size { rows: 10, cols: 20 }));
    }

    /// What the events hold together, whatever the pieces were.
    #[track_caller]
    fn check(pieces: &[&[u8]], text: &str) {
        let (mut cast, mut all) = begun();
        for piece in pieces {
            all += &cast.output(ms(1), piece);
        }
        all += &cast.end(ms(2), None);
        let mut read = Recording::new(all.as_bytes()).unwrap();
        let moments = std::iter::from_fn(|| read.moment().unwrap());
        let outputs = moments.map(|moment| match moment.what {
            Happened::Output(text) => text,
            other => panic!("{other:?}"),
        });
        assert_eq!(outputs.collect::<String>(), text, "{pieces:?}");
    }

    #[test]
    fn no_character_is_cut_in_two() {
        check(&["日本".as_bytes()], "日本");
        let bytes = "a日é👩".as_bytes();
        for at in 0..bytes.len() {
            check(&[&bytes[..at], &bytes[at..]], "a日é👩");
        }
        check(&bytes.chunks(1).collect::<Vec<_>>(), "a日é👩");
        check(&[b"a\xffb\xc3", b"x"], "a\u{fffd}b\u{fffd}x");
        check(&[b"a\xe6\x97"], "a\u{fffd}");
        check(&[b"", b""], "");
    }

    #[test]
    fn times_add_up_to_what_they_are() {
        let (mut cast, mut all) = begun();
        for n in 1..=1000 {
            all += &cast.output(Duration::from_nanos(1_000_333 * n), b"x");
        }
        // A clock that is set back holds nothing up.
        all += &cast.output(ms(10), b"y");
        let mut read = Recording::new(all.as_bytes()).unwrap();
        let last = std::iter::from_fn(|| read.moment().unwrap()).last().unwrap();
        let off = last.at.abs_diff(Duration::from_nanos(1_000_333_000));
        assert!(off < Duration::from_micros(5), "{off:?}");
    }
}
