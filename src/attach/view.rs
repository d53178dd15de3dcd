//! What a person's terminal is to show: the child's cells or as many as there is room for, what is held, and our own
//! line. Composes; does not paint.

use super::pane::{About, Mode, Pane};
use crate::{
    child::picture::{Cell, Pointer, Row, Sheet, Style},
    id::Size,
};

impl Pane {
    /// All of it, at this time in milliseconds after 1970.
    pub(super) fn compose(&self, now_ms: u64) -> Sheet {
        let mut sheet = Sheet::new(self.size);
        if self.size.rows > 1 {
            self.put_child(&mut sheet);
            self.put_held(&mut sheet);
        }
        let last = usize::from(self.size.rows) - 1;
        let (line, pointer) = self.own_line(now_ms);
        sheet.set(last, line);
        if let Some(col) = pointer {
            let col = col.min(usize::from(self.size.cols) - 1) as u16;
            sheet.pointer = Some(Pointer { row: last as u16, col, shape: Default::default(), blinks: false });
        }
        sheet
    }

    fn put_child(&self, sheet: &mut Sheet) {
        let (room, size, (from_row, from_col)) = (self.room(), self.sheet.size(), self.corner());
        let (cols, rows) = (usize::from(room.cols), usize::from(room.rows));
        for at in 0..rows {
            let row = match self.sheet.rows().get(from_row + at) {
                Some(row) => framed(row.part(from_col, cols), usize::from(size.cols), cols),
                None => framed(Row::default(), 0, cols),
            };
            sheet.set(at, row);
        }
        sheet.pointer = self.sheet.pointer.and_then(|at| {
            let row = usize::from(at.row).checked_sub(from_row).filter(|row| *row < rows)?;
            let col = usize::from(at.col).checked_sub(from_col).filter(|col| *col < cols)?;
            Some(Pointer { row: row as u16, col: col as u16, ..at })
        });
    }

    fn put_held(&self, sheet: &mut Sheet) {
        let (Mode::Held(_) | Mode::Line { .. }) = self.mode else { return };
        let chosen = match &self.mode {
            Mode::Held(at) => *at,
            Mode::Line { delivery, .. } => {
                self.held.iter().position(|held| held.delivery == *delivery).unwrap_or_default()
            }
            _ => 0,
        };
        let Size { rows, cols } = self.room();
        let room = usize::from(rows).saturating_sub(1).min(self.held.len().max(1));
        let first = (chosen + 1).saturating_sub(room);
        let top = usize::from(rows) - room - usize::from(rows > 1);
        let mut lines = vec![format!(" held until the input is given back: {} ", self.held.len())];
        if self.held.is_empty() {
            lines.push("   nothing".into());
        }
        for (at, held) in self.held.iter().enumerate().skip(first).take(room) {
            let mark = if at == chosen { '>' } else { ' ' };
            lines.push(format!(" {mark} d{} {}", held.delivery, held.text.replace('\n', " ⏎ ")));
        }
        for (at, line) in lines.into_iter().enumerate() {
            let style = Style::of(if at == 0 { Style::BOLD | Style::INVERSE } else { Style::INVERSE });
            sheet.set(top + at, bar(&line, cols, &style).0);
        }
        sheet.pointer = None;
    }

    /// Our own line, and where the cursor is in it if it is there.
    fn own_line(&self, now_ms: u64) -> (Row, Option<usize>) {
        let (cols, inverse) = (self.size.cols, Style::of(Style::INVERSE));
        let key = &self.prefix.0;
        let plain = |text: &str| (bar(text, cols, &inverse).0, None);
        let loud = |text: &str| (bar(text, cols, &Style::of(Style::INVERSE | Style::BOLD)).0, None);
        match &self.mode {
            Mode::Prefix => loud(&format!(
                " d detach  b give back  t take  h held  e deliver held  [ scroll  k kill  {key} send {key}"
            )),
            Mode::Kill => loud(&format!(" end {} and everything it started? y/n", self.name())),
            Mode::Held(_) if self.held.is_empty() => plain(" any key leaves"),
            Mode::Held(_) => plain(" d deliver  r send back  e edit  up/down choose  any other key leaves"),
            Mode::Line { delivery, about, text } => {
                let what = match about {
                    About::Reject => "why is it sent back",
                    About::Edit => "it shall say",
                };
                let begin = format!(" d{delivery}: {what}: ");
                // The end of a long line is what is being typed.
                let room = usize::from(cols).saturating_sub(begin.chars().count() + 2);
                let text = text.replace('\n', "⏎");
                let skip = text.chars().count().saturating_sub(room);
                let shown: String = text.chars().skip(skip).collect();
                let (row, end) = bar(&format!("{begin}{shown}"), cols, &inverse);
                (row, Some(end))
            }
            Mode::Scroll => plain(&format!(
                " {} of {} rows up  PageUp PageDown up down  g top  q back to now",
                self.up, self.above
            )),
            Mode::Live => match &self.notice {
                Some(notice) if !self.lost => loud(&format!(" {notice}")),
                _ => plain(&self.status(now_ms)),
            },
        }
    }

    fn name(&self) -> String {
        let known = &self.known;
        if known.name.is_empty() || known.name == known.child {
            known.child.clone()
        } else {
            format!("{} {}", known.child, known.name)
        }
    }

