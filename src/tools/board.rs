//! What `compere top` asks for: everyone at once, and from then on what has changed, as soon as it has. No tool that
//! hosts are told of.

use std::{collections::HashMap, time::Duration};

use rmcp::{ErrorData, model::CustomResult};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{sync::Mutex, time::Instant};

use super::{
    Server,
    answer::cut,
    explain::{answer, left, wish},
};
use crate::{
    child::{owner::Owner, state::State},
    registry::board::{Seen, ms},
};

/// The name it is called by.
pub const BOARD: &str = "compere/board";

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
pub struct BoardWish {
    /// How long to wait for a change, in milliseconds; at most a minute.
    pub wait_ms: u64,
}

/// What has changed since the last answer on this connection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Board {
    /// This is everyone: the first answer.
    pub whole: bool,
    /// Children that are new, or of which something has changed.
    pub rows: Vec<BoardRow>,
    /// Children who are not there any more.
    pub gone: Vec<String>,
    /// Reports in the caller's own inbox that it has not read.
    pub unread: usize,
}

/// A child. Times are milliseconds after 1970, so that mere time changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BoardRow {
    /// Its id.
    pub child: String,
    /// Its name.
    pub name: String,
    /// Whose child it is.
    pub parent: String,
    /// Its state in a word.
    pub state: String,
    /// What it asks for, or how it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// Which rule said so.
    pub why: String,
    /// Since when.
    pub since_ms: u64,
    /// `orchestrator`, or the person's name.
    pub owner: String,
    /// A person holds its input.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub person: bool,
    /// Since when.
    pub owner_since_ms: u64,
    /// Messages that wait for the person to give the input back.
    pub held: usize,
    /// Messages that wait for their turn.
    pub queued: usize,
    /// Reports to it that it has not read.
    pub unread: usize,
    /// Its newest report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<BoardReport>,
    /// Its program.
    pub program: String,
    /// The title its program set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its tree's host is gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hostless: bool,
    /// What it has written so far.
    pub offset: u64,
    /// When the newest of that came.
    pub wrote_ms: u64,
    /// Its keeper's process, from which all it started descends.
    pub keeper: i32,
}

/// A child's newest report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BoardReport {
    /// Its number in the inbox it went into.
    pub number: u64,
    /// Whose that is.
    pub to: String,
    /// `progress`, `done`, `blocked` or `failed`.
    pub status: String,
    /// The beginning of what it says.
    pub message: String,
    /// When it came.
    pub at_ms: u64,
    /// Nobody has read it.
    pub unread: bool,
    /// Something was sent to the child since.
    pub answered: bool,
}

/// What this connection was answered last.
pub(super) type Told = Mutex<Option<HashMap<String, BoardRow>>>;

impl BoardRow {
    fn new(seen: &Seen) -> Self {
        let (found, status) = (&seen.found, seen.found.status());
        let what = match &status.state {
            State::NeedsInput { what } => Some(what.clone()),
            State::Exited(exit) => Some(exit.to_string()),
            _ => None,
        };
        let (owner, person) = match &status.owner {
            Owner::Person { who, .. } => (who.clone(), true),
            Owner::Orchestrator { .. } => (status.owner.word().to_owned(), false),
        };
        let written = *found.child.written().borrow();
        let report = seen.report.as_ref().map(|(latest, unread)| BoardReport {
            number: latest.number,
            to: latest.to.to_string(),
            status: latest.status.word().to_owned(),
            message: latest.message.clone(),
            at_ms: ms(latest.at),
            unread: *unread,
            answered: latest.answered,
        });
        BoardRow {
            child: found.node.id.to_string(),
            name: found.node.name.clone(),
            parent: found.node.parent.to_string(),
            state: status.state.word().to_owned(),
            what,
            why: cut(&status.why, 120),
            since_ms: ms(status.since),
            owner,
            person,
            owner_since_ms: ms(status.owner.since()),
            held: status.held,
            queued: status.queued,
            unread: seen.unread,
            report,
            program: found.facts.program.clone(),
            title: status.title.as_deref().map(|title| cut(title, 80)),
            hostless: found.hostless.is_some(),
            offset: written.end.0,
            wrote_ms: ms(written.at),
            keeper: found.child.keeper(),
        }
    }

    /// Nothing but output came between the two.
    fn only_wrote(&self, new: &BoardRow) -> bool {
        let old = BoardRow { offset: new.offset, wrote_ms: new.wrote_ms, ..self.clone() };
        old == *new
    }
}

impl Server {
    /// Everyone, or what has changed since the last answer: at once if something else than output has, and after the
    /// time that was asked for in any case.
    pub(super) async fn board(&self, params: Option<Value>) -> Result<CustomResult, ErrorData> {
        /// Several changes come together: one answer for all of them.
        const TOGETHER: Duration = Duration::from_millis(40);
        const MOST_MS: u64 = 60_000;
        let ask: BoardWish = wish(params)?;
        let deadline = Instant::now() + Duration::from_millis(ask.wait_ms.min(MOST_MS));
        let mut told = self.board.lock().await;
        let mut pulse = self.registry.pulse();
        loop {
            pulse.borrow_and_update();
            let (board, news) = self.changed(told.as_ref());
            if news || board.whole || Instant::now() >= deadline {
                let known = told.get_or_insert_default();
                board.gone.iter().for_each(|child| drop(known.remove(child)));
                known.extend(board.rows.iter().map(|row| (row.child.clone(), row.clone())));
                return answer(&board);
            }
            tokio::select! {
                _ = pulse.changed() => tokio::time::sleep(TOGETHER).await,
                () = tokio::time::sleep_until(deadline) => {}
                () = self.gone.cancelled() => return Err(left()),
            }
        }
    }

    /// What is not as it was told, and whether that is more than output.
    fn changed(&self, told: Option<&HashMap<String, BoardRow>>) -> (Board, bool) {
        let now: Vec<BoardRow> = self.registry.board(self.caller).iter().map(BoardRow::new).collect();
        let (unread, _) = self.registry.unread(self.caller, 0);
        let Some(told) = told else {
            return (Board { whole: true, rows: now, gone: Vec::new(), unread }, true);
        };
        let there: std::collections::HashSet<&str> = now.iter().map(|row| row.child.as_str()).collect();
        let gone: Vec<String> =
            told.keys().filter(|child| !there.contains(child.as_str())).cloned().collect();
        let news = |row: &BoardRow| told.get(&row.child).is_none_or(|old| !old.only_wrote(row));
        let more = !gone.is_empty() || now.iter().any(news);
        let rows = now.into_iter().filter(|row| told.get(&row.child) != Some(row)).collect();
        (Board { whole: false, rows, gone, unread }, more)
    }
}
