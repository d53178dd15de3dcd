//! Standard output, as a person or a script gets it. What children said is shown without its control characters: it
//! must not act on the terminal of whoever looks.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::client::Answer;

/// Writes a line, or several.
pub(super) fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Writes a value as JSON to be read by people too.
pub(super) fn json(value: &Value) -> io::Result<()> {
    line(&format!("{value:#}"))
}

/// Writes a tool's record: as JSON, or in the words made of it.
pub(super) fn record(result: &Answer, as_json: bool, words: impl Fn(&Value) -> String) -> io::Result<()> {
    let record = result.record();
    if as_json { json(record) } else { line(&plain(&words(record))) }
}

/// Text without anything a terminal would act on but line ends and tabs.
pub(super) fn plain(text: &str) -> String {
    let harmless = |c: char| !c.is_control() || c == '\n' || c == '\t';
    text.chars().map(|c| if harmless(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// A string field of a record; empty if it has none.
pub(super) fn word<'a>(record: &'a Value, field: &str) -> &'a str {
    record[field].as_str().unwrap_or_default()
}

/// As much of a text as fits so many columns, with a sign if it was cut.
pub(super) fn fit(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > columns {
            break;
        }
        kept.push(c);
    }
    if columns > 0 {
        kept.push('…');
    }
    kept
}

/// A text and the blanks that fill so many columns.
pub(super) fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(text.width())))
}

/// How many columns there are; unlimited where nobody looks at a terminal.
pub(super) fn columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// Whether colours are welcome on standard output.
pub(super) fn colours() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Seconds in the largest unit that tells enough: `5s`, `12m`, `3h`, `2d`.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_child_says_acts_on_the_terminal() {
        assert_eq!(plain("a\x1b[31mb\r\n\tc\u{9b}0m\x07"), "a\u{fffd}[31mb\u{fffd}\n\tc\u{fffd}0m\u{fffd}");
    }

    #[test]
    fn a_text_fits_its_columns() {
        for (text, columns, fits) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("abc", 1, "…"),
            ("abc", 0, ""),
        ] {
            assert_eq!(fit(text, columns), fits, "{text} {columns}");
        }
        assert_eq!(pad("日", 4), "日  ");
    }

    #[test]
    fn a_span_is_told_in_its_largest_unit() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (60, "1m"), (3_599, "59m"), (7_200, "2h"), (172_800, "2d")]
        {
            assert_eq!(span(seconds), text);
        }
    }
}
