//! What the guard does with each thing that vte has understood: passes it on, bounds it, mends it or answers it.

use alacritty_terminal::{
    grid::Dimensions,
    index::Line,
    term::TermMode,
    vte::ansi::{
        Attr, CharsetIndex, ClearMode, CursorShape, CursorStyle, Handler, Hyperlink, KeyboardModes,
        KeyboardModesApplyBehavior, LineClearMode, Mode, ModifyOtherKeys, NamedPrivateMode, PrivateMode, Rgb,
        ScpCharPath, ScpUpdateMode, StandardCharset, TabulationClearMode,
    },
};

use super::{Guard, KEYBOARDS_MAX, TITLE_MAX, TITLES_MAX};
use crate::child::{ask, plain::plain};

/// Methods that are Term's own affair. `draws`: what can be seen may change.
macro_rules! pass_on {
    (draws: $($name:ident($($arg:ident: $type:ty),*);)*) => {
        $(#[inline] fn $name(&mut self, $($arg: $type),*) {
            self.extra.touched = true;
            Handler::$name(&mut *self.term, $($arg),*);
        })*
    };
    (keeps: $($name:ident($($arg:ident: $type:ty),*);)*) => {
        $(#[inline] fn $name(&mut self, $($arg: $type),*) {
            Handler::$name(&mut *self.term, $($arg),*);
        })*
    };
}

