//! What the model looks like, as one of ratatui's widgets. Knows no terminal.

mod foot;
mod overlay;
mod table;

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Paragraph, Widget},
};

use super::{layout::areas, model::Model, row::Rank};
use crate::cli::out::{fit, span};

/// With or without colours; what they say is said without them too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Palette {
    Colours,
    Plain,
}

/// The model, to be drawn.
pub(super) struct View<'a> {
    pub(super) model: &'a Model,
    pub(super) palette: Palette,
}

impl Palette {
    fn colour(self, colour: Color) -> Style {
        match self {
            Palette::Colours => Style::new().fg(colour),
            Palette::Plain => Style::new(),
        }
    }

    fn rank(self, rank: Rank) -> Style {
        match rank {
            Rank::Asks | Rank::Blocked => self.colour(Color::Yellow).add_modifier(Modifier::BOLD),
            Rank::Lost | Rank::Failed => self.colour(Color::Red).add_modifier(Modifier::BOLD),
            Rank::Busy => self.colour(Color::Green),
            Rank::Idle => Style::new(),
            Rank::Ended => Style::new().add_modifier(Modifier::DIM),
        }
    }

    fn title(self) -> Style {
        self.colour(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    fn bad(self) -> Style {
        self.colour(Color::Red).add_modifier(Modifier::BOLD)
    }
}

impl Widget for View<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        let size = (area.width, area.height);
        let areas = areas(size);
        self.head(areas.head, buf);
        self.table(areas.table, buf);
        self.preview(areas.preview, buf);
        self.foot(areas.foot, buf);
        self.overlay(size, buf);
    }
}

impl View<'_> {
    fn head(&self, area: Rect, buf: &mut Buffer) {
        let counts = self.model.counts();
        let mut spans = vec![Span::styled("compere", self.palette.title())];
        let mut add = |text: String, style| spans.extend([Span::raw("  "), Span::styled(text, style)]);
        if let Some(why) = &self.model.lost {
            add(format!("no broker, trying again: {}", super::model::one_line(why)), self.palette.bad());
        } else if !self.model.told {
            add("looking for the broker…".into(), Style::new());
        }
        add(
            if counts.all == 1 { "1 child".into() } else { format!("{} children", counts.all) },
            Style::new(),
        );
        let need = self.palette.rank(Rank::Asks);
        if counts.need > 0 {
            add(format!("{} need you", counts.need), need);
        }
        for (count, word, rank) in [
            (counts.busy, "busy", Rank::Busy),
            (counts.idle, "idle", Rank::Idle),
            (counts.ended, "ended", Rank::Ended),
        ] {
            if count > 0 {
                add(format!("{count} {word}"), self.palette.rank(rank));
            }
        }
        if self.model.unread > 0 {
            add(format!("{} unread (i)", self.model.unread), need);
        }
        if !self.model.filter.is_empty() {
            add(format!("/{}: {}", self.model.filter, self.model.places.len()), self.palette.title());
        }
        Paragraph::new(Line::from(spans)).render(area, buf);
    }

    /// The chosen one's screen: the end of it, where there is not room for all.
    fn preview(&self, area: Rect, buf: &mut Buffer) {
        if area.is_empty() {
            return;
        }
        let width = usize::from(area.width);
        let chosen = self.model.chosen.and_then(|id| self.model.rows.get(&id));
        let title = match chosen {
            None => String::new(),
            Some(row) => {
                let since = span(self.model.now_ms.saturating_sub(row.since_ms) / 1000);
                format!("── {} {} · {} {since}: {} ", row.child, row.name, super::row::state(row), row.why)
            }
        };
        let rule = "─".repeat(width.saturating_sub(unicode_width::UnicodeWidthStr::width(&*title)));
        let mut lines = vec![Line::styled(fit(&(title + &rule), width), self.palette.title())];
        let room = usize::from(area.height).saturating_sub(1);
        let shown = self.model.preview.as_ref().filter(|_| chosen.is_some());
        let screen = shown.map(|preview| preview.lines.as_slice()).unwrap_or_default();
        let used = screen.iter().rposition(|line| !line.trim().is_empty()).map_or(0, |last| last + 1);
        for line in &screen[used.saturating_sub(room)..used] {
            lines.push(Line::raw(fit(&crate::cli::out::plain(line).replace('\t', " "), width)));
        }
        Paragraph::new(lines).render(area, buf);
    }
}

#[cfg(test)]
mod tests;
