//! What became of a message, judged by what its receipt said and what the model heard. Plain values.

/// A message, and what the model is to hear of it.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// In each line of it, and in nothing else that is ever sent.
    pub(crate) mark: String,
    /// As it was given to compere.
    pub(crate) text: String,
    /// As it is to arrive: without control characters. What is blank around it are the shields and the program's own
    /// affair.
    pub(crate) wanted: String,
}

impl Sent {
    pub(crate) fn new(mark: &str, text: String) -> Sent {
        let wanted = text.replace("\r\n", "\n").replace('\r', "\n");
        let wanted = wanted.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
        Sent { mark: mark.to_owned(), text, wanted }
    }

    /// Whether this is that, whole.
    pub(crate) fn is(&self, heard: &str) -> bool {
        bare(heard) == bare(&self.wanted)
    }
}

/// Without spaces around it, nor the blank that shields a command where a space would not (U+2800).
fn bare(text: &str) -> &str {
    text.trim_matches([' ', '\u{2800}'])
}

/// What a receipt, or an error in its place, said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// That the program was seen to take it: `submitted`.
    Seen,
    /// That the terminal took it: `typed`.
    Typed(String),
    /// That its turn comes: `queued` or `held`.
    Waits(String),
    /// That nothing was typed.
    Refused(String),
    /// That nobody knows.
    Unknown(String),
}

impl Told {
    /// A receipt's words, or those of an error that a tool answered: then nothing was done.
    pub(crate) fn of(receipt: &Result<serde_json::Value, String>) -> Told {
        let receipt = match receipt {
            Ok(receipt) => receipt,
            Err(why) => return Told::Refused(why.clone()),
        };
        let status = receipt["status"].as_str().unwrap_or_default();
        let words = match receipt["reason"].as_str() {
            Some(reason) => format!("{status}: {reason}"),
            None => status.to_owned(),
        };
        match status {
            "submitted" => Told::Seen,
            "typed" => Told::Typed(words),
            "queued" | "held" => Told::Waits(words),
            "refused" => Told::Refused(words),
            _ => Told::Unknown(words),
        }
    }
}

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The exact text, once; and whether a receipt said so.
    Arrived { seen: bool },
    /// It did not arrive, and the receipt said so.
    Refused(String),
    /// The receipt said more than happened.
    Lied(String),
    /// Anything else: lost, cut, doubled, mixed, or something was done that was not asked for.
    Wrong(String),
}

impl Verdict {
    /// All is as it was promised.
    pub(crate) const GOOD: Verdict = Verdict::Arrived { seen: true };

    /// The worse of two.
    pub(crate) fn and(self, other: Verdict) -> Verdict {
        let rank = |verdict: &Verdict| match verdict {
            Verdict::Arrived { seen: true } => 0,
            Verdict::Arrived { seen: false } => 1,
            Verdict::Refused(_) => 2,
            Verdict::Wrong(_) => 3,
            Verdict::Lied(_) => 4,
        };
        if rank(&other) > rank(&self) { other } else { self }
    }

    /// Whether it is what was promised.
    pub(crate) fn holds(&self) -> bool {
        matches!(self, Verdict::Arrived { .. } | Verdict::Refused(_))
    }
}

/// Judges what was told first and in the end, given all texts with its mark that the model has heard.
pub(crate) fn judge(sent: &Sent, first: &Told, last: &Told, heard: &[String]) -> Verdict {
    let (first, last) = (once(sent, first, heard), once(sent, last, heard));
    // What was not seen at first may be seen later.
    if last == (Verdict::Arrived { seen: true }) && first.holds() { last } else { first.and(last) }
}

