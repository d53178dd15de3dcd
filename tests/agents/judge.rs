//! What became of a message, judged by what its receipt said and what the model heard. Plain values.

/// A message, and what the model is to hear of it.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// In each line of it, and in nothing else that is ever sent.
    pub(crate) mark: String,
    /// As it was given to compere.
    pub(crate) text: String,
    /// As it is to arrive: without control characters. Spaces around it are the shields and the program's own affair.
    pub(crate) wanted: String,
}

impl Sent {
    pub(crate) fn new(mark: &str, text: String) -> Sent {
        let wanted = text.replace("\r\n", "\n").replace('\r', "\n");
        let wanted = wanted.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
        Sent { mark: mark.to_owned(), text, wanted }
    }

    fn is(&self, heard: &str) -> bool {
        heard.trim_matches(' ') == self.wanted.trim_matches(' ')
    }
}

/// What a receipt, or an error in its place, said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// That it is with the program: `typed` or `submitted`.
    Arrived(String),
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
            "typed" | "submitted" => Told::Arrived(words),
            "queued" | "held" => Told::Waits(words),
            "refused" => Told::Refused(words),
            _ => Told::Unknown(words),
        }
    }
}

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The exact text, once.
    Arrived,
    /// It did not arrive, and the receipt said so.
    Refused(String),
    /// The receipt said more than happened.
    Lied(String),
    /// Anything else: lost, cut, doubled, mixed, or something was done that was not asked for.
    Wrong(String),
}

impl Verdict {
    /// The worse of two.
    pub(crate) fn and(self, other: Verdict) -> Verdict {
        let rank = |verdict: &Verdict| match verdict {
            Verdict::Arrived => 0,
            Verdict::Refused(_) => 1,
            Verdict::Wrong(_) => 2,
            Verdict::Lied(_) => 3,
        };
        if rank(&other) > rank(&self) { other } else { self }
    }

    /// Whether it is what was promised.
    pub(crate) fn holds(&self) -> bool {
        matches!(self, Verdict::Arrived | Verdict::Refused(_))
    }
}

/// Judges, given all texts with its mark that the model has heard.
pub(crate) fn judge(sent: &Sent, told: &Told, heard: &[String]) -> Verdict {
    let whole = heard.iter().filter(|text| sent.is(text)).count();
    match (told, heard.len(), whole) {
        (Told::Refused(words), 0, _) => Verdict::Refused(words.clone()),
        (Told::Refused(words), _, _) => Verdict::Lied(format!("it arrived, and the receipt said {words}")),
        (_, 1, 1) => Verdict::Arrived,
        (Told::Arrived(words), 0, _) => {
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
    let (wanted, heard) = (wanted.trim_matches(' '), heard.trim_matches(' '));
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
    let arrived = Told::Arrived("typed".into());
    let refused = Told::Refused("refused".into());
    let waits = Told::Waits("queued".into());
    let rows: [(&str, &Told, &[&str], &str); 13] = [
        ("a x", &arrived, &["a x"], "arrived"),
        ("!a x", &arrived, &[" !a x"], "arrived"),
        ("a\\", &arrived, &["a\\ "], "arrived"),
        ("a\u{1b}[201~b", &arrived, &["a[201~b"], "arrived"),
        ("a\r\nb", &waits, &["a\nb"], "arrived"),
        ("a", &arrived, &[], "lied"),
        ("a", &waits, &[], "wrong"),
        ("a", &refused, &[], "refused"),
        ("a", &refused, &["a"], "lied"),
        ("a", &arrived, &["a", "a"], "wrong"),
        ("a b", &arrived, &["a"], "wrong"),
        ("a", &arrived, &["a\nb"], "wrong"),
        ("a", &Told::Unknown("unknown".into()), &["a"], "arrived"),
    ];
    for (text, told, heard, wanted) in rows {
        let heard: Vec<String> = heard.iter().map(|text| (*text).to_owned()).collect();
        let word = match judge(&Sent::new("", text.into()), told, &heard) {
            Verdict::Arrived => "arrived",
            Verdict::Refused(_) => "refused",
            Verdict::Lied(_) => "lied",
            Verdict::Wrong(_) => "wrong",
        };
        assert_eq!(word, wanted, "{text:?} {told:?} {heard:?}");
    }
    let wrong = Verdict::Wrong(String::new());
    assert_eq!(Verdict::Arrived.and(wrong.clone()), wrong);
    assert_eq!(wrong.clone().and(Verdict::Refused(String::new())), wrong);
}
