//! The control sequences that most of them are, with plain numbers and nothing else in them, done without a parser: colours,
//! where the cursor goes, what is erased. What comes of one is the same as the parser's (`screen/same` holds that).

use alacritty_terminal::vte::ansi::{Attr, ClearMode, Color, Handler, LineClearMode, NamedColor, Rgb};

use super::{Guard, NAMED};

/// Numbers in one: enough for two colours with three parts each and some flags. The parser takes 32.
const NUMBERS_MAX: usize = 16;

impl Guard<'_> {
    /// Does it, if it is one of these, and tells whether it was. For a whole one.
    pub(in crate::child) fn control(&mut self, sequence: &[u8]) -> bool {
        let [_, _, inner @ .., last] = sequence else { return false };
        let mut numbers = [0; NUMBERS_MAX];
        let Some(numbers) = read(inner, &mut numbers) else { return false };
        let count = |at: usize| numbers.get(at).map_or(1, |&number: &u16| number.max(1));
        match last {
            b'm' => return self.pen(numbers),
            b'H' => self.goto(i32::from(count(0)) - 1, usize::from(count(1)) - 1),
            b'G' => self.goto_col(usize::from(count(0)) - 1),
            b'A' => self.move_up(count(0).into()),
            b'B' => self.move_down(count(0).into()),
            b'C' => self.move_forward(count(0).into()),
            b'D' => self.move_backward(count(0).into()),
            b'K' if numbers[0] == 0 => self.clear_line(LineClearMode::Right),
            b'K' if numbers[0] == 2 => self.clear_line(LineClearMode::All),
            b'J' if numbers[0] == 0 => self.clear_screen(ClearMode::Below),
            _ => return false,
        }
        true
    }

    /// SGR. One with something else in it is the parser's, from its start: what it does twice is the same as once.
    fn pen(&mut self, numbers: &[u16]) -> bool {
        let mut rest = numbers;
        while let [first, others @ ..] = rest {
            rest = others;
            let named = |tens: u16, bright: usize| Color::Named(NAMED[usize::from(first - tens) + bright]);
            let attr = match first {
                0 => Attr::Reset,
                1 => Attr::Bold,
                2 => Attr::Dim,
                3 => Attr::Italic,
                4 => Attr::Underline,
                7 => Attr::Reverse,
                22 => Attr::CancelBoldDim,
                23 => Attr::CancelItalic,
                24 => Attr::CancelUnderline,
                27 => Attr::CancelReverse,
                30..=37 => Attr::Foreground(named(30, 0)),
                39 => Attr::Foreground(Color::Named(NamedColor::Foreground)),
                40..=47 => Attr::Background(named(40, 0)),
                49 => Attr::Background(Color::Named(NamedColor::Background)),
                90..=97 => Attr::Foreground(named(90, 8)),
                100..=107 => Attr::Background(named(100, 8)),
                38 | 48 => {
                    let Some((color, after)) = color(others) else { return false };
                    rest = after;
                    if *first == 38 { Attr::Foreground(color) } else { Attr::Background(color) }
                }
                _ => return false,
            };
            self.terminal_attribute(attr);
        }
        true
    }
}

/// The numbers between semicolons; where there is none, it is 0.
fn read<'a>(inner: &[u8], numbers: &'a mut [u16; NUMBERS_MAX]) -> Option<&'a [u16]> {
    let mut at = 0;
    for byte in inner {
        match byte {
            b'0'..=b'9' => {
                numbers[at] = numbers[at].saturating_mul(10).saturating_add((byte - b'0').into());
            }
            b';' if at + 1 < NUMBERS_MAX => at += 1,
            _ => return None,
        }
    }
    Some(&numbers[..=at])
}

/// What follows 38 or 48, and what comes after it.
fn color(numbers: &[u16]) -> Option<(Color, &[u16])> {
    match numbers {
        [5, index, rest @ ..] => Some((Color::Indexed(u8::try_from(*index).ok()?), rest)),
        [2, r, g, b, rest @ ..] => {
            let [r, g, b] = [u8::try_from(*r).ok()?, u8::try_from(*g).ok()?, u8::try_from(*b).ok()?];
            Some((Color::Spec(Rgb { r, g, b }), rest))
        }
        _ => None,
    }
}
