//! What arguments say: spans of time, sizes, variables, texts. Parsed here once; values from here on.

use std::{io::Read, str::FromStr};

use super::fail::Fail;

/// A span of time: `500ms`, `60s`, `10m`, `2h`, or milliseconds alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// In milliseconds.
    pub(super) ms: u64,
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match &text[digits.len()..] {
            "" | "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => {
                return Err(
                    "give a span such as 500ms, 60s, 10m or 2h; without a unit it is milliseconds".into()
                );
            }
        };
        let wrong = || format!("{digits:?} is no whole number");
        let count: u64 = digits.parse().map_err(|_| wrong())?;
        count.checked_mul(unit).map(|ms| Span { ms }).ok_or_else(|| "that is too long".into())
    }
}

/// A terminal's size: `40x120`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) rows: u16,
    pub(super) cols: u16,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let both = text
            .split_once(['x', 'X'])
            .and_then(|(rows, cols)| Some((rows.parse().ok()?, cols.parse().ok()?)));
        match both {
            Some((rows, cols)) if rows > 0 && cols > 0 => Ok(Size { rows, cols }),
            _ => Err("give ROWSxCOLS, such as 40x120".into()),
        }
    }
}

/// An environment variable: `NAME=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: String,
}

impl FromStr for Variable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                Ok(Variable { name: name.into(), value: value.into() })
            }
            _ => Err("give NAME=value".into()),
        }
    }
}

/// The text itself, or all of standard input where it is `-`.
pub(super) fn text_or_stdin(text: String) -> Result<String, Fail> {
    if text != "-" {
        return Ok(text);
    }
    let mut read = String::new();
    std::io::stdin().lock().read_to_string(&mut read)?;
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_a_unit_or_is_milliseconds() {
        for (text, ms) in [
            ("0", Some(0)),
            ("250", Some(250)),
            ("500ms", Some(500)),
            ("60s", Some(60_000)),
            ("10m", Some(600_000)),
            ("2h", Some(7_200_000)),
        ] {
            assert_eq!(text.parse::<Span>().ok().map(|span| span.ms), ms, "{text}");
        }
        for text in ["", "s", "1.5s", "-1", "1d", "10 m", "99999999999999999h", "m5"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_size_is_rows_and_columns() {
        for (text, size) in [("40x120", Some((40, 120))), ("24X80", Some((24, 80))), ("1x2", Some((1, 2)))] {
            assert_eq!(text.parse::<Size>().ok().map(|size| (size.rows, size.cols)), size, "{text}");
        }
        for text in ["", "40", "x", "40x", "0x80", "40x120x1", "-1x5", "70000x1"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_variable_has_a_name() {
        let variable: Variable = "A=b=c".parse().unwrap();
        assert_eq!((&*variable.name, &*variable.value), ("A", "b=c"));
        assert_eq!("A=".parse::<Variable>().unwrap().value, "");
        assert!("=b".parse::<Variable>().is_err());
        assert!("A".parse::<Variable>().is_err());
    }
}
