//! The same in lines, for screen readers, pipes and logs: who there is, and then each change of a state, one line each.
//! A plain value that is told what changed.

use super::{
    model::attention,
    row::{self, Column, Rank, Rows, order},
};
use crate::{
    cli::out::{fit, pad},
    tools::Board,
};

/// Remembers what was told.
#[derive(Debug, Default)]
pub(super) struct Teller {
    rows: Rows,
    told: bool,
    unread: usize,
}

impl Teller {
    /// The lines that tell what has changed; at first, who there is.
    pub(super) fn tell(&mut self, board: Board) -> Vec<String> {
        let mut lines = Vec::new();
        let old = if board.whole { std::mem::take(&mut self.rows) } else { Rows::new() };
        for child in board.gone {
            if let Some(row) = row::number(&child).and_then(|id| self.rows.remove(&id)) {
                lines.push(format!("{} {}: forgotten", row.child, row.name));
            }
        }
        for new in board.rows {
            let Some(id) = row::number(&new.child) else { continue };
            let new = row::harmless(new);
            let known = if board.whole { old.get(&id) } else { self.rows.get(&id) };
            if let Some(words) = attention(known, &new) {
                lines.push(format!("attention: {words}"));
            } else if known.is_none_or(|old| row::state(old) != row::state(&new)) {
                lines.push(format!("{} {}: {}", new.child, new.name, row::state(&new)));
            }
            self.rows.insert(id, new);
        }
        if board.unread > self.unread {
            lines.push(format!("attention: {} unread reports for you: compere reports", board.unread));
        }
        self.unread = board.unread;
        if !self.told && self.rows.is_empty() {
            lines.push("no children".into());
        }
        self.told = true;
        lines
    }
}

/// Everyone, once, as a table in so many columns.
pub(super) fn table(board: Board, now_ms: u64, columns: Option<usize>) -> Vec<String> {
    let rows: Rows = board
        .rows
        .into_iter()
        .filter_map(|row| Some((row::number(&row.child)?, row::harmless(row))))
        .collect();
    let places = order(&rows, "");
    if places.is_empty() {
        return vec!["no children; `compere spawn shell` starts one".into()];
    }
    // What a look at two moments would tell is not there in one.
    let shown = Column::ALL.into_iter().filter(|column| !matches!(column, Column::Cpu | Column::Memory));
    let shown: Vec<Column> = shown.collect();
    let head = shown.iter().map(|column| column.head().to_owned()).collect::<Vec<_>>();
    let mut cells = vec![(" ", head)];
    cells.extend(places.iter().map(|place| {
        let row = &rows[&place.id];
        let sign = if place.rank.needs_a_person() { "!" } else { " " };
        (sign, shown.iter().map(|column| column.cell(row, place.depth, None, now_ms)).collect())
    }));
    let width = |column: usize| {
        let widths = cells.iter().map(|(_, row)| unicode_width::UnicodeWidthStr::width(&*row[column]));
        widths.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..shown.len()).map(width).collect();
    let line = |(sign, row): &(&str, Vec<String>)| {
        let row: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| pad(cell, *width)).collect();
        let line = format!("{sign} {}", row.join("  "));
        let line = line.trim_end();
        columns.map_or_else(|| line.to_owned(), |columns| fit(line, columns))
    };
    let mut lines: Vec<String> = cells.iter().map(line).collect();
    let need = rows.values().filter(|row| Rank::of(row).needs_a_person()).count();
    if need > 0 {
        lines.push(format!("{need} of {} need you", rows.len()));
    }
    if board.unread > 0 {
        lines.push(format!("{} unread reports for you: compere reports", board.unread));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::top::row::tests::{child, report},
        tools::BoardRow,
    };

    #[test]
    fn each_change_of_a_state_is_a_line() {
        let mut teller = Teller::default();
        let asks = BoardRow { what: Some("trust".into()), ..child(2, "c1", "needs_input") };
        let first =
            Board { whole: true, rows: vec![child(1, "r1", "busy"), asks.clone()], ..Board::default() };
        assert_eq!(teller.tell(first), ["c1 n1: busy", "attention: c2 n2: needs_input (trust)"]);
        let only_wrote = BoardRow { offset: 9, wrote_ms: 9, ..child(1, "r1", "busy") };
        let more = Board { rows: vec![only_wrote, asks.clone()], ..Board::default() };
        assert!(teller.tell(more).is_empty());
        let again = BoardRow { since_ms: 2_000_000, ..asks };
        let blocked = BoardRow { report: Some(report("blocked", "which?")), ..child(1, "r1", "idle") };
        let more = Board { rows: vec![again, blocked], unread: 1, ..Board::default() };
        assert_eq!(
            teller.tell(more),
            [
                "attention: c2 n2: needs_input (trust)",
                "attention: c1 n1: blocked: which?",
                "attention: 1 unread reports for you: compere reports",
            ]
        );
        let gone = Board { gone: vec!["c2".into(), "c77".into()], unread: 1, ..Board::default() };
        assert_eq!(teller.tell(gone), ["c2 n2: forgotten"]);
        // Another broker tells all from the beginning.
        let whole =
            Board { whole: true, rows: vec![child(1, "r1", "exited")], unread: 1, ..Board::default() };
        assert_eq!(teller.tell(whole), ["c1 n1: exited"]);
        assert_eq!(Teller::default().tell(Board { whole: true, ..Board::default() }), ["no children"]);
    }

    #[test]
    fn the_table_is_there_once() {
        let asks = BoardRow { what: Some("trust".into()), held: 2, ..child(3, "c1", "needs_input") };
        let rows = vec![child(1, "r1", "busy"), child(2, "r1", "idle"), asks];
        let board = Board { whole: true, rows, unread: 2, ..Board::default() };
        insta::assert_snapshot!(table(board, 1_065_000, None).join("\n"), @r"
          CHILD  NAME  STATE                SINCE  IDLE  HELD  OWNER   UNREAD  PARENT  PROGRAM  TITLE
        !  c3    n3    needs_input (trust)  1m     1m    2     agents  -       c1      sh
          c1     n1    busy                 1m     1m    -     agents  -       r1      sh
          c2     n2    idle                 1m     1m    -     agents  -       r1      sh
        1 of 3 need you
        2 unread reports for you: compere reports
        ");
        let nobody = table(Board::default(), 0, Some(10));
        assert_eq!(nobody, ["no children; `compere spawn shell` starts one"]);
    }
}
