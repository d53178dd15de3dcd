//! A program's input box: whether it is on the screen, what is in it, and whether that is a given message. A plain
//! value; it is shown the screen and told the time. Does not know who typed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use regex::Regex;

use super::{pattern::pattern, plain::is_plain, rules::ComposerRule};

/// Stands before the character that the cursor is on, in the text of a screen that patterns for a composer see.
pub const CURSOR: char = '▮';

/// See the module.
#[derive(Debug)]
pub struct Composer {
    rule: Option<Compiled>,
    /// It was on the screen at some time.
    known: bool,
    /// What is in it, if it is on the screen.
    text: Option<String>,
    /// Since when it holds something.
    filled: Option<Instant>,
    /// What the screen shows before the cursor.
    before_cursor: Words,
}

#[derive(Debug)]
struct Compiled {
    matches: Arc<Regex>,
    empty: Vec<Arc<Regex>>,
    pasted: Option<Arc<Regex>>,
}

/// What is seen of it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight<'a> {
    /// The preset does not say what it looks like, or nothing like it was ever seen.
    Unknown,
    /// It was on the screen, and is not now.
    Away,
    /// It is there and empty.
    Empty,
    /// It is there, with this in it.
    Holds(&'a str),
}

/// A text without what a program may draw otherwise than it was given: white space; letters with accents, which can be
/// written as one character or as two; pictures, some of which are several characters in two cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(String);

/// How a message is seen in a composer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Its end.
    End,
    /// Its beginning.
    Beginning,
    /// What stands for a long paste.
    Placeholder,
    /// Something, and there is nothing in the message that could be compared.
    Something,
}

impl Words {
    /// How much of a text is enough to know it by.
    const ENOUGH: usize = 32;

    /// Of this text.
    pub fn of(text: &str) -> Self {
        let mut words = String::with_capacity(text.len());
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            // A letter with an accent of its own: some programs make one character of the two.
            let accented = chars.peek().is_some_and(|next| is_combining(*next));
            if counts(c) && !accented {
                words.push(c);
            }
        }
        Words(words)
    }

    /// Whether this shows the end of that text: so much of it as there is room for, which is a screen or one line; and
    /// maybe behind it what the program proposes.
    fn shows_end_of(&self, whole: &Words) -> bool {
        !self.0.is_empty()
            && !whole.0.is_empty()
            && (whole.0.ends_with(&self.0) || self.0.contains(whole.end()))
    }

    fn shows_beginning_of(&self, whole: &Words) -> bool {
        let enough = self.0.chars().nth(Self::ENOUGH / 2).is_some();
        enough && !whole.0.is_empty() && whole.0.starts_with(&self.0)
    }

    fn begins_like(&self, whole: &Words) -> bool {
        !self.0.is_empty() && (whole.0.starts_with(&self.0) || self.0.starts_with(whole.beginning()))
    }

    fn beginning(&self) -> &str {
        let at = self.0.char_indices().nth(Self::ENOUGH).map_or(self.0.len(), |(at, _)| at);
        &self.0[..at]
    }

    fn end(&self) -> &str {
        let at = self.0.char_indices().nth_back(Self::ENOUGH - 1).map_or(0, |(at, _)| at);
        &self.0[at..]
    }
}

impl Composer {
    /// How long something must stay in it to be a draft: programs show others' words there for a moment.
    const DRAFT_AFTER: Duration = Duration::from_millis(700);

    /// As the preset describes it. Patterns that do not compile never match: a preset's are checked when it is read.
    pub fn new(rule: Option<&ComposerRule>) -> Self {
        let compile = |rule: &ComposerRule| {
            Some(Compiled {
                matches: pattern(&rule.matches)?,
                empty: rule.empty.iter().filter_map(|empty| pattern(empty)).collect(),
                pasted: rule.pasted.as_ref().and_then(|pasted| pattern(pasted)),
            })
        };
        Composer {
            rule: rule.and_then(compile),
            known: false,
            text: None,
            filled: None,
            before_cursor: Words::default(),
        }
    }

