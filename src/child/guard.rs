//! What stands between the parser and the emulator: everything a program could do to grow, slow or crash it is
//! bounded here. Passes all else on unchanged.

use alacritty_terminal::{
    Term,
    event::EventListener,
    grid::Dimensions,
    term::TermMode,
    vte::ansi::{
        Attr, CharsetIndex, ClearMode, CursorShape, CursorStyle, Handler, Hyperlink, KeyboardModes,
        KeyboardModesApplyBehavior, LineClearMode, Mode, ModifyOtherKeys, NamedPrivateMode, PrivateMode, Rgb,
        ScpCharPath, ScpUpdateMode, StandardCharset, TabulationClearMode, cursor_icon::CursorIcon,
    },
};
use unicode_width::UnicodeWidthChar;

/// What the emulator keeps to itself and the guard must know.
#[derive(Clone, Debug, Default)]
pub(super) struct Track {
    /// The window title.
    pub(super) title: Option<String>,
    /// The scrolling region, from 1, both ends included; nothing if it is the whole screen.
    pub(super) margins: Option<(usize, usize)>,
    /// Characters that may still be printed for the bytes at hand.
    pub(super) budget: usize,
    titles: usize,
    /// Keyboard modes pushed on the primary and on the alternate screen.
    keyboards: [usize; 2],
}

/// A handler before the emulator's own.
pub(super) struct Guard<'a, L: EventListener> {
    pub(super) term: &'a mut Term<L>,
    pub(super) track: &'a mut Track,
}

/// Marks that a cell may carry; real text has a few, and the emulator would take any number.
const MAX_MARKS: usize = 16;
/// A title is a line, not a store.
const MAX_TITLE: usize = 256;
/// Titles that may be pushed; the emulator would keep 4,096 of any length.
const MAX_TITLES: usize = 16;
/// Keyboard modes that may be pushed; the emulator panics after 4,096.
const MAX_KEYBOARDS: usize = 64;
/// What browsers bear.
const MAX_LINK: usize = 2048;

impl<L: EventListener> Guard<'_, L> {
    /// Whether the cell a mark would go to has its fill of them.
    fn full(&self) -> bool {
        let grid = self.term.grid();
        let cursor = &grid.cursor;
        let mut column = cursor.point.column;
        if !cursor.input_needs_wrap {
            if column.0 == 0 {
                return false;
            }
            column -= 1;
        }
        grid[cursor.point.line][column].zerowidth().is_some_and(|marks| marks.len() >= MAX_MARKS)
    }

    fn keyboards(&mut self) -> &mut usize {
        &mut self.track.keyboards[usize::from(self.term.mode().contains(TermMode::ALT_SCREEN))]
    }

    /// No tab stop is further away than this.
    fn tabs(&self, count: u16) -> u16 {
        count.min(self.term.columns() as u16)
    }
}

