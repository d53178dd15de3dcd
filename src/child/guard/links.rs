//! The links in a screen's cells: which are kept, and how many. One of 2 kB in each cell of the history, each written
//! by a sequence of its own, would be 280 MB.

use std::collections::{HashMap, HashSet};

use alacritty_terminal::{Term, event::VoidListener, grid::Dimensions, index::Line, term::cell::Hyperlink};

use crate::child::picture::Link;

/// Those that were given to cells and may still be in some.
#[derive(Clone, Debug, Default)]
pub(in crate::child) struct Links {
    known: HashMap<Link, Hyperlink>,
    /// So many new ones are not kept before it is looked again for old ones that have gone.
    refuse: usize,
}

impl Links {
    /// A link as cells hold it, the same one for the same address; none if it may not be shown, or there are too many.
    pub(super) fn keep(&mut self, uri: &str, term: &Term<VoidListener>) -> Option<Hyperlink> {
        let link = Link::new(uri)?;
        if let Some(known) = self.known.get(&link) {
            return Some(known.clone());
        }
        if self.known.len() >= MAX {
            if self.refuse > 0 {
                self.refuse -= 1;
                return None;
            }
            self.forget_unused(term);
            if self.known.len() > MAX / 2 {
                // Each look at every cell is paid for by this many sequences.
                self.refuse = MAX / 2;
            }
            if self.known.len() >= MAX {
                return None;
            }
        }
        let kept = hyperlink(&link);
        self.known.insert(link, kept.clone());
        Some(kept)
    }

    fn forget_unused(&mut self, term: &Term<VoidListener>) {
        let grid = term.grid();
        let mut used = HashSet::new();
        for line in grid.topmost_line().0..=grid.bottommost_line().0 {
            let links = (&grid[Line(line)]).into_iter().filter_map(|cell| cell.hyperlink());
            used.extend(links.map(|link| link.uri().to_owned()));
        }
        self.known.retain(|link, _| used.contains(link.uri()));
    }
}

/// As a cell holds it. Its program's own id for it is not kept: nothing is told by it.
pub(in crate::child) fn hyperlink(link: &Link) -> Hyperlink {
    Hyperlink::new(Some(""), link.uri().to_owned())
}

/// Different ones at once, of a kilobyte at most.
const MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{child::screen::Screen, id::Size};

    fn links(screen: &Screen) -> HashSet<String> {
        let (sheet, _) = screen.sheet(0);
        let cells = sheet.rows().iter().flat_map(|row| row.cells());
        cells.filter_map(|cell| cell.style.link.as_ref().map(|link| link.uri().to_owned())).collect()
    }

    #[test]
    fn so_many_links_are_kept_and_those_that_have_gone_make_room() {
        let mut screen = Screen::new(Size { rows: 20, cols: 100 });
        let now = std::time::Instant::now();
        let put = |screen: &mut Screen, from: usize, to: usize| {
            for n in from..to {
                let _ = screen.feed(format!("\x1b]8;;http://{n}/\x07x\x1b]8;;\x07").as_bytes(), now);
            }
        };
        put(&mut screen, 0, 1500);
        assert_eq!(links(&screen).len(), MAX);
        let _ = screen.feed(b"\x1b[2J\x1b[3J\x1b[H", now);
        assert_eq!(links(&screen).len(), 0);
        put(&mut screen, 1500, 2700);
        assert!(links(&screen).len() >= MAX / 2, "{}", links(&screen).len());
    }

    #[test]
    fn only_what_may_be_shown_is_kept() {
        let mut screen = Screen::new(Size { rows: 2, cols: 20 });
        let bytes = b"\x1b]8;;javascript:x\x07a\x1b]8;id=1;https://b/\x07b\x1b]8;;\x07c";
        let _ = screen.feed(bytes, std::time::Instant::now());
        assert_eq!(links(&screen), HashSet::from(["https://b/".to_owned()]));
    }
}
