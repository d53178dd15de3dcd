//! The two grids of `Term`, of which it shows one at a time. Knows no sequences.

use std::mem;

use alacritty_terminal::{
    Term,
    event::VoidListener,
    grid::{Dimensions, Grid},
    index::Line,
    term::{TermMode, cell::Cell},
    vte::ansi::{Handler, KeyboardModes, KeyboardModesApplyBehavior},
};

/// Does something with the grid that is not shown. The only way to it is the way a program takes, which empties the
/// alternate screen and saves the primary's cursor. So of a hidden alternate screen only the saved cursor can be
/// looked at; the rest is overwritten anyway when a program goes there. And of a hidden primary the saved cursor is
/// the cursor, as it has been since the program left.
pub(super) fn behind<R>(term: &mut Term<VoidListener>, look: impl FnOnce(&mut Grid<Cell>) -> R) -> R {
    let keyboard = keyboard(term);
    let result;
    if term.mode().contains(TermMode::ALT_SCREEN) {
        let blank = Grid::new(term.screen_lines(), term.columns(), 0);
        let shown = mem::replace(term.grid_mut(), blank);
        term.swap_alt();
        result = look(term.grid_mut());
        term.swap_alt();
        *term.grid_mut() = shown;
    } else {
        let saved = term.grid().saved_cursor.clone();
        term.swap_alt();
        result = look(term.grid_mut());
        term.swap_alt();
        term.grid_mut().saved_cursor = saved;
    }
    set_keyboard(term, keyboard);
    result
}

/// To be called after each resize. `Term` erases a row only up to the last cell that was written, and holds those
/// beyond for blank and all of one colour, which they are not where it has lengthened a coloured row. This, and that
/// no resize takes a hidden primary's saved cursor from its cursor, leaves nothing in a grid that cannot be seen.
pub(super) fn forget_blanks(term: &mut Term<VoidListener>) {
    let touch = |grid: &mut Grid<Cell>| {
        for line in grid.topmost_line().0..=grid.bottommost_line().0 {
            let _ = &mut grid[Line(line)][..];
        }
    };
    touch(term.grid_mut());
    behind(term, touch);
}

/// The keyboard modes in force, which need not be the top of the stack.
pub(super) fn keyboard(term: &Term<VoidListener>) -> KeyboardModes {
    let flags = *term.mode() & TermMode::KITTY_KEYBOARD_PROTOCOL;
    KeyboardModes::from_bits_truncate((flags.bits() / TermMode::DISAMBIGUATE_ESC_CODES.bits()) as u8)
}

pub(super) fn set_keyboard(term: &mut Term<VoidListener>, modes: KeyboardModes) {
    Handler::set_keyboard_mode(term, modes, KeyboardModesApplyBehavior::Replace);
}