/// The handler's methods that need no guard.
macro_rules! pass {
    ($($name:ident($($arg:ident: $type:ty),*);)*) => {
        $(#[inline] fn $name(&mut self, $($arg: $type),*) { self.term.$name($($arg),*) })*
    };
}

impl<L: EventListener> Handler for Guard<'_, L> {
    /// REP repeats a character 65,535 times for eight bytes: printing stops at the budget.
    #[inline]
    fn input(&mut self, c: char) {
        if self.track.budget == 0 {
            return;
        }
        self.track.budget -= 1;
        if c >= '\u{300}' && c.width() == Some(0) && self.full() {
            return;
        }
        self.term.input(c);
    }

    fn set_title(&mut self, title: Option<String>) {
        let plain = |title: String| {
            title.chars().filter(|c| !super::text::hidden(*c)).take(MAX_TITLE).collect::<String>()
        };
        self.track.title = title.map(plain).filter(|title| !title.is_empty());
        self.term.set_title(self.track.title.clone());
    }

    fn push_title(&mut self) {
        if self.track.titles < MAX_TITLES {
            self.track.titles += 1;
            self.term.push_title();
        }
    }

    fn pop_title(&mut self) {
        self.track.titles = self.track.titles.saturating_sub(1);
        self.term.pop_title();
    }

    fn push_keyboard_mode(&mut self, mode: KeyboardModes) {
        if *self.keyboards() < MAX_KEYBOARDS {
            *self.keyboards() += 1;
            self.term.push_keyboard_mode(mode);
        }
    }

    fn pop_keyboard_modes(&mut self, count: u16) {
        let keyboards = self.keyboards();
        *keyboards = keyboards.saturating_sub(count.into());
        self.term.pop_keyboard_modes(count);
    }

    /// Without tab stops each step walks the whole line.
    fn move_backward_tabs(&mut self, count: u16) {
        let count = self.tabs(count).min(128);
        self.term.move_backward_tabs(count);
    }

    fn move_forward_tabs(&mut self, count: u16) {
        let count = self.tabs(count);
        self.term.move_forward_tabs(count);
    }

    fn put_tab(&mut self, count: u16) {
        let count = self.tabs(count);
        self.term.put_tab(count);
    }

    fn set_hyperlink(&mut self, link: Option<Hyperlink>) {
        let length = |link: &Hyperlink| link.uri.len() + link.id.as_ref().map_or(0, String::len);
        self.term.set_hyperlink(link.filter(|link| length(link) <= MAX_LINK));
    }

    fn set_scrolling_region(&mut self, top: usize, bottom: Option<usize>) {
        let lines = self.term.screen_lines();
        let end = bottom.unwrap_or(lines).min(lines);
        if top < end {
            self.track.margins = Some((top.max(1), end)).filter(|margins| *margins != (1, lines));
        }
        self.term.set_scrolling_region(top, bottom);
    }

    fn reset_state(&mut self) {
        *self.track = Track { budget: self.track.budget, ..Track::default() };
        self.term.reset_state();
    }

    /// Nothing of a child's reaches anyone's clipboard, or comes from it.
    fn clipboard_store(&mut self, _: u8, _: &[u8]) {}

    fn clipboard_load(&mut self, _: u8, _: &str) {}

    /// 132 columns: the emulator ignores it, and whoever sets the size is not the program.
    fn set_private_mode(&mut self, mode: PrivateMode) {
        if mode != PrivateMode::Named(NamedPrivateMode::ColumnMode) {
            self.term.set_private_mode(mode);
        }
    }

    fn unset_private_mode(&mut self, mode: PrivateMode) {
        if mode != PrivateMode::Named(NamedPrivateMode::ColumnMode) {
            self.term.unset_private_mode(mode);
        }
    }

    pass! {
        set_cursor_style(style: Option<CursorStyle>);
        set_cursor_shape(shape: CursorShape);
        goto(line: i32, column: usize);
        goto_line(line: i32);
        goto_col(column: usize);
        insert_blank(count: usize);
        move_up(count: usize);
        move_down(count: usize);
        identify_terminal(intermediate: Option<char>);
        device_status(what: usize);
        move_forward(count: usize);
        move_backward(count: usize);
        move_down_and_cr(count: usize);
        move_up_and_cr(count: usize);
        backspace();
        carriage_return();
        linefeed();
        bell();
        substitute();
        newline();
        set_horizontal_tabstop();
        scroll_up(count: usize);
        scroll_down(count: usize);
        insert_blank_lines(count: usize);
        delete_lines(count: usize);
        erase_chars(count: usize);
        delete_chars(count: usize);
        save_cursor_position();
        restore_cursor_position();
        clear_line(mode: LineClearMode);
        clear_screen(mode: ClearMode);
        clear_tabs(mode: TabulationClearMode);
        set_tabs(interval: u16);
        reverse_index();
        terminal_attribute(attribute: Attr);
        set_mode(mode: Mode);
        unset_mode(mode: Mode);
        report_mode(mode: Mode);
        report_private_mode(mode: PrivateMode);
        set_keypad_application_mode();
        unset_keypad_application_mode();
        set_active_charset(index: CharsetIndex);
        configure_charset(index: CharsetIndex, charset: StandardCharset);
        set_color(index: usize, color: Rgb);
        dynamic_color_sequence(prefix: String, index: usize, terminator: &str);
        reset_color(index: usize);
        decaln();
        text_area_size_pixels();
        text_area_size_chars();
        set_mouse_cursor_icon(icon: CursorIcon);
        report_keyboard_mode();
        set_keyboard_mode(mode: KeyboardModes, behavior: KeyboardModesApplyBehavior);
        set_modify_other_keys(mode: ModifyOtherKeys);
        report_modify_other_keys();
        set_scp(path: ScpCharPath, mode: ScpUpdateMode);
    }
}
