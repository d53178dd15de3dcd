//! Where everything is, in a terminal of any size. Plain numbers.

use ratatui::layout::Rect;

/// The parts of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Areas {
    /// How many there are.
    pub(super) head: Rect,
    /// The table, its head line included.
    pub(super) table: Rect,
    /// The chosen one's screen, with a line above it that says whose; of no height where there is no room.
    pub(super) preview: Rect,
    /// Keys, a notice, or a line that is typed.
    pub(super) foot: Rect,
}

/// Wide enough for the table and a screen side by side.
const WIDE: u16 = 140;

/// The parts of a screen of so many columns and rows.
pub(super) fn areas((cols, rows): (u16, u16)) -> Areas {
    let head = Rect::new(0, 0, cols, rows.min(1));
    let foot = Rect::new(0, rows.saturating_sub(1), cols, u16::from(rows > 1));
    let middle = rows.saturating_sub(2);
    if cols >= WIDE {
        let wide = cols / 20 * 11;
        let table = Rect::new(0, 1, wide, middle);
        // A blank column between the two.
        let preview = Rect::new(wide + 1, 1, cols - wide - 1, middle);
        return Areas { head, table, preview, foot };
    }
    // A screen of three lines tells little; then the table has all.
    let below = if middle < 9 { 0 } else { (middle * 11 / 20).max(4) };
    let table = Rect::new(0, rows.min(1), cols, middle - below);
    let preview = Rect::new(0, rows.min(1) + middle - below, cols, below);
    Areas { head, table, preview, foot }
}

/// A box in the middle, of at most this size.
pub(super) fn middle((cols, rows): (u16, u16), wide: u16, high: u16) -> Rect {
    let (wide, high) = (wide.min(cols), high.min(rows));
    Rect::new((cols - wide) / 2, (rows - high) / 2, wide, high)
}

/// The box in which reports are read.
pub(super) fn inbox(size: (u16, u16)) -> Rect {
    middle(size, 110, size.1.saturating_sub(2).max(6))
}

/// How many reports are listed at once in there.
pub(super) fn inbox_page(size: (u16, u16)) -> usize {
    usize::from(inbox(size).height.saturating_sub(2) / 2).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_cover_the_screen_and_nothing_twice() {
        for cols in [1, 20, 40, 80, 139, 140, 160, 400] {
            for rows in 0..80 {
                let Areas { head, table, preview, foot } = areas((cols, rows));
                for (one, other) in [(head, table), (table, preview), (preview, foot), (head, foot)] {
                    assert!(one.intersection(other).is_empty(), "{cols}x{rows}: {one} {other}");
                }
                let covered = head.height + foot.height + table.height;
                let below = if preview.x == 0 { preview.height } else { 0 };
                assert_eq!(covered + below, rows, "{cols}x{rows}");
                assert!(preview.right() <= cols && table.right() <= cols);
            }
        }
    }

    #[test]
    fn a_box_is_never_larger_than_the_screen() {
        for size in [(0, 0), (1, 1), (40, 12), (200, 60)] {
            let all = Rect::new(0, 0, size.0, size.1);
            assert!(all.contains(middle(size, 60, 20).as_position()) || all.is_empty());
            assert_eq!(all.intersection(inbox(size)), inbox(size));
            assert!(inbox_page(size) > 0);
        }
    }
}
