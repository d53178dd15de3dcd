//! What is shown over the rest: the keys, the presets, the reports.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
    text::{Line, Text},
    widgets::{Block, Clear, Paragraph, Widget, Wrap},
};

use super::View;
use crate::cli::{
    out::{fit, span},
    top::{
        layout::{inbox, inbox_page, middle},
        model::{Letter, Mode},
    },
};

const HELP: &str = "\
up down j k       choose a child
PageUp PageDown   a page up or down
Home End g G      the first, the last
enter             attach: take its input over
w                 watch it, without taking its input
m                 write it a message; pasted lines stay lines
s                 stop it, with all it started
n                 start a preset
i                 reports; enter answers one
/                 show only what has these words; Escape ends it
q                 quit

! marks who needs you: asks something, is blocked, lost or has
failed. Those come first. HELD: messages held for you + queued.
UNREAD: reports to it that it has not read.";

impl View<'_> {
    pub(super) fn overlay(&self, size: (u16, u16), buf: &mut Buffer) {
        match &self.model.mode {
            Mode::Help => {
                let high = HELP.lines().count() as u16 + 2;
                self.shown("any key goes back", Text::raw(HELP), middle(size, 66, high), buf);
            }
            Mode::Presets { names, at } => {
                let area = middle(size, 40, names.len() as u16 + 2);
                let room = usize::from(area.height.saturating_sub(2)).max(1);
                let first = (*at + 1).saturating_sub(room);
                let lines = names.iter().enumerate().skip(first).take(room);
                let lines: Vec<Line<'_>> =
                    lines.map(|(n, name)| chosen(format!(" {name}"), n == *at, Style::new())).collect();
                self.shown("start which? enter, Escape", Text::from(lines), area, buf);
            }
            Mode::Inbox { at, first } => self.inbox(*at, *first, size, buf),
            _ => {}
        }
    }

    /// The list above, and the whole of the chosen one below.
    fn inbox(&self, at: usize, first: usize, size: (u16, u16), buf: &mut Buffer) {
        let (area, room) = (inbox(size), inbox_page(size));
        let width = usize::from(area.width.saturating_sub(2));
        let letters = self.model.letters.iter().enumerate().skip(first).take(room);
        let lines: Vec<Line<'_>> = letters
            .map(|(n, letter)| {
                let urgent = matches!(letter.status.as_str(), "blocked" | "failed");
                let style = if urgent { Style::new().add_modifier(Modifier::BOLD) } else { Style::new() };
                chosen(fit(&self.letter(letter), width), n == at, style)
            })
            .collect();
        let list = if lines.is_empty() { Text::raw("no reports") } else { Text::from(lines) };
        self.shown("reports: enter answers, q goes back", list, area, buf);
        let Some(letter) = self.model.letters.get(at) else { return };
        let inner = Block::bordered().inner(area);
        let below =
            Rect { y: inner.y + room as u16, height: inner.height.saturating_sub(room as u16), ..inner };
        let rule = Line::styled("─".repeat(width), self.palette.title());
        let mut text = Text::from(rule);
        text.extend(letter.message.lines().map(|line| Line::raw(line.replace('\t', " "))));
        Paragraph::new(text).wrap(Wrap { trim: false }).render(below, buf);
    }

    fn letter(&self, letter: &Letter) -> String {
        let ago = span(self.model.now_ms.saturating_sub(letter.at_ms) / 1000);
        let to = letter.to.as_ref().map(|to| format!(" to {to}")).unwrap_or_default();
        let new = if letter.unread { "*" } else { " " };
        let line = super::super::model::one_line(&letter.message);
        format!("{new}{ago:>4} {} {} {}{to}: {line}", letter.from, letter.name, letter.status)
    }

    fn shown(&self, title: &str, text: Text<'_>, area: Rect, buf: &mut Buffer) {
        Clear.render(area, buf);
        let block = Block::bordered().title(title.to_owned()).title_style(self.palette.title());
        Paragraph::new(text).block(block).render(area, buf);
    }
}

fn chosen(text: String, is: bool, style: Style) -> Line<'static> {
    let style = if is { style.add_modifier(Modifier::REVERSED) } else { style };
    Line::styled(text, style)
}
