//! A preset's patterns, compiled once for all children that have them: what a pattern is, and what it has learnt while it
//! was searched for, is more than all else that is kept of an idle child.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
};

use regex::Regex;

static KNOWN: LazyLock<Mutex<HashMap<String, Weak<Regex>>>> = LazyLock::new(Mutex::default);

/// The pattern, if it compiles. Kept for as long as anybody has it.
pub(super) fn pattern(text: &str) -> Option<Arc<Regex>> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pattern) = known.get(text).and_then(Weak::upgrade) {
        return Some(pattern);
    }
    // Searched by many threads, each of which leaves what it needs for that to the next.
    let pattern = Arc::new(Regex::new(text).ok()?);
    known.retain(|_, pattern| pattern.strong_count() > 0);
    known.insert(text.to_owned(), Arc::downgrade(&pattern));
    Some(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_the_same_pattern_shares_it() {
        let (one, two) = (pattern("shared [0-9]").unwrap(), pattern("shared [0-9]").unwrap());
        assert!(Arc::ptr_eq(&one, &two));
        assert!(!Arc::ptr_eq(&one, &pattern("another").unwrap()));
        let last = Arc::downgrade(&one);
        drop((one, two));
        assert!(last.upgrade().is_none(), "nobody has it, and it is kept");
        assert!(pattern("shared [0-9]").unwrap().is_match("shared 1"));
        assert!(pattern("(").is_none());
    }
}
