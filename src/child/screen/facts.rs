//! What a screen is and remembers beside its cells and cursors. Knows what its parts may be, and not how they are
//! written.

use alacritty_terminal::{
    Term,
    event::VoidListener,
    index::Column,
    term::{TermMode, color},
    vte::ansi::{CursorShape, CursorStyle, Handler, NamedMode, NamedPrivateMode, Rgb, TabulationClearMode},
};
use serde::{Deserialize, Serialize};

use super::Screen;
use crate::{
    child::{
        guard::{CHARSETS, Extra},
        status::Told,
    },
    id::Size,
};

#[derive(Serialize, Deserialize)]
pub(super) struct Facts {
    pub(super) size: Size,
    pub(super) version: u64,
    pub(super) resets: u64,
    pub(super) extra: Extra,
    pub(super) told: Told,
    /// As `TermMode` has them.
    modes: u32,
    /// Of the cursor, among `SHAPES`, and whether it blinks.
    shape: (usize, bool),
    /// Which colours the program has changed, and to what.
    colors: Vec<(usize, [u8; 3])>,
}

impl Facts {
    pub(super) fn of(screen: &Screen) -> Self {
        let term = &screen.emulator.term;
        let CursorStyle { shape, blinking } = term.cursor_style();
        let color = |at: usize| term.colors()[at].map(|Rgb { r, g, b }| (at, [r, g, b]));
        Facts {
            size: screen.size,
            version: screen.version,
            resets: screen.resets,
            extra: screen.extra.clone(),
            told: screen.side.told.clone(),
            modes: term.mode().bits(),
            shape: (SHAPES.iter().position(|known| *known == shape).unwrap_or(0), blinking),
            colors: (0..color::COUNT).filter_map(color).collect(),
        }
    }

    /// Could a screen have them?
    pub(super) fn are_sound(&self) -> bool {
        let counts = [self.version, self.resets, self.extra.bells, self.told.notifications];
        self.size == self.size.clamped()
            && self.extra.is_sound(self.size)
            && self.told.is_sound()
            && counts.iter().all(|count| *count <= COUNT_MAX)
            && TermMode::from_bits(self.modes).is_some()
            && self.shape.0 < SHAPES.len()
            && self.colors.iter().all(|(at, _)| *at < color::COUNT)
    }

    pub(super) fn mode(&self) -> TermMode {
        TermMode::from_bits_truncate(self.modes)
    }

    /// Gives them to a new `Term`, but for which screen is shown and for the keyboard. Moves the cursor.
    pub(super) fn put(&self, term: &mut Term<VoidListener>) {
        let mode = self.mode();
        for (flag, named) in PRIVATE_MODES {
            if mode.contains(flag) {
                term.set_private_mode(named.into());
            } else {
                term.unset_private_mode(named.into());
            }
        }
        for (flag, named) in MODES {
            if mode.contains(flag) {
                term.set_mode(named.into());
            }
        }
        if mode.contains(TermMode::APP_KEYPAD) {
            term.set_keypad_application_mode();
        }
        if let Some((top, bottom)) = self.extra.margins {
            term.set_scrolling_region(top as usize + 1, Some(bottom as usize + 1));
        }
        if let Some(tabs) = &self.extra.tabs {
            term.clear_tabs(TabulationClearMode::All);
            for column in (0..tabs.len()).filter(|&column| tabs[column]) {
                term.grid_mut().cursor.point.column = Column(column);
                term.set_horizontal_tabstop();
            }
        }
        term.set_active_charset(CHARSETS[usize::from(self.extra.charset)]);
        let (shape, blinking) = (SHAPES[self.shape.0], self.shape.1);
        term.set_cursor_style(Some(CursorStyle { shape, blinking }));
        for &(at, [r, g, b]) in &self.colors {
            term.set_color(at, Rgb { r, g, b });
        }
    }
}

/// What is counted by ones does not come this far.
const COUNT_MAX: u64 = 1 << 53;

const SHAPES: [CursorShape; 5] = [
    CursorShape::Block,
    CursorShape::Underline,
    CursorShape::Beam,
    CursorShape::HollowBlock,
    CursorShape::Hidden,
];

const MODES: [(TermMode, NamedMode); 2] =
    [(TermMode::INSERT, NamedMode::Insert), (TermMode::LINE_FEED_NEW_LINE, NamedMode::LineFeedNewLine)];

const PRIVATE_MODES: [(TermMode, NamedPrivateMode); 13] = [
    (TermMode::APP_CURSOR, NamedPrivateMode::CursorKeys),
    (TermMode::ORIGIN, NamedPrivateMode::Origin),
    (TermMode::LINE_WRAP, NamedPrivateMode::LineWrap),
    (TermMode::SHOW_CURSOR, NamedPrivateMode::ShowCursor),
    (TermMode::MOUSE_REPORT_CLICK, NamedPrivateMode::ReportMouseClicks),
    (TermMode::MOUSE_DRAG, NamedPrivateMode::ReportCellMouseMotion),
    (TermMode::MOUSE_MOTION, NamedPrivateMode::ReportAllMouseMotion),
    (TermMode::FOCUS_IN_OUT, NamedPrivateMode::ReportFocusInOut),
    (TermMode::UTF8_MOUSE, NamedPrivateMode::Utf8Mouse),
    (TermMode::SGR_MOUSE, NamedPrivateMode::SgrMouse),
    (TermMode::ALTERNATE_SCROLL, NamedPrivateMode::AlternateScroll),
    (TermMode::URGENCY_HINTS, NamedPrivateMode::UrgencyHints),
    (TermMode::BRACKETED_PASTE, NamedPrivateMode::BracketedPaste),
];
