//! What is typed into a program: whatever an agent says, no byte of it acts as a key or ends its own paste.
#![no_main]

use compere::child::{
    rules::Typing,
    typing::{MAX_CANONICAL_LINE, MAX_KEYS, MAX_MESSAGE, Mode, TypingError, clean, enter_delay, keys, paste},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [flags, repeat, rest @ ..] = data else { return };
    let rules = Typing {
        enter_after_ms: (flags & 4 != 0).then(|| u32::from(*repeat) << (flags >> 3)),
        shield_commands: flags & 1 != 0,
        shield: (flags & 8 != 0).then(|| "\u{2800}".to_owned()),
        shield_backslash: flags & 2 != 0,
        shield_mention: flags & 16 != 0,
        ..Typing::default()
    };
    let text = String::from_utf8_lossy(rest);
    message(&text.repeat(1 + usize::from(repeat % 16)), &rules);
    pressed(&text);
});

fn message(text: &str, rules: &Typing) {
    let cleaned = match clean(text, rules) {
        Ok(cleaned) => cleaned.text,
        Err(TypingError::Empty) => return assert!(text.chars().all(|c| c.is_whitespace() || c.is_control())),
        Err(TypingError::TooLong { bytes }) => {
            return assert!(bytes > MAX_MESSAGE && text.len() + 5 >= bytes);
        }
        Err(error) => panic!("{error}"),
    };
    assert!(cleaned.len() <= MAX_MESSAGE);
    assert!(!cleaned.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
    assert!(!(rules.shield_commands && cleaned.starts_with(['/', '!'])));
    assert!(!(rules.shield_backslash && cleaned.ends_with('\\')));
    let again = clean(&cleaned, rules).unwrap();
    assert_eq!((&again.text, again.dropped), (&cleaned, 0));
    // Nothing is lost but controls, and nothing comes but shields.
    let shown = |text: &str| {
        text.chars().filter(|c| !c.is_control() && !matches!(c, ' ' | '\u{2800}')).collect::<String>()
    };
    assert_eq!(shown(&cleaned), shown(text));

    let returned = cleaned.replace('\n', "\r");
    for canonical in [false, true] {
        let bytes = paste(&cleaned, Mode { bracketed: true, canonical }).unwrap();
        let body = bytes.strip_prefix(b"\x1b[200~").and_then(|rest| rest.strip_suffix(b"\x1b[201~")).unwrap();
        assert_eq!(body, returned.as_bytes());
        assert!(!body.contains(&0x1b));
        enter_delay(bytes.len(), rules, canonical);
    }
    assert_eq!(paste(&cleaned, Mode::default()).unwrap(), returned.as_bytes());
    let longest = cleaned.split('\n').map(|line| line.len() + 1).max().unwrap_or(0);
    match paste(&cleaned, Mode { bracketed: false, canonical: true }) {
        Ok(bytes) => assert!(bytes == cleaned.as_bytes() && longest <= MAX_CANONICAL_LINE),
        Err(TypingError::LineTooLong { line, bytes }) => {
            assert_eq!(cleaned.split('\n').nth(line - 1).map(|line| line.len() + 1), Some(bytes));
            assert!(bytes > MAX_CANONICAL_LINE && bytes <= longest);
        }
        Err(error) => panic!("{error}"),
    }
}

/// The words of a text as the names of keys.
fn pressed(text: &str) {
    let names: Vec<String> = text.split_ascii_whitespace().map(String::from).collect();
    for app_cursor in [false, true] {
        let Ok(pressed) = keys(&names, app_cursor) else { continue };
        assert!(pressed.len() == names.len() && names.len() <= MAX_KEYS);
        for (name, bytes) in names.iter().zip(pressed) {
            let one = name.chars().count() == 1;
            assert!(if one { bytes == name.as_bytes() } else { (1..16).contains(&bytes.len()) }, "{name}");
        }
    }
}