    /// Whether the preset says what it looks like.
    pub fn is_described(&self) -> bool {
        self.rule.is_some()
    }

    /// Shows it the screen as it is now, with [`CURSOR`] in it.
    pub fn look(&mut self, screen: &str, now: Instant) {
        let before = screen.rfind(CURSOR).map_or("", |at| &screen[..at]);
        self.before_cursor = Words::of(before);
        let Some(rule) = &self.rule else { return };
        let found = rule.matches.captures(screen);
        self.text = found.map(|found| found.name("text").map_or("", |text| text.as_str()).to_owned());
        self.known |= self.text.is_some();
        let filled = matches!(self.sight(), Sight::Holds(_));
        self.filled = filled.then(|| self.filled.unwrap_or(now));
    }

    /// What is seen of it.
    pub fn sight(&self) -> Sight<'_> {
        let Some(rule) = self.rule.as_ref().filter(|_| self.known) else { return Sight::Unknown };
        match &self.text {
            None => Sight::Away,
            Some(text)
                if text.chars().all(is_blank) || rule.empty.iter().any(|empty| empty.is_match(text)) =>
            {
                Sight::Empty
            }
            Some(text) => Sight::Holds(text),
        }
    }

    /// Whether and how that message is in it.
    pub fn shows(&self, message: &Words) -> Option<Seen> {
        let Sight::Holds(text) = self.sight() else { return None };
        let words = Words::of(text);
        if message.0.is_empty() {
            Some(Seen::Something)
        } else if words.shows_end_of(message) {
            Some(Seen::End)
        } else if words.shows_beginning_of(message) {
            Some(Seen::Beginning)
        } else {
            let pasted = self.rule.as_ref()?.pasted.as_ref()?;
            pasted.is_match(text).then_some(Seen::Placeholder)
        }
    }

    /// Whether some of that message is in it, or anything that begins like it.
    pub fn keeps(&self, message: &Words) -> bool {
        let Sight::Holds(text) = self.sight() else { return false };
        self.shows(message).is_some() || Words::of(text).begins_like(message)
    }

    /// Whether that message stands just before the cursor, wherever that is.
    pub fn echoes(&self, message: &Words) -> bool {
        !message.0.is_empty() && self.before_cursor.0.ends_with(message.end())
    }

    /// What is in it for long enough to be somebody's draft.
    pub fn draft(&self, now: Instant) -> Option<String> {
        let Sight::Holds(text) = self.sight() else { return None };
        self.filled.filter(|since| now >= *since + Self::DRAFT_AFTER).map(|_| excerpt(text))
    }

    /// When that may become so, if nothing happens before.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        self.filled.map(|since| since + Self::DRAFT_AFTER).filter(|due| *due > now)
    }
}

impl Seen {
    /// What was seen, for a receipt.
    pub fn why(self) -> &'static str {
        match self {
            Seen::End => "its composer shows the text's end",
            Seen::Beginning => "its composer shows the text's beginning",
            Seen::Something => "its composer is not empty any more",
            Seen::Placeholder => "its composer shows its mark for a long paste",
        }
    }
}

