//! When a limit ends, from the words a program has for that: a span (`in 20 seconds`, `1h 5m`), a time of the day (`3pm`,
//! `15:30`), a time of all time (seconds since 1970, RFC 3339). Told the time and its zone; anything else is not known.

use std::{sync::LazyLock, time::SystemTime};

use chrono::{DateTime, Days, FixedOffset, NaiveTime, TimeDelta};
use regex::Regex;

/// No limit lasts longer: what says so is misread.
const LONGEST: TimeDelta = TimeDelta::days(62);

/// The end, or nothing if the words are none of those.
pub(super) fn until(words: &str, now: DateTime<FixedOffset>) -> Option<SystemTime> {
    let words = words.trim().trim_end_matches(['.', ')']);
    let end = epoch(words).or_else(|| DateTime::parse_from_rfc3339(words).ok());
    let end = end.or_else(|| span(words).and_then(|span| now.checked_add_signed(span)));
    let end = end.or_else(|| clock(words, now))?;
    (end - now <= LONGEST && now - end <= LONGEST).then(|| end.into())
}

/// Seconds or milliseconds since 1970.
fn epoch(words: &str) -> Option<DateTime<FixedOffset>> {
    let number: i64 = words.parse().ok()?;
    let at = match words.len() {
        10 => DateTime::from_timestamp(number, 0),
        13 => DateTime::from_timestamp_millis(number),
        _ => None,
    };
    at.map(|at| at.fixed_offset())
}

fn span(words: &str) -> Option<TimeDelta> {
    static WHOLE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let unit = "d|days?|h|hr|hrs|hours?|m|min|mins|minutes?|s|secs?|seconds?|ms";
        Regex::new(&format!(r"(?i)^(?:in\s+|after\s+|about\s+|~\s*)*(?:\d{{1,6}}(?:\.\d{{1,3}})?\s*(?:{unit})\b[\s,]*(?:and\s+)?)+$")).ok()
    });
    static PART: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?i)(\d+(?:\.\d+)?)\s*(ms|[dhms])").ok());
    let (whole, part) = (WHOLE.as_ref()?, PART.as_ref()?);
    if !whole.is_match(words) {
        return None;
    }
    let mut ms = 0.0;
    for captures in part.captures_iter(words) {
        let number: f64 = captures[1].parse().ok()?;
        ms += number
            * match captures[2].to_ascii_lowercase().as_str() {
                // `m` of `min` and `minutes`; `ms` comes first.
                "ms" => 1.0,
                "s" => 1e3,
                "m" => 6e4,
                "h" => 3.6e6,
                _ => 8.64e7,
            };
    }
    Some(TimeDelta::milliseconds(ms as i64))
}

/// The next time that a clock shows this, in the zone of `now`. A zone in the words is not looked at.
fn clock(words: &str, now: DateTime<FixedOffset>) -> Option<DateTime<FixedOffset>> {
    static CLOCK: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"(?i)^(?:at\s+)?(\d{1,2})(?::(\d{2}))?(?::\d{2})?\s*([ap])?(?:\.?m\.?)?(?:\s*\(.*)?$")
            .ok()
    });
    let captures = CLOCK.as_ref()?.captures(words)?;
    let hour: u32 = captures[1].parse().ok()?;
    let minute = captures.get(2).map(|minute| minute.as_str().parse::<u32>());
    let hour = match captures.get(3).map(|half| half.as_str().eq_ignore_ascii_case("p")) {
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(true) => hour % 12 + 12,
        Some(false) => hour % 12,
        // A number alone is no time.
        None => minute.is_some().then_some(hour)?,
    };
    let time = NaiveTime::from_hms_opt(hour, minute.transpose().ok()?.unwrap_or(0), 0)?;
    let today = now.with_time(time).single()?;
    if today > now { Some(today) } else { today.checked_add_days(Days::new(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_understood_in_the_words_of_programs() {
        let now = DateTime::parse_from_rfc3339("2026-11-25T14:30:00+02:00").unwrap();
        for (words, end) in [
            ("20 seconds", "2026-11-25T14:30:20+02:00"),
            ("18s", "2026-11-25T14:30:18+02:00"),
            ("in 5 minutes", "2026-11-25T14:35:00+02:00"),
            ("1h 5m", "2026-11-25T15:35:00+02:00"),
            ("2 hours, 3 min and 10 secs.", "2026-11-25T16:33:10+02:00"),
            ("1.5s", "2026-11-25T14:30:01.500+02:00"),
            ("500 ms", "2026-11-25T14:30:00.500+02:00"),
            ("3 days", "2026-11-28T14:30:00+02:00"),
            ("3pm", "2026-11-25T15:00:00+02:00"),
            ("at 3:05 PM", "2026-11-25T15:05:00+02:00"),
            ("2pm (Europe/Helsinki)", "2026-11-26T14:00:00+02:00"),
            ("12am", "2026-11-26T00:00:00+02:00"),
            ("12 p.m.", "2026-11-26T12:00:00+02:00"),
            ("15:30", "2026-11-25T15:30:00+02:00"),
            ("1795609800", "2026-11-25T14:30:00+02:00"),
            ("1795609800000", "2026-11-25T14:30:00+02:00"),
            ("2026-11-25T15:00:00Z", "2026-11-25T17:00:00+02:00"),
        ] {
            let end = SystemTime::from(DateTime::parse_from_rfc3339(end).unwrap());
            assert_eq!(until(words, now), Some(end), "{words}");
        }
        for words in [
            "",
            "soon",
            "3",
            "13pm",
            "0am",
            "25:00",
            "15:61",
            "9999999 h",
            "99 days",
            "5 fish",
            "9999999999",
            "at",
            "-5s",
        ] {
            assert_eq!(until(words, now), None, "{words}");
        }
    }
}
