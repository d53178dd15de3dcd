//! What we answer to a program that asks its terminal: about as xterm does, with a dark background. Does not parse.

use alacritty_terminal::{
    Term,
    event::VoidListener,
    grid::Dimensions,
    term::{
        TermMode,
        cell::{Cell, Flags},
    },
    vte::ansi::{Color, CursorShape, Mode, Rgb},
};

use super::{guard::Guard, side::Ask};

/// DA1: a VT102, as alacritty says of itself: it claims nothing that is not there.
pub(super) const PRIMARY_ATTRIBUTES: &str = "\x1b[?6c";
/// DA2: alacritty's too. Editors read versions out of it.
pub(super) const SECONDARY_ATTRIBUTES: &str = "\x1b[>0;2600;1c";
/// Height and width of a cell in pixels, for programs that must have some.
pub(super) const CELL: (usize, usize) = (16, 8);

impl Guard<'_> {
    /// Answers what the emulator would not.
    pub(super) fn answer(&mut self, ask: Ask) {
        let text = match ask {
            Ask::Version => concat!("\x1bP>|compere ", env!("CARGO_PKG_VERSION"), "\x1b\\").to_owned(),
            Ask::UnitId => "\x1bP!|00000000\x1b\\".to_owned(),
            Ask::CursorPosition => {
                format!("\x1b[?{};{}R", self.reported_row(), self.term.grid().cursor.point.column.0 + 1)
            }
            Ask::ColorScheme => "\x1b[?997;1n".to_owned(),
            Ask::CellPixels => format!("\x1b[6;{};{}t", CELL.0, CELL.1),
            Ask::DisplayCells => format!("\x1b[9;{};{}t", self.term.screen_lines(), self.term.columns()),
            // Always empty, as VTE's: else a file that sets a title and asks for it would type into a shell.
            Ask::Label(letter) => format!("\x1b]{letter}\x1b\\"),
            Ask::Setting(what) => match self.setting(&what) {
                Some(value) => format!("\x1bP1$r{value}\x1b\\"),
                None => "\x1bP0$r\x1b\\".to_owned(),
            },
            // "Not known", without the name that xterm repeats: `0;dd;` of hexadecimal digits would be typed into a
            // shell too.
            Ask::Capability => "\x1bP0+r\x1b\\".to_owned(),
            Ask::StatusProtocol { bell: true } => "\x1b]7501;?\x07".to_owned(),
            Ask::StatusProtocol { bell: false } => "\x1b]7501;?\x1b\\".to_owned(),
            Ask::SoftReset => return self.soft_reset(),
            Ask::Repeat(times) => return self.repeat(times),
            Ask::BeginSync => return,
        };
        self.extra.answer(&text);
    }

    /// DECRQSS.
    fn setting(&self, what: &[u8]) -> Option<String> {
        match what {
            b"m" => Some(format!("{}m", pen(&self.term.grid().cursor.template))),
            b"r" => {
                let (top, bottom) = self.margins();
                Some(format!("{};{}r", top + 1, bottom + 1))
            }
            b" q" => {
                let style = self.term.cursor_style();
                let steady = match style.shape {
                    CursorShape::Underline => 4,
                    CursorShape::Beam => 6,
                    _ => 2,
                };
                Some(format!("{} q", steady - i32::from(style.blinking)))
            }
            b"\"p" => Some("64;1\"p".to_owned()),
            _ => None,
        }
    }
}

/// DECRPM for ANSI modes: 1 set, 2 reset, 0 not known.
pub(super) fn mode_state(term: &Term<VoidListener>, mode: Mode) -> u8 {
    match mode.raw() {
        4 => on_off(term.mode().contains(TermMode::INSERT)),
        20 => on_off(term.mode().contains(TermMode::LINE_FEED_NEW_LINE)),
        _ => 0,
    }
}

/// DECRPM for private modes.
pub(super) fn private_mode_state(term: &Term<VoidListener>, mode: u16) -> u8 {
    let flag = match mode {
        1 => TermMode::APP_CURSOR,
        6 => TermMode::ORIGIN,
        7 => TermMode::LINE_WRAP,
        12 => return on_off(term.cursor_style().blinking),
        25 => TermMode::SHOW_CURSOR,
        47 | 1047 | 1049 => TermMode::ALT_SCREEN,
        1000 => TermMode::MOUSE_REPORT_CLICK,
        1002 => TermMode::MOUSE_DRAG,
        1003 => TermMode::MOUSE_MOTION,
        1004 => TermMode::FOCUS_IN_OUT,
        1005 => TermMode::UTF8_MOUSE,
        1006 => TermMode::SGR_MOUSE,
        1007 => TermMode::ALTERNATE_SCROLL,
        1042 => TermMode::URGENCY_HINTS,
        2004 => TermMode::BRACKETED_PASTE,
        // What follows the beginning of a synchronised update is read after its end.
        2026 => return 2,
        _ => return 0,
    };
    on_off(term.mode().contains(flag))
}

/// xterm's colours: 0 to 255, then text, background and cursor.
pub(super) fn palette(index: usize) -> Rgb {
    const NAMED: [u32; 16] = [
        0x000000, 0xcd0000, 0x00cd00, 0xcdcd00, 0x0000ee, 0xcd00cd, 0x00cdcd, 0xe5e5e5, 0x7f7f7f, 0xff0000,
        0x00ff00, 0xffff00, 0x5c5cff, 0xff00ff, 0x00ffff, 0xffffff,
    ];
    let level = |n: usize| if n == 0 { 0 } else { 55 + 40 * n as u8 };
    match index {
        0..=15 => {
            let [_, r, g, b] = NAMED[index].to_be_bytes();
            Rgb { r, g, b }
        }
        16..=231 => {
            let n = index - 16;
            Rgb { r: level(n / 36), g: level(n / 6 % 6), b: level(n % 6) }
        }
        232..=255 => {
            let grey = 8 + 10 * (index - 232) as u8;
            Rgb { r: grey, g: grey, b: grey }
        }
        257 => palette(0),
        _ => palette(7),
    }
}

fn on_off(on: bool) -> u8 {
    if on { 1 } else { 2 }
}

/// SGR parameters that give this pen.
fn pen(cell: &Cell) -> String {
    let mut sgr = String::from("0");
    for (flag, code) in [
        (Flags::BOLD, "1"),
        (Flags::DIM, "2"),
        (Flags::ITALIC, "3"),
        (Flags::UNDERLINE, "4"),
        (Flags::DOUBLE_UNDERLINE, "4:2"),
        (Flags::UNDERCURL, "4:3"),
        (Flags::DOTTED_UNDERLINE, "4:4"),
        (Flags::DASHED_UNDERLINE, "4:5"),
        (Flags::INVERSE, "7"),
        (Flags::HIDDEN, "8"),
        (Flags::STRIKEOUT, "9"),
    ] {
        if cell.flags.contains(flag) {
            sgr.push(';');
            sgr.push_str(code);
        }
    }
    for (color, base) in [(cell.fg, 30), (cell.bg, 40)] {
        sgr.push_str(&match color {
            Color::Named(name) => match name as usize {
                n @ 0..8 => format!(";{}", base + n),
                n @ 8..16 => format!(";{}", base + 60 + n - 8),
                _ => continue,
            },
            Color::Indexed(n) => format!(";{};5;{n}", base + 8),
            Color::Spec(Rgb { r, g, b }) => format!(";{};2;{r};{g};{b}", base + 8),
        });
    }
    sgr
}
