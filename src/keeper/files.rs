//! How many files a process may have open. A broker has some for each child and takes all that it may have; what it
//! starts gets what the broker was started with, for some programs go through every number, or hold none above 1,023.

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

/// Takes all that this process may have, or so many. Answers what it had, if that was less: give it back to what is started.
pub fn take(most: Option<u64>) -> Option<u64> {
    let had = getrlimit(Resource::Nofile);
    let all = Rlimit { current: had.maximum.into_iter().chain(most).min(), ..had };
    let more = had.current.is_some_and(|had| all.current.is_none_or(|all| all > had));
    // Where it is refused we go on with what there is.
    let taken = more && prlimit(None, Resource::Nofile, all).is_ok();
    had.current.filter(|_| taken)
}

/// Gives a process of ours, or this one, so many. What it has open stays open.
pub fn give_back(to: Option<Pid>, had: u64) {
    let limit = getrlimit(Resource::Nofile);
    let had = limit.maximum.map_or(had, |most| most.min(had));
    // One that has ended needs none.
    let _ = prlimit(to, Resource::Nofile, Rlimit { current: Some(had), ..limit });
}
