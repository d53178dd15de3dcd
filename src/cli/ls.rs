//! `compere ls`: everyone, as a tree.

use std::process::ExitCode;

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use super::{
    client::Client,
    fail::Fail,
    out::{self, fit, pad, span, word},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print what list_children answers, all of it, as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Fail> {
    let client = Client::connect().await?;
    let list = whole_list(&client).await;
    client.close().await;
    let list = list?;
    if args.json {
        out::json(&list)?;
    } else {
        out::line(&table(&list, out::columns()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What `list_children` answers, its pages put together.
pub(super) async fn whole_list(client: &Client) -> Result<Value, Fail> {
    let mut whole: Option<Value> = None;
    let mut after = None::<String>;
    loop {
        let result = client.ask("list_children", json!({"after": after})).await?;
        let mut page = result.into_record();
        let cut = page.as_object_mut().and_then(|page| page.remove("cut")).is_some();
        after = children(&page).last().map(|last| word(last, "child").to_owned());
        match &mut whole {
            None => whole = Some(page),
            Some(whole) => {
                if let (Some(all), Some(more)) =
                    (whole["children"].as_array_mut(), page["children"].as_array_mut())
                {
                    all.append(more);
                }
            }
        }
        if !cut || after.is_none() {
            return Ok(whole.unwrap_or_default());
        }
    }
}

/// The children of a list.
pub(super) fn children(list: &Value) -> impl Iterator<Item = &Value> {
    list["children"].as_array().into_iter().flatten()
}

/// Whether a child's program has ended.
pub(super) fn ended(child: &Value) -> bool {
    word(child, "state").starts_with("exited") || word(child, "state").starts_with("lost")
}

const HEAD: [&str; 8] = ["CHILD", "NAME", "STATE", "OWNER", "WAITING", "PARENT", "PROGRAM", "TITLE"];

/// The list for a person, in so many columns.
fn table(list: &Value, columns: Option<usize>) -> String {
    let rows: Vec<[String; 8]> = tree(list).iter().map(|(depth, child)| row(*depth, child)).collect();
    let mut lines = Vec::new();
    if rows.is_empty() {
        lines.push("no children; `compere spawn shell` starts one".to_owned());
    } else {
        lines.extend(aligned(&rows, columns));
    }
    for other in list["around_you"].as_array().into_iter().flatten() {
        let (id, name) = (word(other, "child"), word(other, "name"));
        lines.push(format!("{id} {name}, your {}: {}", word(other, "is_your"), word(other, "state")));
    }
    if let Some(unread) = list["you"]["unread"].as_u64().filter(|unread| *unread > 0) {
        lines.push(format!("{unread} unread reports for you: compere reports"));
    }
    lines.join("\n")
}

fn aligned(rows: &[[String; 8]], columns: Option<usize>) -> Vec<String> {
    let head = HEAD.map(str::to_owned);
    let widths: [usize; 8] = std::array::from_fn(|column| {
        rows.iter().chain([&head]).map(|row| row[column].width()).max().unwrap_or(0)
    });
    let line = |row: &[String; 8]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| pad(cell, width));
        let line = cells.collect::<Vec<_>>().join("  ");
        let line = line.trim_end();
        columns.map_or_else(|| line.to_owned(), |columns| fit(line, columns))
    };
    [&head].into_iter().chain(rows).map(line).collect()
}

fn row(depth: usize, child: &Value) -> [String; 8] {
    let text = |field| out::plain(word(child, field)).replace(['\n', '\t'], " ");
    let since = |field: &str| span(child[field].as_u64().unwrap_or(0));
    let owner = match child["owner_who"].as_str() {
        Some(who) => format!("{} {}", out::plain(who), since("owner_since_s")),
        None => text("owner"),
    };
    let count = |field: &str| {
        child[field].as_u64().filter(|count| *count > 0).map(|count| format!("{count} {field}"))
    };
    let waiting: Vec<String> = ["held", "queued", "unread"].into_iter().filter_map(count).collect();
    [
        format!("{}{}", "  ".repeat(depth), word(child, "child")),
        text("name"),
        format!("{} {}", text("state"), since("since_s")),
        owner,
        if waiting.is_empty() { "-".into() } else { waiting.join(", ") },
        match child["hostless_s"].as_u64() {
            Some(gone) => format!("{} (host gone {})", text("parent"), span(gone)),
            None => text("parent"),
        },
        text("program"),
        text("title"),
    ]
}

/// Each child below its parent, with its depth; one whose parent is not shown begins a tree of its own.
fn tree(list: &Value) -> Vec<(usize, &Value)> {
    let all: Vec<&Value> = children(list).collect();
    let shown = |parent: &Value| all.iter().any(|child| child["child"] == *parent);
    let mut rows = Vec::new();
    let mut next: Vec<(usize, &Value)> =
        all.iter().rev().filter(|child| !shown(&child["parent"])).map(|child| (0, *child)).collect();
    while let Some((depth, child)) = next.pop() {
        rows.push((depth, child));
        next.extend(
            all.iter()
                .rev()
                .filter(|other| other["parent"] == child["child"])
                .map(|other| (depth + 1, *other)),
        );
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(id: &str, parent: &str) -> Value {
        json!({
            "child": id, "name": format!("n{id}"), "state": "idle", "since_s": 65, "owner": "orchestrator",
            "owner_since_s": 65, "parent": parent, "held": 0, "queued": 0, "program": "sh", "title": "a\u{1b}b",
        })
    }

    #[test]
    fn children_stand_below_their_parents() {
        let mut list = json!({"you": {"id": "person", "unread": 2}, "children": [
            child("c1", "r1"), child("c2", "person"), child("c3", "c1"), child("c4", "c3"), child("c5", "c1"),
        ]});
        list["children"][0]["unread"] = 3.into();
        list["children"][1]["held"] = 1.into();
        list["children"][1]["queued"] = 2.into();
        list["children"][1]["owner_who"] = "ann".into();
        insta::assert_snapshot!(table(&list, None), @r"
        CHILD   NAME  STATE    OWNER         WAITING           PARENT  PROGRAM  TITLE
        c1      nc1   idle 1m  orchestrator  3 unread          r1      sh       a�b
          c3    nc3   idle 1m  orchestrator  -                 c1      sh       a�b
            c4  nc4   idle 1m  orchestrator  -                 c3      sh       a�b
          c5    nc5   idle 1m  orchestrator  -                 c1      sh       a�b
        c2      nc2   idle 1m  ann 1m        1 held, 2 queued  person  sh       a�b
        2 unread reports for you: compere reports
        ");
        insta::assert_snapshot!(table(&list, Some(24)).lines().nth(1).unwrap_or_default(), @"c1      nc1   idle 1m  …");
    }

    #[test]
    fn a_tree_without_a_host_is_marked() {
        let mut list = json!({"you": {"id": "person"}, "children": [child("c1", "r1"), child("c2", "c1")]});
        for row in [0, 1] {
            list["children"][row]["hostless_s"] = 725.into();
        }
        insta::assert_snapshot!(table(&list, None), @r"
        CHILD  NAME  STATE    OWNER         WAITING  PARENT              PROGRAM  TITLE
        c1     nc1   idle 1m  orchestrator  -        r1 (host gone 12m)  sh       a�b
          c2   nc2   idle 1m  orchestrator  -        c1 (host gone 12m)  sh       a�b
        ");
    }

    #[test]
    fn nobody_is_said_so() {
        let list = json!({"you": {"id": "person", "unread": 0}, "children": []});
        assert_eq!(table(&list, Some(10)), "no children; `compere spawn shell` starts one");
    }
}