fn once(sent: &Sent, told: &Told, heard: &[String]) -> Verdict {
    let whole = heard.iter().filter(|text| sent.is(text)).count();
    match (told, heard.len(), whole) {
        (Told::Refused(words), 0, _) => Verdict::Refused(words.clone()),
        (Told::Refused(words), _, _) => Verdict::Lied(format!("it arrived, and the receipt said {words}")),
        (_, 1, 1) => Verdict::Arrived { seen: *told == Told::Seen },
        (Told::Seen, 0, _) => Verdict::Lied("it did not arrive, and the receipt said submitted".into()),
        (Told::Typed(words), 0, _) => {
            Verdict::Lied(format!("it did not arrive, and the receipt said {words}"))
        }
        (Told::Waits(words) | Told::Unknown(words), 0, _) => {
            Verdict::Wrong(format!("it did not arrive: {words}"))
        }
        (_, 1, _) => Verdict::Wrong(difference(&sent.wanted, &heard[0])),
        (_, times, 0) => Verdict::Wrong(format!("it came in {times} pieces, each of them another text")),
        (_, times, _) => Verdict::Wrong(format!("it came {times} times, {whole} of them whole")),
    }
}

/// Where two texts begin to differ.
fn difference(wanted: &str, heard: &str) -> String {
    let (wanted, heard) = (bare(wanted), bare(heard));
    if let Some(at) = heard.find(wanted) {
        let (before, after) = (cut(&heard[..at]), cut(&heard[at + wanted.len()..]));
        return format!("it came inside of another text: {before:?} before, {after:?} after");
    }
    let same = wanted.chars().zip(heard.chars()).take_while(|(left, right)| left == right).count();
    let from = |text: &str| cut(&text.chars().skip(same).collect::<String>());
    format!(
        "another text: {} characters of {}, from the {same}th on {:?} and not {:?}",
        heard.chars().count(),
        wanted.chars().count(),
        from(heard),
        from(wanted)
    )
}

/// A beginning that can be shown.
pub(crate) fn cut(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    if short.len() < text.len() { short + "…" } else { short }
}

/// The table test: `cargo test --test agents` runs it.
pub(crate) fn self_test() {
    let (typed, refused) = (Told::Typed("typed".into()), Told::Refused("refused".into()));
    let (waits, unknown) = (Told::Waits("queued".into()), Told::Unknown("unknown".into()));
    let seen = Told::Seen;
    let rows: [(&str, &Told, &Told, &[&str], &str); 18] = [
        ("a x", &typed, &seen, &["a x"], "seen"),
        ("a x", &typed, &typed, &["a x"], "arrived"),
        ("!a x", &typed, &typed, &[" !a x"], "arrived"),
        ("/a x", &waits, &seen, &["\u{2800}/a x"], "seen"),
        ("a\\", &seen, &seen, &["a\\ "], "seen"),
        ("a\u{1b}[201~b", &typed, &seen, &["a[201~b"], "seen"),
        ("a\r\nb", &waits, &waits, &["a\nb"], "arrived"),
        ("a", &typed, &typed, &[], "lied"),
        ("a", &typed, &seen, &[], "lied"),
        ("a", &waits, &waits, &[], "wrong"),
        ("a", &waits, &refused, &[], "wrong"),
        ("a", &refused, &refused, &[], "refused"),
        ("a", &refused, &refused, &["a"], "lied"),
        ("a", &seen, &seen, &["a", "a"], "wrong"),
        ("a b", &seen, &seen, &["a"], "wrong"),
        ("a", &typed, &typed, &["a\nb"], "wrong"),
        ("a", &unknown, &unknown, &["a"], "arrived"),
        ("a", &unknown, &seen, &["a"], "seen"),
    ];
    for (text, first, last, heard, wanted) in rows {
        let heard: Vec<String> = heard.iter().map(|text| (*text).to_owned()).collect();
        let word = match judge(&Sent::new("", text.into()), first, last, &heard) {
            Verdict::Arrived { seen: true } => "seen",
            Verdict::Arrived { seen: false } => "arrived",
            Verdict::Refused(_) => "refused",
            Verdict::Lied(_) => "lied",
            Verdict::Wrong(_) => "wrong",
        };
        assert_eq!(word, wanted, "{text:?} {first:?} {last:?} {heard:?}");
    }
}
