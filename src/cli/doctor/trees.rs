//! What the broker says of its children that somebody may have to do something about: trees that no host holds, and
//! children that were lost.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::finding::Finding;
use crate::cli::{
    ls,
    out::{span, word},
};

/// What stands out in a list of children.
pub(super) fn look(list: &Value) -> Vec<Finding> {
    let mut findings = hostless(list);
    findings.extend(lost(list));
    findings
}

/// Each root whose host is gone, with what still runs below it.
fn hostless(list: &Value) -> Vec<Finding> {
    let parents: HashMap<&str, &str> =
        ls::children(list).map(|row| (word(row, "child"), word(row, "parent"))).collect();
    let top = |row: &Value| {
        let above = |who: &&str| parents.get(who).copied();
        // No longer than a tree is deep: a list that was made while children came and went could have a loop.
        std::iter::successors(parents.get(word(row, "child")).copied(), above)
            .take(100)
            .last()
            .unwrap_or_default()
    };
    let mut trees: BTreeMap<&str, (u64, Vec<String>)> = BTreeMap::new();
    for row in ls::children(list).filter(|row| !ls::ended(row)) {
        let Some(gone) = row["hostless_s"].as_u64() else { continue };
        let tree = trees.entry(top(row)).or_default();
        *tree = (gone, std::mem::take(&mut tree.1));
        tree.1.push(name(row));
    }
    let each = |(root, (gone, names)): (&str, (u64, Vec<String>))| {
        let found =
            format!("the host of {root} has been gone for {}; {} go on", span(gone), names.join(", "));
        let todo = "the next MCP host in the same workspace takes them over; `compere stop ID` ends one with all below";
        Finding::warn("hostless", found, todo)
    };
    trees.into_iter().map(each).collect()
}

/// Children whose keeper has died.
fn lost(list: &Value) -> Option<Finding> {
    let lost: Vec<String> = ls::children(list)
        .filter(|row| word(row, "state") == "lost")
        .map(|row| format!("{}: {}", name(row), word(row, "why")))
        .collect();
    let todo = "their parents were told; `compere read ID` shows the last output, `compere spawn --resume ID` goes on \
                with one that has a session";
    (!lost.is_empty()).then(|| Finding::warn("lost", lost.join("; "), todo))
}

fn name(row: &Value) -> String {
    format!("{} ({})", word(row, "child"), word(row, "name"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn trees_without_a_host_and_lost_children_are_told_with_what_to_do() {
        let row = |child: &str, parent: &str, state: &str, gone: Option<u64>| {
            let mut row = json!({"child": child, "name": format!("n-{child}"), "parent": parent, "state": state, "why": "its keeper died"});
            if let Some(gone) = gone {
                row["hostless_s"] = gone.into();
            }
            row
        };
        let list = json!({"children": [
            row("c1", "r1", "busy", Some(725)),
            row("c2", "c1", "idle", Some(725)),
            row("c3", "r1", "exited (exit code 0)", Some(725)),
            row("c4", "r2", "idle", None),
            row("c5", "r2", "lost", None),
        ]});
        let lines: Vec<String> = look(&list).iter().map(|finding| finding.line(false)).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        warn  hostless   the host of r1 has been gone for 12m; c1 (n-c1), c2 (n-c2) go on -> the next MCP host in the same workspace takes them over; `compere stop ID` ends one with all below
        warn  lost       c5 (n-c5): its keeper died -> their parents were told; `compere read ID` shows the last output, `compere spawn --resume ID` goes on with one that has a session
        ");
        assert_eq!(look(&json!({"children": [row("c1", "r1", "idle", None)]})), []);
    }
}
