//! `compere log`: what happened, from the journal. Needs no broker but to know a child by its name.

use std::process::ExitCode;

use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use super::{
    client::Client,
    fail::Fail,
    ls,
    out::{self, fit, pad, word},
};
use crate::{
    front,
    id::ChildId,
    ipc::{
        door::Door,
        hello::{Hello, Role},
        home::Home,
    },
    journal::{Logged, NotWritten, read_log},
};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each line is a time (UTC), a child, what happened in a word, and that in a line. What \
children wrote is not in it: `compere read` shows that."
)]
pub(super) struct Args {
    /// Only what happened to this child: its id, or its name while a broker runs.
    #[arg(value_name = "CHILD")]
    child: Option<String>,
    /// The newest so many.
    #[arg(long, default_value_t = 50)]
    lines: usize,
    /// Print them as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Fail> {
    let door = Door::open().map_err(|error| Fail::Said(error.to_string()))?;
    let child = match &args.child {
        None => None,
        Some(who) => Some(match who.parse::<ChildId>() {
            Ok(id) => id,
            Err(()) => named(&door, who).await?,
        }),
    };
    let events = read_log(&Home::look(&door).state, child, args.lines).map_err(unread)?;
    if let Some(child) = child.filter(|_| events.is_empty() && args.lines > 0) {
        return Err(Fail::Said(format!(
            "the journal has nothing of {child}; `compere log` shows all there is"
        )));
    }
    if args.json {
        out::json(&events.iter().map(record).collect())?;
    } else {
        out::line(&table(&events, out::columns()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The newest child of that name. Only a broker knows names, and none is started to ask.
async fn named(door: &Door, name: &str) -> Result<ChildId, Fail> {
    let (workspace, cwd) = front::whereabouts();
    let connected = front::join(&door.socket(), &Hello::new(Role::Person, workspace, cwd)).await;
    let connected = connected.map_err(|error| {
        Fail::NoBroker(format!("{error}; without a broker a child is known by its id alone, such as c3"))
    })?;
    let client = Client::over(connected).await?;
    let list = ls::whole_list(&client).await;
    client.close().await;
    let list = list?;
    let around = list["around_you"].as_array().into_iter().flatten();
    let all = ls::children(&list).chain(around).chain([&list["you"]]);
    let newest = all.filter(|row| word(row, "name") == name).filter_map(|row| {
        let id = if row["child"].is_string() { "child" } else { "id" };
        word(row, id).parse::<ChildId>().ok()
    });
    newest.max().ok_or_else(|| Fail::Said(format!("there is no child {name}; `compere ls` lists all")))
}

fn unread(error: NotWritten) -> Fail {
    Fail::Said(match error {
        NotWritten::Corrupt { path } => {
            format!(
                "the journal cannot be read: {} is corrupt; the next broker sets it aside",
                path.display()
            )
        }
        NotWritten::Io { path, why } => format!("the journal cannot be read: {}: {why}", path.display()),
        NotWritten::Full { path } | NotWritten::ReadOnly { path } => {
            format!("the journal cannot be read: no right to open {}", path.display())
        }
    })
}

/// Whole seconds, in UTC: the same text wherever it is read.
fn time(at_ms: i64) -> String {
    DateTime::from_timestamp_millis(at_ms)
        .map_or_else(|| "?".into(), |at| at.to_rfc3339_opts(SecondsFormat::Secs, true))
}

fn record(event: &Logged) -> Value {
    let mut record = serde_json::to_value(event).unwrap_or_default();
    record["at"] = json!(time(event.at_ms));
    record
}

fn table(events: &[Logged], columns: Option<usize>) -> String {
    if events.is_empty() {
        return "nothing has happened yet".to_owned();
    }
    let line = |event: &Logged| {
        let child = event.child.map_or_else(|| "-".into(), |id| id.to_string());
        let text = out::plain(&event.text).replace(['\n', '\t'], " ");
        let line = format!("{}  {}  {}  {text}", time(event.at_ms), pad(&child, 4), pad(&event.kind, 8));
        let line = line.trim_end();
        columns.map_or_else(|| line.to_owned(), |columns| fit(line, columns))
    };
    events.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_told_in_lines_that_act_on_no_terminal() {
        let event = |at_ms, child, kind: &str, text: &str| Logged {
            at_ms,
            child,
            kind: kind.into(),
            text: text.into(),
        };
        let events = [
            event(0, None, "root", "r1 is held by process 7"),
            event(1_700_000_000_999, Some(ChildId(12)), "spawned", "a\u{1b}[2J\nb by r1"),
            event(i64::MAX, Some(ChildId(1)), "ended", "exited (exit code 0): its keeper says so"),
        ];
        insta::assert_snapshot!(table(&events, Some(60)), @r"
        1970-01-01T00:00:00Z  -     root      r1 is held by process…
        2023-11-14T22:13:20Z  c12   spawned   a�[2J b by r1
        ?  c1    ended     exited (exit code 0): its keeper says so
        ");
        assert_eq!(table(&[], None), "nothing has happened yet");
        assert_eq!(record(&events[0])["at"], "1970-01-01T00:00:00Z");
    }
}