    fn status(&self, now_ms: u64) -> String {
        let (known, key) = (&self.known, &self.prefix.0);
        if self.lost {
            return format!(
                " {} | the broker has gone; another is started or waited for | {key} d leaves",
                self.name()
            );
        }
        let age = |since: u64| span(now_ms.saturating_sub(since) / 1000);
        let mut parts = vec![self.name(), format!("{} {}", known.state, age(known.since_ms))];
        parts.push(match &known.person {
            _ if known.yours => format!("you have the input {}", age(known.owner_since_ms)),
            Some(who) => format!("watching; {who} has the input {}", age(known.owner_since_ms)),
            None => format!("watching; the orchestrator has the input {}", age(known.owner_since_ms)),
        });
        if known.held > 0 {
            parts.push(format!("{} held", known.held));
        }
        if known.queued > 0 {
            parts.push(format!("{} queued", known.queued));
        }
        parts.push(format!("{key} for keys"));
        parts.extend(Some(known.why.clone()).filter(|why| !why.is_empty()));
        parts.extend(known.title.clone().filter(|title| !title.is_empty()));
        format!(" {}", parts.join(" | "))
    }
}

/// A row of the child's in a terminal that may be wider: what is beyond is no part of it.
fn framed(row: Row, own: usize, cols: usize) -> Row {
    let beyond = Cell { c: '·', style: Style::of(Style::DIM), ..Cell::default() };
    let mut cells = row.cells().to_vec();
    cells.truncate(own);
    cells.resize(own.min(cols), Cell::default());
    cells.resize(cols, beyond);
    Row::of(cells)
}

/// A text across the whole width, and the column after it.
fn bar(text: &str, cols: u16, style: &Style) -> (Row, usize) {
    let mut row = Row::of(vec![Cell { style: style.clone(), ..Cell::default() }; cols.into()]);
    let end = row.write(0, text, style);
    (row, end)
}

/// Seconds as one looks at them.
fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        child::screen::{Screen, Wants},
        ipc::viewer::{Known, Message, ToViewer},
    };

    fn pane(size: Size) -> Pane {
        let mut pane = Pane::new(size, ("C-]".into(), 0x1d));
        let mut screen = Screen::new(Size { rows: 6, cols: 40 });
        let _ = screen.feed("first\r\nsecond 漢字\r\n\r\n\r\n\r\n$ ".as_bytes(), std::time::Instant::now());
        let (sheet, _) = screen.sheet(0);
        let (size, rows, pointer) = (sheet.size(), sheet.changed(None), sheet.pointer);
        pane.heard(ToViewer::Screen { size, rows, pointer, up: 0, above: 0, wants: Wants::default() })
            .unwrap();
        pane.heard(ToViewer::Child(Known {
            child: "c1".into(),
            name: "build".into(),
            state: "idle".into(),
            why: "prompt".into(),
            person: Some("ada".into()),
            yours: true,
            held: 2,
            ..Known::default()
        }))
        .unwrap();
        pane
    }

    #[test]
    fn a_child_in_a_larger_terminal_has_a_frame_and_a_line_below() {
        let sheet = pane(Size { rows: 9, cols: 60 }).compose(125_000);
        insta::assert_snapshot!(sheet.text().join("\n"), @r"
        first                                   ····················
        second 漢字                             ····················
                                                ····················
                                                ····················
                                                ····················
        $                                       ····················
        ····························································
        ····························································
         c1 build | idle 2m | you have the input 2m | 2 held | C-] f
        ");
        assert_eq!(sheet.pointer.map(|at| (at.row, at.col)), Some((5, 2)));
    }

    #[test]
    fn a_smaller_terminal_shows_where_the_cursor_is() {
        let sheet = pane(Size { rows: 4, cols: 9 }).compose(0);
        insta::assert_snapshot!(sheet.text().join("\n"), @r"


        $
         c1 build
        ");
        assert_eq!(sheet.pointer.map(|at| (at.row, at.col)), Some((2, 2)));
        for (rows, cols) in [(1, 2), (2, 2), (1, 80), (3, 3)] {
            for mode in [Mode::Live, Mode::Held(0), Mode::Prefix] {
                let mut pane = pane(Size { rows, cols });
                pane.mode = mode;
                assert_eq!(pane.compose(0).size(), Size { rows, cols });
            }
        }
    }

    #[test]
    fn what_is_held_is_listed_over_the_child() {
        let mut pane = pane(Size { rows: 7, cols: 60 });
        let message = |delivery, text: &str| Message { delivery, text: text.into() };
        pane.held = vec![message(3, "one\ntwo"), message(4, "three")];
        pane.mode = Mode::Held(1);
        insta::assert_snapshot!(pane.compose(0).text().join("\n"), @r"
        first                                   ····················
        second 漢字                             ····················
                                                ····················
         held until the input is given back: 2
           d3 one ⏎ two
         > d4 three
         d deliver  r send back  e edit  up/down choose  any other k
        ");
        pane.mode = Mode::Line { delivery: 3, about: About::Reject, text: "because".into() };
        let sheet = pane.compose(0);
        assert_eq!(sheet.text()[6], " d3: why is it sent back: because");
        assert_eq!(sheet.pointer.map(|at| (at.row, at.col)), Some((6, 33)));
    }
}
