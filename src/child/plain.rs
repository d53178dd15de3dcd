//! Which characters of a child's output may be shown to a model or a person. Does not know where they come from.

/// The text without what must not be shown, cut after `max` characters.
pub(super) fn plain(text: &str, max: usize) -> String {
    text.chars().filter(|&c| is_plain(c)).take(max).collect()
}

/// The text of several lines without what must not be shown: of controls TAB and LF stay.
pub fn readable(text: &str) -> String {
    text.chars().filter(|&c| is_plain(c) || matches!(c, '\t' | '\n')).collect()
}

/// Would `plain` leave the text as it is?
pub(super) fn is_plain_text(text: &str, max: usize) -> bool {
    text.chars().all(is_plain) && text.chars().count() <= max
}

/// False for what a reader does not see but obeys: controls, line separators, marks that turn the direction of
/// text round ("Trojan Source"), and the tags and variation selectors that carry whole hidden sentences to a model.
pub(super) fn is_plain(c: char) -> bool {
    match c {
        ' '..='~' => true,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => false,
        '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}' => false,
        c => !c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_obeyed_but_not_seen_is_dropped() {
        assert_eq!(plain("a\u{1b}[31m\u{202e}b\u{9b}\t\n\u{e0041}c\u{2028}", 99), "a[31mbc");
        assert_eq!(
            plain("e\u{301} 漢 👩\u{200d}💻 \u{fe0f}\u{f8ff}", 99),
            "e\u{301} 漢 👩\u{200d}💻 \u{fe0f}\u{f8ff}"
        );
        assert_eq!(plain("abc", 2), "ab");
        assert_eq!(readable("a\tb\r\nc\u{1b}[2J\u{202e}"), "a\tb\nc[2J");
        assert!(is_plain_text("ab", 2) && !is_plain_text("abc", 2) && !is_plain_text("\n", 2));
    }
}
