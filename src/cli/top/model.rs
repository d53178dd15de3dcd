//! What `compere top` knows and shows, as a plain value: events go in, the wishes that follow come out. Knows neither a
//! terminal nor a broker, and is told the time.

use std::collections::HashMap;

use super::{
    edit::Edit,
    keys::Key,
    layout,
    row::{self, Place, Rank, Rows},
    usage::Usage,
};
use crate::tools::Board;

mod browse;
mod modes;

/// What happened.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A key was pressed.
    Key(Key),
    /// A text was pasted.
    Paste(String),
    /// The terminal has this many columns and rows.
    Size(u16, u16),
    /// It is this many milliseconds after 1970.
    Time(u64),
    /// A broker has taken us.
    Linked,
    /// The broker is gone, or there is none, and why.
    Lost(String),
    /// What has changed.
    Board(Board),
    /// What each child uses.
    Usage(HashMap<u32, Usage>),
    /// The lines of a child's screen.
    Screen(Preview),
    /// Something that was asked for is done, or not.
    Said(Result<String, String>),
    /// The presets there are.
    Presets(Vec<String>),
    /// The person's own inbox.
    Letters(Vec<Letter>),
}

/// What shall be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Leave this, and attach to a child.
    Attach(String),
    /// Leave this, and watch a child.
    Watch(String),
    /// Show this child's screen, or none.
    Look(Option<String>),
    /// Type a message into a child.
    Send { to: String, text: String },
    /// End a child.
    Stop(String),
    /// Tell which presets there are.
    ListPresets,
    /// Start a preset under a name.
    Spawn { preset: String, name: Option<String> },
    /// Read the person's inbox.
    ReadInbox,
    /// A child begins to need a person: in words.
    Alert(String),
    /// End.
    Quit,
}

/// A child's screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Preview {
    /// Whose.
    pub(super) child: String,
    /// Its lines.
    pub(super) lines: Vec<String>,
    /// The terminal's size.
    pub(super) rows: u16,
    pub(super) cols: u16,
}

/// A report, wherever it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Letter {
    /// The child that reported.
    pub(super) from: String,
    /// Its name.
    pub(super) name: String,
    /// Whose inbox it is in; nothing for the person's own.
    pub(super) to: Option<String>,
    /// `progress`, `done`, `blocked` or `failed`.
    pub(super) status: String,
    /// What it says.
    pub(super) message: String,
    /// When it came, in milliseconds after 1970.
    pub(super) at_ms: u64,
    /// Nobody had read it.
    pub(super) unread: bool,
}

/// What the keys mean now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// Going about in the table.
    #[default]
    Browse,
    /// Typing a filter; the old one comes back if it is given up.
    Filter { edit: Edit, before: String },
    /// Typing a message.
    Message { to: String, edit: Edit },
    /// To be asked whether this child shall be stopped.
    Stop { child: String },
    /// Choosing a preset.
    Presets { names: Vec<String>, at: usize },
    /// Typing a name for what is to be started.
    Name { preset: String, edit: Edit },
    /// Reading reports.
    Inbox { at: usize, first: usize },
    /// Reading what the keys mean.
    Help,
}

/// What stands in the last line until the next key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) text: String,
    /// It did not go as it should.
    pub(super) bad: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) rows: Rows,
    /// What the table shows, in its order.
    pub(super) places: Vec<Place>,
    /// The chosen child.
    pub(super) chosen: Option<u32>,
    /// The first place that is seen.
    pub(super) first: usize,
    pub(super) usage: HashMap<u32, Usage>,
    pub(super) filter: String,
    pub(super) mode: Mode,
    pub(super) notice: Option<Notice>,
    /// Why there is no broker.
    pub(super) lost: Option<String>,
    pub(super) preview: Option<Preview>,
    /// Reports for the person that nobody has read.
    pub(super) unread: usize,
    /// The person's inbox, newest first, and what others were reported that a person may want to see.
    pub(super) letters: Vec<Letter>,
    pub(super) now_ms: u64,
    pub(super) size: (u16, u16),
    /// Whether this program can attach to a child.
    pub(super) can_attach: bool,
    /// A broker has told who there is.
    pub(super) told: bool,
}

impl Model {
    /// Takes one event in; answers what shall be done, in order.
    pub(super) fn reduce(&mut self, event: Event) -> Vec<Wish> {
        let before = self.chosen;
        let mut wishes = match event {
            Event::Key(key) => self.key(key),
            Event::Paste(text) => self.paste(&text),
            Event::Size(cols, rows) => {
                self.size = (cols, rows);
                Vec::new()
            }
            Event::Time(now_ms) => {
                self.now_ms = now_ms;
                Vec::new()
            }
            Event::Linked => {
                self.lost = None;
                Vec::new()
            }
            Event::Lost(why) => {
                self.lost = Some(why);
                Vec::new()
            }
            Event::Board(board) => self.board(board),
            Event::Usage(usage) => {
                self.usage = usage;
                Vec::new()
            }
            Event::Screen(preview) => {
                if self.chosen_child().is_some_and(|child| *child == preview.child) {
                    self.preview = Some(preview);
                }
                Vec::new()
            }
            Event::Said(said) => {
                let bad = said.is_err();
                let text = said.unwrap_or_else(|why| why);
                self.notice = Some(Notice { text: one_line(&text), bad });
                Vec::new()
            }
            Event::Presets(names) => {
                if names.is_empty() {
                    self.notice = Some(Notice { text: "there are no presets".into(), bad: true });
                } else {
                    self.mode = Mode::Presets { names, at: 0 };
                }
                Vec::new()
            }
            Event::Letters(letters) => {
                self.letters = letters;
                self.letters.extend(self.letters_to_others());
                self.letters.sort_by_key(|letter| std::cmp::Reverse(letter.at_ms));
                Vec::new()
            }
        };
        self.keep_in_sight();
        if self.chosen != before {
            self.preview = None;
            wishes.push(Wish::Look(self.chosen_child().cloned()));
        }
        wishes
    }

