//! A child in the table: who needs a person, in which order they stand, and what each column says. Plain values; knows
//! neither a terminal nor a broker.

use std::collections::{BTreeMap, HashMap};

use super::usage::Usage;
use crate::{
    cli::out::{plain, span},
    tools::{BoardReport, BoardRow},
};

/// Children by the number of their id.
pub(super) type Rows = BTreeMap<u32, BoardRow>;

/// How urgent a child is: those first come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// Asks something.
    Asks,
    /// Reported that it cannot go on, and nothing was sent to it since.
    Blocked,
    /// Its keeper is gone.
    Lost,
    /// Reported that it gave up, and nobody has read that.
    Failed,
    /// At work, or nobody knows.
    Busy,
    Idle,
    Ended,
}

impl Rank {
    pub(super) fn of(row: &BoardRow) -> Rank {
        let ended = matches!(row.state.as_str(), "exited" | "lost");
        match (row.state.as_str(), &row.report) {
            ("needs_input", _) => Rank::Asks,
            (_, Some(report)) if !ended && report.status == "blocked" && !report.answered => Rank::Blocked,
            ("lost", _) => Rank::Lost,
            (_, Some(report)) if report.status == "failed" && report.unread && !report.answered => {
                Rank::Failed
            }
            ("exited", _) => Rank::Ended,
            ("idle", _) => Rank::Idle,
            _ => Rank::Busy,
        }
    }

    /// Whether a person is needed.
    pub(super) fn needs_a_person(self) -> bool {
        self < Rank::Busy
    }
}

/// Where a child stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The number of its id.
    pub(super) id: u32,
    /// How deep in its tree.
    pub(super) depth: usize,
    pub(super) rank: Rank,
}

/// A child's number from its id.
pub(super) fn number(id: &str) -> Option<u32> {
    id.strip_prefix('c')?.parse().ok()
}

/// What the table holds: the urgent first, and children below their parents among those that are equally so. Only what
/// has all the filter's words in some column.
pub(super) fn order(rows: &Rows, filter: &str) -> Vec<Place> {
    let mut below: HashMap<Option<u32>, Vec<u32>> = HashMap::new();
    for (id, row) in rows {
        let parent = number(&row.parent).filter(|parent| rows.contains_key(parent));
        below.entry(parent).or_default().push(*id);
    }
    let words: Vec<String> = filter.split_whitespace().map(str::to_lowercase).collect();
    let mut places = Vec::with_capacity(rows.len());
    let mut next: Vec<(u32, usize)> =
        below.remove(&None).unwrap_or_default().into_iter().rev().map(|id| (id, 0)).collect();
    while let Some((id, depth)) = next.pop() {
        let row = &rows[&id];
        if words.iter().all(|word| has(row, word)) {
            places.push(Place { id, depth, rank: Rank::of(row) });
        }
        next.extend(below.remove(&Some(id)).unwrap_or_default().into_iter().rev().map(|id| (id, depth + 1)));
    }
    places.sort_by_key(|place| place.rank);
    places
}

fn has(row: &BoardRow, word: &str) -> bool {
    let texts = [&row.child, &row.name, &row.state, &row.owner, &row.parent, &row.program];
    let more = [&row.what, &row.title].into_iter().flatten();
    texts.into_iter().chain(more).any(|text| text.to_lowercase().contains(word))
}

/// A row in which nothing acts on a terminal, whoever wrote it.
pub(super) fn harmless(row: BoardRow) -> BoardRow {
    let line = |text: String| plain(&text).replace(['\n', '\t'], " ");
    BoardRow {
        name: line(row.name),
        what: row.what.map(line),
        why: line(row.why),
        owner: line(row.owner),
        program: line(row.program),
        title: row.title.map(line),
        report: row.report.map(|report| BoardReport { message: plain(&report.message), ..report }),
        ..row
    }
}

/// Its state in words: `needs_input (trust)`, `blocked: which branch?`.
pub(super) fn state(row: &BoardRow) -> String {
    let of_report = |report: &BoardReport| {
        format!("{}: {}", report.status, report.message.lines().next().unwrap_or_default())
    };
    match (Rank::of(row), &row.report, &row.what) {
        (Rank::Blocked | Rank::Failed, Some(report), _) => of_report(report),
        (_, _, Some(what)) => format!("{} ({what})", row.state),
        _ => row.state.clone(),
    }
}

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Child,
    Name,
    State,
    Since,
    Idle,
    Held,
    Owner,
    Mail,
    Cpu,
    Memory,
    Parent,
    Program,
    Title,
}

impl Column {
    /// In the order they stand in.
    pub(super) const ALL: [Column; 13] = [
        Column::Child,
        Column::Name,
        Column::State,
        Column::Since,
        Column::Idle,
        Column::Held,
        Column::Owner,
        Column::Mail,
        Column::Cpu,
        Column::Memory,
        Column::Parent,
        Column::Program,
        Column::Title,
    ];

