//! Waiting for a line of output that matches a pattern, without losing one that came just before the question.

use regex::Regex;
use tokio::sync::oneshot;

use super::text::LineFeeder;
use crate::id::Offset;

/// A line that matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The line, cut to [`Found::MAX`] bytes.
    pub line: String,
}

impl Found {
    /// Enough to recognise the line by.
    pub const MAX: usize = 400;

    fn new(line: &str) -> Self {
        Found { line: line[..line.floor_char_boundary(Self::MAX)].to_owned() }
    }
}

/// A search that was begun.
#[derive(Debug)]
pub struct Finding {
    /// Where it began: searching from here again misses nothing.
    pub from: Offset,
    /// Answers once. Closed when the child's thread ended.
    pub found: oneshot::Receiver<Found>,
}

/// One search, in the child's thread.
pub(super) struct Finder {
    pattern: Regex,
    lines: LineFeeder,
    /// What was searched so far; behind the child's output while older bytes are fetched from the ring.
    searched: Offset,
    screen: bool,
    found: Option<oneshot::Sender<Found>>,
}

impl Finder {
    /// A search from `from`, or from now on and on the screen as it is.
    pub(super) fn new(pattern: Regex, from: Option<Offset>, end: Offset) -> (Self, Finding) {
        let (sender, found) = oneshot::channel();
        let searched = from.unwrap_or(end).min(end);
        let finder = Finder {
            pattern,
            lines: LineFeeder::new(),
            searched,
            screen: from.is_none(),
            found: Some(sender),
        };
        (finder, Finding { from: searched, found })
    }

    /// Whether it found its line, or nobody waits for it any more.
    pub(super) fn over(&self) -> bool {
        self.found.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    /// Where the next bytes for it begin.
    pub(super) fn searched(&self) -> Offset {
        self.searched
    }

    /// The child wrote `bytes` at `from`. Bytes it is not ready for, or has seen, are left out.
    pub(super) fn output(&mut self, from: Offset, bytes: &[u8]) {
        if from > self.searched || from + bytes.len() <= self.searched {
            return;
        }
        let new = &bytes[(self.searched - from) as usize..];
        self.searched = from + bytes.len();
        let mut hit = None;
        self.lines.push(new, |line| {
            if hit.is_none() && self.pattern.is_match(line) {
                hit = Some(Found::new(line));
            }
        });
        let partial = self.lines.partial();
        if hit.is_none() && !partial.is_empty() && self.pattern.is_match(&partial) {
            hit = Some(Found::new(&partial));
        }
        self.hit(hit);
    }

    /// The older bytes have left the ring: go on at `start`.
    pub(super) fn skip_to(&mut self, start: Offset) {
        self.searched = self.searched.max(start);
    }

    /// The screen, which a full-screen program paints in no order of lines.
    pub(super) fn screen(&mut self, screen: &str) {
        if self.screen {
            let hit = screen.lines().find(|line| self.pattern.is_match(line)).map(Found::new);
            self.hit(hit);
        }
    }

    fn hit(&mut self, hit: Option<Found>) {
        if let Some(found) = hit
            && let Some(sender) = self.found.take()
        {
            // A receiver that is gone has stopped waiting.
            let _ = sender.send(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finder(pattern: &str, from: Option<u64>, end: u64) -> (Finder, oneshot::Receiver<Found>) {
        let (finder, finding) = Finder::new(Regex::new(pattern).unwrap(), from.map(Offset), Offset(end));
        (finder, finding.found)
    }

    #[test]
    fn a_line_in_pieces_and_one_without_an_end_are_found() {
        let (mut finder, mut found) = finder("port [0-9]+ ready", None, 10);
        finder.output(Offset(10), b"\x1b[1mport 8");
        finder.output(Offset(20), b"080\x1b[0m re");
        assert!(found.try_recv().is_err());
        finder.output(Offset(30), b"ady");
        assert_eq!(found.try_recv().unwrap().line, "port 8080 ready");
        assert!(finder.over());
    }

    #[test]
    fn older_bytes_are_searched_first_and_none_twice() {
        let (mut finder, mut found) = finder("^b$", Some(2), 6);
        finder.output(Offset(6), b"later\n");
        assert_eq!(finder.searched(), Offset(2), "not before the older ones");
        finder.output(Offset(0), b"b\na\nb\n");
        assert_eq!(found.try_recv().unwrap().line, "b");
    }

    #[test]
    fn the_screen_counts_only_for_a_search_from_now_on() {
        let (mut now, mut found) = finder("hello", None, 0);
        now.screen("x\nsay hello\n");
        assert_eq!(found.try_recv().unwrap().line, "say hello");
        let (mut since, mut found) = finder("hello", Some(0), 0);
        since.screen("hello");
        assert!(found.try_recv().is_err());
    }

    #[test]
    fn a_search_nobody_waits_for_is_over() {
        let (finder, found) = finder("x", None, 0);
        assert!(!finder.over());
        drop(found);
        assert!(finder.over());
    }
}
