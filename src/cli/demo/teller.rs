//! The demo's voice: steps, notes, screens in boxes.

use std::{io, time::Instant};

use unicode_width::UnicodeWidthStr;

use crate::cli::out;

pub(super) struct Teller {
    began: Instant,
    steps: u32,
    colours: bool,
}

impl Default for Teller {
    fn default() -> Self {
        Teller { began: Instant::now(), steps: 0, colours: out::colours() }
    }
}

impl Teller {
    /// What is done next.
    pub(super) fn step(&mut self, what: &str) -> io::Result<()> {
        self.steps += 1;
        let text = self.paint("1", &format!("{}. {what}", self.steps));
        let at = self.paint("2", &format!("[{:.1} s]", self.began.elapsed().as_secs_f64()));
        out::line(&format!("\n{text}  {at}"))
    }

    /// A call, as it was made.
    pub(super) fn call(&self, tool: &str, arguments: &str) -> io::Result<()> {
        out::line(&format!("   {}", self.paint("36", &out::plain(&format!("{tool} {arguments}")))))
    }

    /// What came of it.
    pub(super) fn note(&self, what: &str) -> io::Result<()> {
        let lines: Vec<String> = out::plain(what).lines().map(|line| format!("   {line}")).collect();
        out::line(&lines.join("\n"))
    }

    /// A screen.
    pub(super) fn screen(&self, title: &str, lines: &[&str], columns: usize) -> io::Result<()> {
        let rest = "\u{2500}".repeat(columns.saturating_sub(title.width() + 1));
        out::line(&self.paint("2", &format!("   \u{250c}\u{2500} {title} {rest}\u{2510}")))?;
        let side = self.paint("2", "\u{2502}");
        for line in lines {
            let line = out::pad(&out::fit(&out::plain(line), columns), columns);
            out::line(&format!("   {side} {line} {side}"))?;
        }
        out::line(&self.paint("2", &format!("   \u{2514}{}\u{2518}", "\u{2500}".repeat(columns + 2))))
    }

    /// The last words.
    pub(super) fn end(&self) -> io::Result<()> {
        let seconds = self.began.elapsed().as_secs_f64();
        let text =
            self.paint("32", &format!("All {} steps did what they should, in {seconds:.1} s.", self.steps));
        out::line(&format!(
            "\n{text}\nNext: add it to your agent, for example: claude mcp add compere -- compere"
        ))
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