impl Handler for Guard<'_> {
    pass_on! { draws:
        goto(row: i32, column: usize);
        goto_line(row: i32);
        move_forward(columns: usize);
        move_backward(columns: usize);
        move_forward_tabs(count: u16);
        backspace();
        carriage_return();
        newline();
        substitute();
        delete_chars(count: usize);
        set_mode(mode: Mode);
        unset_mode(mode: Mode);
        set_cursor_style(style: Option<CursorStyle>);
        set_cursor_shape(shape: CursorShape);
    }

    pass_on! { keeps:
        save_cursor_position();
        set_tabs(interval: u16);
        terminal_attribute(attr: Attr);
        set_keypad_application_mode();
        unset_keypad_application_mode();
        configure_charset(index: CharsetIndex, charset: StandardCharset);
        set_color(index: usize, color: Rgb);
        reset_color(index: usize);
        set_keyboard_mode(mode: KeyboardModes, apply: KeyboardModesApplyBehavior);
        set_modify_other_keys(mode: ModifyOtherKeys);
        report_modify_other_keys();
        set_scp(path: ScpCharPath, update: ScpUpdateMode);
    }

    /// Marks on one cell are bounded.
    #[inline]
    fn input(&mut self, c: char) {
        self.extra.touched = true;
        self.extra.last = Some(c);
        #[cfg(test)]
        assert_ne!(c, super::tests::BOOM, "as a bug in Term would");
        if c >= FIRST_MARK && self.one_mark_too_many(c) {
            return;
        }
        self.term.input(c);
    }

    /// xterm: LF, VT, FF, IND end a pending wrap; else the next character wraps from the new row once more.
    #[inline]
    fn linefeed(&mut self) {
        self.extra.touched = true;
        self.term.linefeed();
        self.forget_wrap();
    }

    fn reverse_index(&mut self) {
        self.extra.touched = true;
        self.term.reverse_index();
        self.forget_wrap();
    }

    /// xterm: a tab at the right edge goes nowhere; Term wraps.
    fn put_tab(&mut self, count: u16) {
        self.extra.touched = true;
        if !self.term.grid().cursor.input_needs_wrap {
            self.term.put_tab(count);
        }
    }

    /// xterm: with no stop to the left, CBT goes to the first column. Term searches the whole row again for each of
    /// up to 65,535 counts (0.004 MB/s).
    fn move_backward_tabs(&mut self, count: u16) {
        self.extra.touched = true;
        self.forget_wrap();
        for _ in 0..count {
            let before = self.column();
            self.term.move_backward_tabs(1);
            if self.column() == before {
                return self.term.carriage_return();
            }
        }
    }

    fn insert_blank(&mut self, count: usize) {
        self.extra.touched = true;
        self.term.insert_blank(count);
        self.forget_wrap();
    }

    /// xterm: erasing to the right ends a pending wrap, as ECH, EL and ED.
    fn erase_chars(&mut self, count: usize) {
        self.extra.touched = true;
        self.forget_wrap();
        self.term.erase_chars(count);
    }

    /// xterm: EL ends a pending wrap and erases the last column too; Term then erases nothing.
    fn clear_line(&mut self, mode: LineClearMode) {
        self.extra.touched = true;
        self.forget_wrap();
        self.term.clear_line(mode);
    }

    fn scroll_up(&mut self, rows: usize) {
        self.erase_rows(rows, |term| term.scroll_up(rows));
    }

    fn scroll_down(&mut self, rows: usize) {
        self.erase_rows(rows, |term| term.scroll_down(rows));
    }

    /// xterm: IL and DL go to the first column; outside the margins they do nothing.
    fn insert_blank_lines(&mut self, count: usize) {
        self.extra.touched = true;
        if self.inside_margins() {
            self.erase_rows(count, |term| term.insert_blank_lines(count));
            self.term.carriage_return();
        }
    }

    fn delete_lines(&mut self, count: usize) {
        self.extra.touched = true;
        if self.inside_margins() {
            self.erase_rows(count, |term| term.delete_lines(count));
            self.term.carriage_return();
        }
    }

    /// Term clears what is above only from the third row on: on the second, the first survives ED 1. For ED 2 it looks
    /// at every cell, to move what is there into the history (0.4 MB/s); who does that all the time gets the same
    /// screen without the history.
    fn clear_screen(&mut self, mode: ClearMode) {
        self.extra.touched = true;
        let rows = self.term.screen_lines();
        let above = usize::try_from(self.row()).unwrap_or(0);
        match mode {
            ClearMode::Above if above == 1 => self.term.grid_mut().reset_region(..Line(1)),
            ClearMode::Below => self.forget_wrap(),
            ClearMode::All if !self.owe_screen() => {
                return self.erase_rows(rows, |term| term.grid_mut().reset_region(..));
            }
            _ => {}
        }
        let erased = match mode {
            ClearMode::Above => above + 1,
            ClearMode::Below => rows - above,
            ClearMode::All | ClearMode::Saved => rows,
        };
        self.erase_rows(erased, |term| term.clear_screen(mode));
    }

    fn move_up(&mut self, rows: usize) {
        self.goto_absolute(self.row_above(rows), self.column());
    }

    fn move_down(&mut self, rows: usize) {
        self.goto_absolute(self.row_below(rows), self.column());
    }

    fn move_up_and_cr(&mut self, rows: usize) {
        self.goto_absolute(self.row_above(rows), 0);
    }

    fn move_down_and_cr(&mut self, rows: usize) {
        self.goto_absolute(self.row_below(rows), 0);
    }

    fn goto_col(&mut self, column: usize) {
        self.goto_absolute(self.row(), column);
    }

    fn restore_cursor_position(&mut self) {
        self.extra.touched = true;
        self.term.restore_cursor_position();
        self.forget_wrap();
    }

    /// xterm: DECALN ends margins and goes home. It fills a screen for three bytes, so it must be paid for.
    fn decaln(&mut self) {
        self.extra.touched = true;
        if self.owe_screen() {
            self.set_scrolling_region(1, None);
            self.goto_absolute(0, 0);
            self.term.decaln();
        }
    }

    /// xterm: a region whose top is below the screen is none. Term makes it an empty one.
    fn set_scrolling_region(&mut self, top: usize, bottom: Option<usize>) {
        self.extra.touched = true;
        let rows = self.term.screen_lines();
        let bottom = bottom.map_or(rows, |bottom| bottom.min(rows));
        if top < bottom {
            let whole = top == 1 && bottom == rows;
            self.extra.margins = (!whole).then_some((top as i32 - 1, bottom as i32 - 1));
            self.term.set_scrolling_region(top, Some(bottom));
        }
    }

    /// ?47, ?1047 and ?1048, which Term ignores. Unlike ?1049, leaving by ?47 keeps the cursor where it is, and
    /// neither way saves a cursor; Term's swap overwrites what DECSC has saved, so it is kept aside.
    fn set_private_mode(&mut self, mode: PrivateMode) {
        self.extra.touched = true;
        match mode {
            PrivateMode::Unknown(47 | 1047) => {
                if !self.mode(TermMode::ALT_SCREEN) {
                    self.extra.saved_primary = Some(self.term.grid().saved_cursor.clone());
                    self.erase_rows(usize::MAX, |term| term.swap_alt());
                }
            }
            PrivateMode::Unknown(1048) => self.term.save_cursor_position(),
            PrivateMode::Named(NamedPrivateMode::ColumnMode) => self.change_columns(),
            PrivateMode::Named(NamedPrivateMode::SwapScreenAndSetRestoreCursor) => {
                self.erase_rows(usize::MAX, |term| term.set_private_mode(mode));
            }
            mode => self.term.set_private_mode(mode),
        }
    }

    fn unset_private_mode(&mut self, mode: PrivateMode) {
        self.extra.touched = true;
        match mode {
            PrivateMode::Unknown(47 | 1047) => {
                if self.mode(TermMode::ALT_SCREEN) {
                    let cursor = self.term.grid().cursor.clone();
                    self.term.swap_alt();
                    self.term.grid_mut().cursor = cursor;
                    self.restore_saved_primary();
                }
            }
            PrivateMode::Unknown(1048) => self.restore_cursor_position(),
            // xterm: DECOM goes home also when it is reset.
            PrivateMode::Named(NamedPrivateMode::Origin) => {
                self.term.unset_private_mode(mode);
                self.term.goto(0, 0);
            }
            PrivateMode::Named(NamedPrivateMode::SwapScreenAndSetRestoreCursor) => {
                self.extra.saved_primary = None;
                self.term.unset_private_mode(mode);
            }
            PrivateMode::Named(NamedPrivateMode::ColumnMode) => self.change_columns(),
            mode => self.term.unset_private_mode(mode),
        }
    }

    fn reset_state(&mut self) {
        *self.extra = self.extra.renewed();
        self.extra.title = None;
        self.term.reset_state();
    }

    /// A full stack loses its top and not its bottom: the mode now is right, and only that can be done through Term.
    fn push_keyboard_mode(&mut self, mode: KeyboardModes) {
        if self.keyboards().len() == KEYBOARDS_MAX {
            self.pop_keyboard_modes(1);
        }
        self.keyboards().push(mode.bits());
        self.term.push_keyboard_mode(mode);
    }

    fn pop_keyboard_modes(&mut self, count: u16) {
        let stack = self.keyboards();
        stack.truncate(stack.len().saturating_sub(count.into()));
        self.term.pop_keyboard_modes(count);
    }

    fn set_horizontal_tabstop(&mut self) {
        let column = self.column();
        self.tabs()[column] = true;
        self.term.set_horizontal_tabstop();
    }

    fn clear_tabs(&mut self, mode: TabulationClearMode) {
        let column = self.column();
        match mode {
            TabulationClearMode::Current => self.tabs()[column] = false,
            TabulationClearMode::All => self.tabs().fill(false),
        }
        self.term.clear_tabs(mode);
    }

    fn set_active_charset(&mut self, index: CharsetIndex) {
        self.extra.charset = index as u8;
        self.term.set_active_charset(index);
    }

    /// Titles are kept here and not in Term: no control character, bounded length, few saved.
    fn set_title(&mut self, title: Option<String>) {
        self.extra.touched = true;
        self.extra.title = title.map(|title| plain(&title, TITLE_MAX));
    }

    fn push_title(&mut self) {
        if self.extra.titles.len() < TITLES_MAX {
            self.extra.titles.push(self.extra.title.clone());
        }
    }

    fn pop_title(&mut self) {
        self.extra.touched = true;
        if let Some(title) = self.extra.titles.pop() {
            self.extra.title = title;
        }
    }

    fn bell(&mut self) {
        self.extra.touched = true;
        self.extra.bells += 1;
    }

    /// Few, and only such as may be shown.
    fn set_hyperlink(&mut self, link: Option<Hyperlink>) {
        let kept = link.and_then(|link| self.extra.links.keep(&link.uri, self.term));
        self.term.grid_mut().cursor.template.set_hyperlink(kept);
    }

    /// The clipboard is a person's.
    fn clipboard_store(&mut self, _: u8, _: &[u8]) {}

    fn clipboard_load(&mut self, _: u8, _: &str) {}

    fn identify_terminal(&mut self, intermediate: Option<char>) {
        match intermediate {
            None => self.extra.answer(ask::PRIMARY_ATTRIBUTES),
            Some('>') => self.extra.answer(ask::SECONDARY_ATTRIBUTES),
            Some(_) => {}
        }
    }

    fn device_status(&mut self, what: usize) {
        match what {
            5 => self.extra.answer("\x1b[0n"),
            6 => {
                let (row, column) = (self.reported_row(), self.column() + 1);
                self.extra.answer(&format!("\x1b[{row};{column}R"));
            }
            _ => {}
        }
    }

    fn report_mode(&mut self, mode: Mode) {
        let state = ask::mode_state(self.term, mode);
        self.extra.answer(&format!("\x1b[{};{state}$y", mode.raw()));
    }

    fn report_private_mode(&mut self, mode: PrivateMode) {
        let state = ask::private_mode_state(self.term, mode.raw());
        self.extra.answer(&format!("\x1b[?{};{state}$y", mode.raw()));
    }

    /// kitty: the flags in force. Term tells the top of its stack, which `CSI = u` does not change there.
    fn report_keyboard_mode(&mut self) {
        let flags = (*self.term.mode() & TermMode::KITTY_KEYBOARD_PROTOCOL).bits()
            / TermMode::DISAMBIGUATE_ESC_CODES.bits();
        self.extra.answer(&format!("\x1b[?{flags}u"));
    }

    fn dynamic_color_sequence(&mut self, prefix: String, index: usize, terminator: &str) {
        let Rgb { r, g, b } = self.term.colors()[index].unwrap_or_else(|| ask::palette(index));
        self.extra
            .answer(&format!("\x1b]{prefix};rgb:{r:02x}{r:02x}/{g:02x}{g:02x}/{b:02x}{b:02x}{terminator}"));
    }

    fn text_area_size_pixels(&mut self) {
        let (height, width) = (self.term.screen_lines() * ask::CELL.0, self.term.columns() * ask::CELL.1);
        self.extra.answer(&format!("\x1b[4;{height};{width}t"));
    }

    fn text_area_size_chars(&mut self) {
        self.extra.answer(&format!("\x1b[8;{};{}t", self.term.screen_lines(), self.term.columns()));
    }
}

/// No character below has width 0.
pub(super) const FIRST_MARK: char = '\u{ad}';