    pub(super) fn head(self) -> &'static str {
        match self {
            Column::Child => "CHILD",
            Column::Name => "NAME",
            Column::State => "STATE",
            Column::Since => "SINCE",
            Column::Idle => "IDLE",
            Column::Held => "HELD",
            Column::Owner => "OWNER",
            Column::Mail => "UNREAD",
            Column::Cpu => "CPU%",
            Column::Memory => "MEM",
            Column::Parent => "PARENT",
            Column::Program => "PROGRAM",
            Column::Title => "TITLE",
        }
    }

    /// The least and the most columns of the terminal it wants.
    pub(super) fn width(self) -> (usize, usize) {
        match self {
            Column::Child => (7, 10),
            Column::Name => (8, 24),
            Column::State => (14, 40),
            Column::Since | Column::Idle => (5, 5),
            Column::Held | Column::Cpu => (5, 6),
            Column::Owner => (8, 14),
            Column::Mail | Column::Memory | Column::Parent => (6, 6),
            Column::Program => (7, 12),
            Column::Title => (5, 40),
        }
    }

    /// What it says of a child.
    pub(super) fn cell(self, row: &BoardRow, depth: usize, usage: Option<Usage>, now_ms: u64) -> String {
        let ago = |then: u64| span(now_ms.saturating_sub(then) / 1000);
        let ended = matches!(row.state.as_str(), "exited" | "lost");
        match self {
            Column::Child => format!("{}{}", " ".repeat(depth.min(4)), row.child),
            Column::Name => row.name.clone(),
            Column::State => state(row),
            Column::Since => ago(row.since_ms),
            Column::Idle if ended => "-".into(),
            Column::Idle => ago(row.wrote_ms),
            Column::Held => match (row.held, row.queued) {
                (0, 0) => "-".into(),
                (held, 0) => held.to_string(),
                (held, queued) => format!("{held}+{queued}"),
            },
            Column::Owner if row.person => format!("{} {}", row.owner, ago(row.owner_since_ms)),
            Column::Owner => "agents".into(),
            Column::Mail => {
                if row.unread > 0 {
                    row.unread.to_string()
                } else {
                    "-".into()
                }
            }
            Column::Cpu => usage.map_or_else(|| "-".into(), |usage| format!("{:.0}", usage.cpu)),
            Column::Memory => usage.map_or_else(|| "-".into(), |usage| bytes(usage.memory)),
            Column::Parent if row.hostless => format!("{}?", row.parent),
            Column::Parent => row.parent.clone(),
            Column::Program => row.program.clone(),
            Column::Title => row.title.clone().unwrap_or_default(),
        }
    }
}

/// Which columns there is room for, and how wide each is: one blank is between two. What is left goes to those whose
/// cells want it.
pub(super) fn columns(width: usize, wanted: impl Fn(Column) -> usize) -> Vec<(Column, usize)> {
    /// Where a terminal is at least this wide, names and states are seen whole before anything else is added.
    const AMPLE: usize = 60;
    let mut taken = 0;
    let mut fit = Vec::new();
    for column in Column::ALL {
        let least = match (column, column.width().0) {
            (Column::Name, least) if width >= AMPLE => wanted(column).clamp(least, 14),
            (Column::State, least) if width >= AMPLE => wanted(column).clamp(least, 24),
            (_, least) => least,
        };
        if taken + least + usize::from(!fit.is_empty()) > width {
            break;
        }
        taken += least + usize::from(!fit.is_empty());
        fit.push((column, least));
    }
    for wide in [Column::Child, Column::Name, Column::State, Column::Owner, Column::Program, Column::Title] {
        if let Some((column, has)) = fit.iter_mut().find(|(column, _)| *column == wide) {
            let most = wanted(wide).min(column.width().1).max(*has);
            let more = (most - *has).min(width.saturating_sub(taken));
            *has += more;
            taken += more;
        }
    }
    fit
}