/// The beginning of a text in one short line, for a reason.
pub fn excerpt(text: &str) -> String {
    const MOST: usize = 80;
    let line = one_line(text);
    match line.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

/// The end of a text in one line, for a reason.
pub fn last_words(text: &str) -> String {
    const MOST: usize = 300;
    let line = one_line(text);
    match line.char_indices().nth_back(MOST) {
        Some((at, _)) => format!("…{}", &line[at..]),
        None => line,
    }
}

fn one_line(text: &str) -> String {
    text.replace(CURSOR, "").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a character is drawn as it was given, wherever it is drawn.
fn counts(c: char) -> bool {
    match c {
        '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => false,
        c if c.is_ascii() => c.is_ascii_graphic(),
        c if is_combining(c) => false,
        c => c.is_alphanumeric(),
    }
}

fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

/// Whether it is nothing that somebody typed, wherever it stands.
fn is_blank(c: char) -> bool {
    c.is_whitespace()
        || c == CURSOR
        || !is_plain(c)
        || matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> ComposerRule {
        ComposerRule {
            matches: r"(?s)(?:.*\n|\A)> ?(?P<text>.*)\z".into(),
            empty: vec!["^▮?Type here".into()],
            pasted: Some(r"\[Pasted \d+ lines\]".into()),
        }
    }

    fn shown(screen: &str) -> Composer {
        let mut composer = Composer::new(Some(&rule()));
        composer.look(screen, Instant::now());
        composer
    }

    #[test]
    fn it_is_found_and_its_hints_are_no_text() {
        for (screen, sight) in [
            ("hello\n> ▮", Sight::Empty),
            ("hello\n> ▮Type here or not", Sight::Empty),
            ("> old\nanswer\n> mine▮", Sight::Holds("mine▮")),
            ("no box", Sight::Unknown),
        ] {
            assert_eq!(shown(screen).sight(), sight, "{screen:?}");
        }
        let mut composer = shown("> ");
        composer.look("a dialog", Instant::now());
        assert_eq!(composer.sight(), Sight::Away);
        assert_eq!(Composer::new(None).sight(), Sight::Unknown);
    }

    #[test]
    fn a_message_is_known_by_its_end_its_beginning_or_a_placeholder() {
        let long = format!("{} the end", "many words, ".repeat(100));
        let tail: String = long.chars().skip(1100).collect();
        for (message, text, seen) in [
            ("hello", "hello▮", Some(Seen::End)),
            ("two\n  lines", "two\n   li\n nes▮", Some(Seen::End)),
            ("hello", "hel", None),
            ("hello", "other words", None),
            ("look at @RE", "look at @RE▮\n@README.md\n@REST.md", Some(Seen::End)),
            ("漢字 👩\u{200d}💻 e\u{301}!", "漢字 👩 é!▮", Some(Seen::End)),
            ("🙂\u{200d}", "🙂▮", Some(Seen::Something)),
            ("🙂", "▮", None),
            (&long, &tail, Some(Seen::End)),
            (&long, &long[..200], Some(Seen::Beginning)),
            (&long, &long[..12], None),
            (&long, "[Pasted 12 lines]▮", Some(Seen::Placeholder)),
            ("x", "", None),
            ("x", "y", None),
        ] {
            assert_eq!(
                shown(&format!("> {text}")).shows(&Words::of(message)),
                seen,
                "{message:.40} in {text:.40}"
            );
        }
    }

    #[test]
    fn what_begins_like_a_message_is_still_that_message() {
        for (message, text, kept) in [
            ("ends in \\", "ends in\n▮", true),
            ("see @RE", "see @README.md ▮", true),
            ("hello", "▮", false),
            ("hello", "something else", false),
            ("hello", "Type here", false),
        ] {
            assert_eq!(shown(&format!("> {text}")).keeps(&Words::of(message)), kept, "{message} in {text}");
        }
    }

    #[test]
    fn an_echo_is_what_stands_before_the_cursor() {
        let mut composer = Composer::new(None);
        composer.look("$ ls\n$ echo  one\ntwo▮", Instant::now());
        assert!(composer.echoes(&Words::of("echo one\n two")));
        assert!(!composer.echoes(&Words::of("ls")));
        composer.look("$ ls", Instant::now());
        assert!(!composer.echoes(&Words::of("ls")), "without a cursor nothing is known");
    }

    #[test]
    fn a_draft_is_what_stays() {
        let start = Instant::now();
        let mut composer = shown("> ");
        composer.look("> a\n draft▮ here", start);
        assert_eq!(composer.draft(start), None);
        let due = composer.deadline(start).unwrap();
        composer.look("> a\n draft▮ here!", due);
        assert_eq!(composer.draft(due).as_deref(), Some("a draft here!"));
        assert_eq!(composer.deadline(due), None);
        composer.look("> ▮", due);
        assert_eq!((composer.draft(due), composer.deadline(due)), (None, None));
    }
}
