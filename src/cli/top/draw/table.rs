//! The table: one line for each child that is in sight.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
    text::{Line, Span},
    widgets::{Paragraph, Widget},
};

use unicode_width::UnicodeWidthStr;

use super::View;
use crate::cli::{
    out::{fit, pad},
    top::row::{Column, Place, columns},
};

/// The chosen one's sign, and that of one that needs a person.
const SIGNS: usize = 2;

impl View<'_> {
    pub(super) fn table(&self, area: Rect, buf: &mut Buffer) {
        if area.is_empty() {
            return;
        }
        let room = usize::from(area.height).saturating_sub(1);
        let seen: Vec<&Place> = self.model.places.iter().skip(self.model.first).take(room).collect();
        let wanted = |column: Column| {
            let texts = seen.iter().filter_map(|place| {
                let row = self.model.rows.get(&place.id)?;
                Some(column.cell(row, place.depth, None, self.model.now_ms).width())
            });
            texts.max().unwrap_or(0)
        };
        let columns = columns(usize::from(area.width).saturating_sub(SIGNS), wanted);
        let head: Vec<String> = columns.iter().map(|(column, width)| cell(column.head(), *width)).collect();
        let head = format!("{}{}", " ".repeat(SIGNS), head.join(" "));
        let mut lines = vec![Line::styled(head, Style::new().add_modifier(Modifier::UNDERLINED))];
        lines.extend(seen.into_iter().map(|place| self.row(place, &columns)));
        if self.model.places.is_empty() && self.model.told {
            lines.push(Line::raw(match self.model.rows.is_empty() {
                true => "  no children yet: n starts one",
                false => "  nobody matches the filter; Escape ends it",
            }));
        }
        Paragraph::new(lines).render(area, buf);
    }

    fn row(&self, place: &Place, columns: &[(Column, usize)]) -> Line<'static> {
        let Some(row) = self.model.rows.get(&place.id) else { return Line::default() };
        let chosen = self.model.chosen == Some(place.id);
        let usage = self.model.usage.get(&place.id).copied();
        let base = if chosen { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
        let style = self.palette.rank(place.rank);
        let signs = format!(
            "{}{}",
            if chosen { '>' } else { ' ' },
            if place.rank.needs_a_person() { '!' } else { ' ' }
        );
        let mut spans = vec![Span::styled(signs, style)];
        for (at, (column, width)) in columns.iter().enumerate() {
            let text = cell(&column.cell(row, place.depth, usage, self.model.now_ms), *width);
            let text = if at + 1 < columns.len() { text + " " } else { text };
            let style = match column {
                Column::State => style,
                Column::Owner if row.person => self.palette.title(),
                _ if place.rank.needs_a_person() => Style::new().add_modifier(Modifier::BOLD),
                _ => Style::new(),
            };
            spans.push(Span::styled(text, style));
        }
        Line::from(spans).patch_style(base)
    }
}

/// A text in exactly so many columns.
fn cell(text: &str, width: usize) -> String {
    pad(&fit(text, width), width)
}
