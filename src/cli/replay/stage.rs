//! What a person is shown of a recording: our emulator's cells, as many as there is room for, and a line of our own.
//! Composes; never passes on a byte of the recording.

use crate::{
    child::picture::{Pointer, Row, Sheet, Style},
    id::Size,
};

/// A screen within a terminal of this size, above a line that says how it goes.
pub(super) fn compose(screen: &Sheet, terminal: Size, line: &str) -> Sheet {
    let mut sheet = Sheet::new(terminal);
    let room = usize::from(terminal.rows).saturating_sub(1);
    // Of a screen that is too high, what is around the cursor, or else its end.
    let high = usize::from(screen.size().rows);
    let seen = screen.pointer.map_or(high, |at| usize::from(at.row) + 1);
    let first = seen.saturating_sub(room).min(high.saturating_sub(room));
    for (at, row) in screen.rows().iter().skip(first).take(room).enumerate() {
        sheet.set(at, row.part(0, terminal.cols.into()));
    }
    sheet.pointer = screen.pointer.and_then(|at| {
        let row = usize::from(at.row).checked_sub(first).filter(|row| *row < room)?;
        (at.col < terminal.cols).then_some(Pointer { row: row as u16, ..at })
    });
    let mut last = Row::new(terminal.cols.into());
    let inverse = Style::of(Style::INVERSE);
    let width = usize::from(terminal.cols);
    last.write(0, &" ".repeat(width), &inverse);
    last.write(0, &crate::cli::out::fit(line, width.saturating_sub(1)), &inverse);
    sheet.set(usize::from(terminal.rows).saturating_sub(1), last);
    sheet
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::child::screen::Screen;

    #[track_caller]
    fn check(
        size: (u16, u16),
        output: &str,
        terminal: (u16, u16),
        shown: &[&str],
        pointer: Option<(u16, u16)>,
    ) {
        let of = |(rows, cols)| Size { rows, cols };
        let mut screen = Screen::new(of(size));
        drop(screen.feed(output.as_bytes(), Instant::now()));
        let sheet = compose(&screen.sheet(0).0, of(terminal), "line");
        assert_eq!(sheet.text(), shown, "{output:?} in {terminal:?}");
        assert_eq!(sheet.pointer.map(|at| (at.row, at.col)), pointer, "{output:?} in {terminal:?}");
    }

    #[test]
    fn what_there_is_room_for_is_seen() {
        check((3, 8), "one\r\ntwo", (5, 10), &["one", "two", "", "", "line"], Some((1, 3)));
        check((3, 8), "one\r\ntwo\r\nthree", (3, 4), &["two", "thre", "li…"], None);
        check((3, 8), "one\r\ntwo\r\nthree\x1b[H", (3, 9), &["one", "two", "line"], Some((0, 0)));
        check((3, 8), "one\r\ntwo\r\nthree\x1b[?25l", (2, 9), &["three", "line"], None);
        // Half of a wide character is none.
        check((2, 8), "ab日c", (2, 3), &["ab", "l…"], None);
        check((2, 8), "ab", (1, 1), &[""], None);
    }
}