/// Bytes in the largest unit that tells enough.
fn bytes(count: u64) -> String {
    match count >> 20 {
        0 => format!("{}K", count >> 10),
        mib @ 1..1024 => format!("{mib}M"),
        mib => format!("{:.1}G", mib as f64 / 1024.0),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A child in this state.
    pub(in crate::cli::top) fn child(id: u32, parent: &str, state: &str) -> BoardRow {
        BoardRow {
            child: format!("c{id}"),
            name: format!("n{id}"),
            parent: parent.into(),
            state: state.into(),
            why: "a rule".into(),
            owner: "orchestrator".into(),
            program: "sh".into(),
            since_ms: 1_000_000,
            wrote_ms: 1_000_000,
            keeper: 100 + id as i32,
            ..BoardRow::default()
        }
    }

    /// The newest report of a child.
    pub(in crate::cli::top) fn report(status: &str, message: &str) -> BoardReport {
        BoardReport {
            number: 1,
            to: "person".into(),
            status: status.into(),
            message: message.into(),
            at_ms: 1_000_000,
            unread: true,
            answered: false,
        }
    }

    #[test]
    fn who_needs_a_person_is_known() {
        let reported = |state: &str, status: &str, unread, answered| BoardRow {
            report: Some(BoardReport { unread, answered, ..report(status, "x") }),
            ..child(1, "r1", state)
        };
        for (row, rank) in [
            (child(1, "r1", "needs_input"), Rank::Asks),
            (reported("needs_input", "blocked", true, false), Rank::Asks),
            (reported("idle", "blocked", true, false), Rank::Blocked),
            (reported("idle", "blocked", false, false), Rank::Blocked),
            (reported("idle", "blocked", false, true), Rank::Idle),
            (reported("exited", "blocked", true, false), Rank::Ended),
            (child(1, "r1", "lost"), Rank::Lost),
            (reported("exited", "failed", true, false), Rank::Failed),
            (reported("idle", "failed", false, false), Rank::Idle),
            (reported("busy", "done", true, false), Rank::Busy),
            (child(1, "r1", "starting"), Rank::Busy),
            (child(1, "r1", "unknown"), Rank::Busy),
            (child(1, "r1", "limited"), Rank::Busy),
        ] {
            assert_eq!(Rank::of(&row), rank, "{row:?}");
            assert_eq!(rank.needs_a_person(), rank < Rank::Busy);
        }
    }

    fn rows(rows: Vec<BoardRow>) -> Rows {
        rows.into_iter().map(|row| (number(&row.child).unwrap(), row)).collect()
    }

    #[test]
    fn the_urgent_come_first_and_children_stand_below_their_parents() {
        let all = rows(vec![
            child(1, "r1", "idle"),
            child(2, "person", "busy"),
            child(3, "c1", "idle"),
            child(4, "c3", "needs_input"),
            child(5, "c1", "idle"),
            child(6, "c99", "exited"),
            child(7, "c2", "busy"),
        ]);
        let order = |filter: &str| {
            order(&all, filter).iter().map(|place| (place.id, place.depth)).collect::<Vec<_>>()
        };
        assert_eq!(order(""), [(4, 2), (2, 0), (7, 1), (1, 0), (3, 1), (5, 1), (6, 0)]);
        assert_eq!(order("IDLE n5"), [(5, 1)]);
        assert_eq!(order("nobody"), []);
    }

    #[test]
    fn two_who_call_each_other_parent_are_in_no_loop() {
        let all = rows(vec![child(1, "c2", "idle"), child(2, "c1", "idle"), child(3, "r1", "idle")]);
        assert_eq!(order(&all, "").len(), 1);
    }

    #[test]
    fn the_columns_fit_and_what_matters_most_is_there() {
        for width in 0..300 {
            let columns = columns(width, |_| 1000);
            let taken: usize = columns.iter().map(|(_, width)| width + 1).sum();
            assert!(taken <= width + 1, "{width}: {columns:?}");
        }
        let names =
            |width| columns(width, |_| 0).into_iter().map(|(column, _)| column.head()).collect::<Vec<_>>();
        assert_eq!(names(38), ["CHILD", "NAME", "STATE", "SINCE"]);
        assert_eq!(names(200).len(), Column::ALL.len());
    }

    #[test]
    fn a_cell_says_what_there_is() {
        let now = 1_065_000;
        let row = BoardRow {
            held: 2,
            queued: 1,
            unread: 3,
            owner: "ada".into(),
            person: true,
            owner_since_ms: 1_060_000,
            what: Some("trust".into()),
            hostless: true,
            ..child(1, "r1", "needs_input")
        };
        let usage = Some(Usage { cpu: 12.6, memory: 3 << 29 });
        let cells: Vec<String> = Column::ALL.iter().map(|column| column.cell(&row, 1, usage, now)).collect();
        assert_eq!(cells[..8], [" c1", "n1", "needs_input (trust)", "1m", "1m", "2+1", "ada 5s", "3"]);
        assert_eq!(cells[8..], ["13", "1.5G", "r1?", "sh", ""]);
        let blocked =
            BoardRow { report: Some(report("blocked", "which\nbranch?")), ..child(1, "r1", "idle") };
        assert_eq!(state(&blocked), "blocked: which");
        assert_eq!(Column::Idle.cell(&child(1, "r1", "exited"), 0, None, now), "-");
    }

    #[test]
    fn nothing_in_a_row_acts_on_a_terminal() {
        let row = BoardRow {
            name: "a\x1b[2J".into(),
            title: Some("b\nc\u{9b}".into()),
            what: Some("\x07".into()),
            report: Some(report("blocked", "d\x1b]0;e\n")),
            ..child(1, "r1", "idle")
        };
        let row = harmless(row);
        let all = format!("{}{:?}{:?}", row.name, row.title, row.what) + &row.report.unwrap().message;
        assert!(!all.contains(|c: char| c.is_control() && c != '\n'), "{all:?}");
    }
}
