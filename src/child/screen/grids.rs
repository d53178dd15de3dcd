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
    let mode = *term.mode();
    let result;
    if mode.contains(TermMode::ALT_SCREEN) {
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
    set_keyboard(term, mode);
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

/// Puts the keyboard modes in force that are among these, whatever is on the stack.
pub(super) fn set_keyboard(term: &mut Term<VoidListener>, mode: TermMode) {
    let flags = mode & TermMode::KITTY_KEYBOARD_PROTOCOL;
    let flags = flags.bits() / TermMode::DISAMBIGUATE_ESC_CODES.bits();
    let modes = KeyboardModes::from_bits_truncate(flags as u8);
    Handler::set_keyboard_mode(term, modes, KeyboardModesApplyBehavior::Replace);
}
