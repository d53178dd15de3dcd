//! Named points at which a test may make this process fail: it is killed, held up, or told that something failed.
//! Nothing of it is in a build without the feature `faults`: there the macros say nothing. Knows none of its points'
//! places beyond their names.
//!
//! `COMPERE_FAULTS=journal.committed=kill@3,keeper.accepted=pause:500,journal.commit=error@2` says what happens at
//! which pass of a point (the first, if nothing else is said). Each entry is for one process: where a directory is given
//! in `COMPERE_FAULTS_FIRED`, whoever comes to it first leaves a file there of the point's name, with its process number
//! in it, and nobody after it fails there.

/// A process passes this point.
macro_rules! point {
    ($name:literal) => {{
        #[cfg(feature = "faults")]
        crate::fault::pass($name);
    }};
}

/// Answers an error if one is wanted here.
macro_rules! failure {
    ($name:literal) => {{
        #[cfg(feature = "faults")]
        let failure = crate::fault::pass($name);
        #[cfg(not(feature = "faults"))]
        let failure = None::<std::io::Error>;
        failure
    }};
}

pub(crate) use {failure, point};

#[cfg(feature = "faults")]
pub use with::{Action, FAULTS, FIRED, POINTS, Wish, pass, variables, wishes};

#[cfg(feature = "faults")]
mod with {
    use std::{
        collections::HashMap,
        ffi::OsString,
        fs::OpenOptions,
        io::{self, Write},
        path::Path,
        sync::{Mutex, OnceLock, PoisonError},
        time::Duration,
    };

    use rustix::process::{Signal, getpid, kill_process};

    /// The variable that says what is to fail.
    pub const FAULTS: &str = "COMPERE_FAULTS";
    /// The variable that says where it is noted that it has.
    pub const FIRED: &str = "COMPERE_FAULTS_FIRED";

    /// Every point, in the order of the walks.
    pub const POINTS: &[&str] = &[
        // A call, and what is written down.
        "call.begun",
        "call.ended",
        "journal.failing",
        "journal.begun",
        "journal.committed",
        // A spawn.
        "spawn.reserved",
        "spawn.journaled",
        "spawn.launching",
        "spawn.launched",
        "spawn.kept",
        // A message.
        "send.journaled",
        "send.queued",
        "send.written",
        "send.finished",
        "send.settled",
        // A report, until it is in the inbox; and out of it.
        "report.numbered",
        "report.committed",
        "report.filed",
        "reports.read",
        "reports.given",
        "reports.heard",
        // A wait.
        "wait.patience",
        "wait.kept",
        "wait.over",
        // An end.
        "stop.begun",
        "stop.done",
        "exit.heard",
        "exit.noted",
        // A broker's life.
        "broker.locked",
        "broker.bound",
        "broker.recovering",
        "broker.recovered",
        "broker.ending",
        "broker.unlinked",
        // A keeper's.
        "keeper.bound",
        "keeper.ringed",
        "keeper.born",
        "keeper.answered",
        "keeper.met",
        "keeper.read",
        "keeper.accepted",
        "keeper.typed",
        "keeper.noted",
        "keeper.reaped",
        "keeper.exited",
        "keeper.leaving",
        "keeper.left",
        // A front's.
        "front.joined",
        "front.passing",
        "front.passed",
        "front.answering",
        "front.answered",
        "front.lost",
    ];

    /// What happens at a point.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Action {
        /// The process ends as by `kill -9`.
        Kill,
        /// The thread goes on after this long.
        Pause(Duration),
        /// Something fails, where something can.
        Error,
    }

    /// What shall happen, and at which pass of which point.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Wish {
        /// Which.
        pub point: String,
        /// What.
        pub action: Action,
        /// When, from 1.
        pub at: u64,
    }

    /// Both variables, for a process that is given no others.
    pub fn variables() -> impl Iterator<Item = (&'static str, OsString)> {
        [FAULTS, FIRED].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)))
    }

    /// What the variable's text means; in words, what is wrong with it.
    pub fn wishes(text: &str) -> Result<Vec<Wish>, String> {
        let wish = |entry: &str| {
            let (point, what) = entry.split_once('=')?;
            let (what, at) = what
                .split_once('@')
                .map_or(Some((what, 1)), |(what, at)| Some((what, at.parse().ok().filter(|at| *at > 0)?)))?;
            let action = match what.split_once(':') {
                None if what == "kill" => Action::Kill,
                None if what == "error" => Action::Error,
                Some(("pause", ms)) => Action::Pause(Duration::from_millis(ms.parse().ok()?)),
                _ => return None,
            };
            POINTS.contains(&point).then(|| Wish { point: point.to_owned(), action, at })
        };
        let entries = text.split(',').filter(|entry| !entry.is_empty());
        entries.map(|entry| wish(entry).ok_or_else(|| format!("{FAULTS}: {entry:?} is no fault"))).collect()
    }

    /// This process passes a point. Answers the error that shall come of it.
    pub fn pass(point: &'static str) -> Option<io::Error> {
        static WISHES: OnceLock<Vec<Wish>> = OnceLock::new();
        static PASSED: Mutex<Option<HashMap<&str, u64>>> = Mutex::new(None);
        debug_assert!(POINTS.contains(&point), "{point} is not in the list of points");
        let wishes = WISHES.get_or_init(|| {
            let text = std::env::var(FAULTS).unwrap_or_default();
            // A test that means something else must not pass.
            wishes(&text).unwrap_or_else(|error| panic!("{error}"))
        });
        let pass = {
            let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
            let count = passed.get_or_insert_default().entry(point).or_default();
            *count += 1;
            *count
        };
        let wish = wishes.iter().find(|wish| wish.point == point && wish.at == pass)?;
        if !is_first(point) {
            return None;
        }
        match wish.action {
            Action::Kill => {
                let _ = kill_process(getpid(), Signal::KILL);
                None
            }
            Action::Pause(pause) => {
                #[allow(
                    clippy::disallowed_methods,
                    reason = "a process that is held up is what is asked for"
                )]
                std::thread::sleep(pause);
                None
            }
            Action::Error => Some(io::Error::other(format!("it was made to fail at {point}"))),
        }
    }

    /// Whether no other process has failed there, as far as that is noted.
    fn is_first(point: &str) -> bool {
        let Some(dir) = std::env::var_os(FIRED) else { return true };
        let note = OpenOptions::new().write(true).create_new(true).open(Path::new(&dir).join(point));
        note.is_ok_and(|mut note| write!(note, "{}", std::process::id()).is_ok())
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_wish_is_a_point_an_action_and_a_pass() {
            let wish = |action, at| vec![Wish { point: "broker.locked".into(), action, at }];
            let check = |text: &str, meant: Option<Vec<Wish>>| assert_eq!(wishes(text).ok(), meant, "{text}");
            check("", Some(vec![]));
            check("broker.locked=kill", Some(wish(Action::Kill, 1)));
            check("broker.locked=pause:20@3,", Some(wish(Action::Pause(Duration::from_millis(20)), 3)));
            check("broker.locked=error@2", Some(wish(Action::Error, 2)));
            for wrong in ["broker.locked", "x=kill", "broker.locked=kill@0", "broker.locked=pause", "=kill"] {
                check(wrong, None);
            }
        }
    }
}
