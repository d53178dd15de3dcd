//! The journal: whether it can be read, how large it is, and what was set aside of it.

use super::finding::Finding;
use crate::{
    ipc::{door::Door, home::Home},
    journal::{Health, NotWritten, health},
};

pub(super) fn look(door: &Door) -> Vec<Finding> {
    let state = Home::look(door).state;
    let mut findings = vec![file(health(&state))];
    let aside = crate::journal::set_aside(&state);
    if !aside.is_empty() {
        let names: Vec<String> = aside.iter().map(|path| path.display().to_string()).collect();
        let todo = "each was broken and replaced by what the broker and the keepers knew; remove it when nobody wants to \
                    look into it (it holds reports and unsent messages)";
        findings.push(Finding::warn("journal", format!("set aside: {}", names.join(", ")), todo));
    }
    findings
}

fn file(health: Result<Option<Health>, NotWritten>) -> Finding {
    match health {
        Ok(None) => Finding::ok("journal", "not there yet; the first broker makes it"),
        Ok(Some(Health { path, bytes, events })) => {
            let found = format!("{}, {} KiB, {events} events", path.display(), bytes.div_ceil(1024));
            Finding::ok("journal", found)
        }
        Err(NotWritten::Corrupt { path }) => Finding::fail(
            "journal",
            format!("{} is corrupt", path.display()),
            "nothing: the next write of a broker sets it aside, and begins a new one with what it and the keepers know",
        ),
        Err(NotWritten::Full { path } | NotWritten::ReadOnly { path }) => {
            let found = format!("{} cannot be opened", path.display());
            Finding::fail("journal", found, "make it, and its directory, readable and writable to you")
        }
        Err(NotWritten::Io { path, why }) => {
            Finding::fail("journal", format!("{}: {why}", path.display()), "correct that")
        }
    }
}
