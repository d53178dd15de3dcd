//! The last line: what the keys are, what was said, or what is typed.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
    text::{Line, Span},
    widgets::{Paragraph, Widget},
};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::View;
use crate::cli::{
    out::fit,
    top::{edit::Edit, model::Mode},
};

const KEYS: &str = "enter attach  w watch  m message  s stop  n new  i inbox  / filter  ? help  q quit";
const SHORT: &str = "↵ w m s n i /  ? help  q quit";

impl View<'_> {
    pub(super) fn foot(&self, area: Rect, buf: &mut Buffer) {
        let width = usize::from(area.width);
        let named = |child: &str| {
            let row = self.model.rows.values().find(|row| row.child == child);
            row.map_or_else(|| child.to_owned(), |row| format!("{child} {}", row.name))
        };
        let line = match (&self.model.mode, &self.model.notice) {
            (Mode::Filter { edit, .. }, _) => typed("filter", edit, width),
            (Mode::Message { to, edit }, _) => typed(&format!("to {}", named(to)), edit, width),
            (Mode::Name { preset, edit }, _) => typed(&format!("a name for {preset}, or none"), edit, width),
            (Mode::Stop { child }, _) => Line::styled(
                fit(&format!("stop {} and all it started? y/n", named(child)), width),
                self.palette.bad(),
            ),
            (_, Some(notice)) => {
                let style = if notice.bad { self.palette.bad() } else { self.palette.title() };
                Line::styled(fit(&notice.text, width), style)
            }
            _ => {
                let keys = if KEYS.width() <= width { KEYS } else { SHORT };
                Line::styled(fit(keys, width), Style::new().add_modifier(Modifier::DIM))
            }
        };
        Paragraph::new(line).render(area, buf);
    }
}

/// What is asked for and what was typed so far; of a long text, what is around the cursor, which is shown reversed.
fn typed(what: &str, edit: &Edit, width: usize) -> Line<'static> {
    let what = format!("{}> ", fit(what, width / 2));
    let room = width.saturating_sub(what.width() + 1).max(1);
    let (before, after) = edit.halves();
    let shown = |text: &str| text.replace('\n', "↵").replace('\t', " ");
    let (before, after) = (shown(before), shown(after));
    // The end of what is before.
    let mut kept = before.len();
    let mut used = 0;
    for (at, c) in before.char_indices().rev() {
        used += c.width().unwrap_or(0);
        if used > room {
            break;
        }
        kept = at;
    }
    let mut rest = after.chars();
    let under = rest.next().unwrap_or(' ');
    Line::from(vec![
        Span::styled(what, Style::new().add_modifier(Modifier::BOLD)),
        Span::raw(before[kept..].to_owned()),
        Span::styled(under.to_string(), Style::new().add_modifier(Modifier::REVERSED)),
        Span::raw(rest.as_str().to_owned()),
    ])
}