    /// The chosen child's id.
    pub(super) fn chosen_child(&self) -> Option<&String> {
        Some(&self.rows.get(&self.chosen?)?.child)
    }

    /// Where the chosen child stands.
    pub(super) fn at(&self) -> Option<usize> {
        let chosen = self.chosen?;
        self.places.iter().position(|place| place.id == chosen)
    }

    /// How many of the table's rows are seen.
    pub(super) fn page(&self) -> usize {
        usize::from(layout::areas(self.size).table.height).saturating_sub(1)
    }

    /// How many are in each state, for the head line.
    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts { all: self.rows.len(), ..Counts::default() };
        for row in self.rows.values() {
            match Rank::of(row) {
                rank if rank.needs_a_person() => counts.need += 1,
                Rank::Idle => counts.idle += 1,
                Rank::Ended => counts.ended += 1,
                _ => counts.busy += 1,
            }
        }
        counts
    }

    fn board(&mut self, board: Board) -> Vec<Wish> {
        let mut alerts = Vec::new();
        let old = if board.whole { std::mem::take(&mut self.rows) } else { Rows::new() };
        for child in board.gone {
            row::number(&child).map(|id| self.rows.remove(&id));
        }
        for new in board.rows {
            let Some(id) = row::number(&new.child) else { continue };
            let new = row::harmless(new);
            let known = if board.whole { old.get(&id) } else { self.rows.get(&id) };
            if let Some(words) = attention(known, &new).filter(|_| self.told) {
                alerts.push(Wish::Alert(words));
            }
            self.rows.insert(id, new);
        }
        self.unread = board.unread;
        self.told = true;
        self.arrange();
        alerts
    }

    /// Puts the rows in their order, and keeps the choice: on its child, or else where that was.
    fn arrange(&mut self) {
        let at = self.at().unwrap_or(0);
        self.places = row::order(&self.rows, &self.filter);
        if self.at().is_none() {
            self.chosen = self.places.get(at.min(self.places.len().saturating_sub(1))).map(|place| place.id);
        }
    }

    /// Scrolls so that the chosen one is seen, and no further than need be.
    fn keep_in_sight(&mut self) {
        let (page, at) = (self.page().max(1), self.at().unwrap_or(0));
        let last = self.places.len().saturating_sub(page);
        self.first = self.first.clamp(at.saturating_sub(page - 1), at).min(last);
    }

    /// Reports to agents that a person may want to see: what is blocked, has failed, or was not read.
    fn letters_to_others(&self) -> Vec<Letter> {
        let open = self.rows.values().filter_map(|row| {
            let report = row.report.as_ref()?;
            let open = report.unread || Rank::of(row) == Rank::Blocked;
            (open && report.to != "person").then(|| Letter {
                from: row.child.clone(),
                name: row.name.clone(),
                to: Some(report.to.clone()),
                status: report.status.clone(),
                message: report.message.clone(),
                at_ms: report.at_ms,
                unread: report.unread,
            })
        });
        open.collect()
    }
}

/// See [`Model::counts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) all: usize,
    pub(super) need: usize,
    pub(super) busy: usize,
    pub(super) idle: usize,
    pub(super) ended: usize,
}

/// In words, that a child begins to need a person; nothing if it does not, or did so before.
pub(super) fn attention(
    old: Option<&crate::tools::BoardRow>,
    new: &crate::tools::BoardRow,
) -> Option<String> {
    // When it began to: the same words may be a new question.
    let since = |row: &crate::tools::BoardRow| match Rank::of(row) {
        Rank::Asks | Rank::Lost => row.since_ms,
        _ => row.report.as_ref().map_or(0, |report| report.number),
    };
    let rank = Rank::of(new);
    let same = |old: &crate::tools::BoardRow| (Rank::of(old), since(old)) == (rank, since(new));
    (rank.needs_a_person() && !old.is_some_and(same))
        .then(|| format!("{} {}: {}", new.child, new.name, row::state(new)))
}

/// The first line of a text, and a sign that there was more.
pub(super) fn one_line(text: &str) -> String {
    let text = crate::cli::out::plain(text.trim());
    match text.split_once('\n') {
        Some((first, _)) => format!("{first} …"),
        None => text,
    }
}

#[cfg(test)]
mod tests;
