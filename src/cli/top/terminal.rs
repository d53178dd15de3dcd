//! The person's terminal: taken, and given back exactly as it was, however this ends. Knows nothing of what is drawn.

use std::{
    io::{self, Stdout, Write},
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
    },
};

use crossterm::{
    cursor::{Hide, SetCursorStyle, Show},
    event::{DisableBracketedPaste, EnableBracketedPaste},
    execute,
    style::ResetColor,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};
use ratatui::{Terminal, backend::CrosstermBackend};

use crate::id::Size;

/// The terminal while it is ours. Dropping it gives it back.
pub(in crate::cli) struct Taken(());

/// The same, to draw on.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    _taken: Taken,
}

/// Whether the terminal is ours now, for whoever panics on any thread.
static OURS: AtomicBool = AtomicBool::new(false);
/// Something has panicked: what it said is on the screen, and nothing may be drawn over it.
static PANICKED: AtomicBool = AtomicBool::new(false);

/// How large the terminal is.
pub(in crate::cli) fn size() -> io::Result<Size> {
    crossterm::terminal::size().map(|(cols, rows)| Size { rows, cols }.clamped())
}

impl Taken {
    /// Takes the terminal.
    pub(in crate::cli) fn take() -> io::Result<Taken> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                PANICKED.store(true, Ordering::SeqCst);
                give_back();
                before(panic);
            }));
        });
        enable_raw_mode()?;
        OURS.store(true, Ordering::SeqCst);
        // From here on, dropping it gives it back.
        let taken = Taken(());
        execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, Hide)?;
        Ok(taken)
    }
}

impl Screen {
    /// Takes the terminal.
    pub(super) fn take() -> io::Result<Screen> {
        let taken = Taken::take()?;
        Ok(Screen { terminal: Terminal::new(CrosstermBackend::new(io::stdout()))?, _taken: taken })
    }

    /// Whether something has panicked, wherever.
    pub(super) fn panicked() -> bool {
        PANICKED.load(Ordering::SeqCst)
    }

    /// Draws one picture; what has not changed is not written.
    pub(super) fn draw(&mut self, widget: impl ratatui::widgets::Widget) -> io::Result<()> {
        self.terminal.draw(|frame| frame.render_widget(widget, frame.area())).map(drop)
    }

    /// How large it is.
    pub(super) fn size(&self) -> io::Result<(u16, u16)> {
        self.terminal.size().map(|size| (size.width, size.height))
    }

    /// Rings, and tells terminals that show notifications (OSC 9) what for.
    pub(super) fn ring(&mut self, text: &str) -> io::Result<()> {
        io::stdout().write_all(&notification(text))?;
        io::stdout().flush()
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

/// Once, whoever is first. A terminal that is gone needs nothing back.
fn give_back() {
    if OURS.swap(false, Ordering::SeqCst) {
        let _ = execute!(
            io::stdout(),
            ResetColor,
            SetCursorStyle::DefaultUserShape,
            DisableBracketedPaste,
            LeaveAlternateScreen,
            Show
        );
        let _ = disable_raw_mode();
    }
}

/// The text begins with our name: what begins with a number would be another command to some terminals.
fn notification(text: &str) -> Vec<u8> {
    let text: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
    format!("\x1b]9;compere: {text}\x07\x07").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_holds_nothing_that_ends_it() {
        let told = notification("c1 a\x1b\\b\x07c\u{9c}\nd");
        assert_eq!(String::from_utf8(told).unwrap(), "\x1b]9;compere: c1 a\\bcd\x07\x07");
        assert!(notification(&"x".repeat(1000)).len() < 250);
    }
}
