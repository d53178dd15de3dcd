//! Telling the user that a child needs them, by a command of theirs: one at a time for a child, so many at once, not for
//! long, and not too often. Decides nothing about who needs whom.

use std::{
    collections::{HashMap, VecDeque},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{io::AsyncReadExt, process::Command, sync::mpsc, task::JoinSet, time::Instant};

use crate::{
    id::ChildId,
    ipc::hello::{IDENTITY, SOCKET},
    keeper::files,
    registry::attention::Occasion,
};

/// A command that runs longer is killed, with all it started.
const LONGEST: Duration = Duration::from_secs(10);

/// Who is told of, who waits for it, and how often anybody was. A plain value; it is told the time.
#[derive(Debug, Default)]
struct Desk {
    /// Those that are being told of, and what waits behind them.
    children: HashMap<ChildId, VecDeque<Occasion>>,
    /// Those that wait because too many are being told of.
    waiting: VecDeque<ChildId>,
    running: usize,
    /// When commands began, within the last minute.
    begun: VecDeque<Instant>,
}

/// What becomes of an occasion that has come.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Waits,
    /// It is not told of.
    Dropped(&'static str),
}

impl Desk {
    /// Commands at once.
    const AT_ONCE: usize = 4;
    /// Commands within a minute.
    const A_MINUTE: usize = 60;
    /// What may wait for one child.
    const BEHIND: usize = 8;

    /// An occasion has come.
    fn come(&mut self, occasion: Occasion, now: Instant) -> Fate {
        const MINUTE: Duration = Duration::from_secs(60);
        while self.begun.front().is_some_and(|begun| now - *begun >= MINUTE) {
            self.begun.pop_front();
        }
        let waits: usize = self.children.values().map(VecDeque::len).sum();
        if self.begun.len() + waits >= Self::A_MINUTE {
            return Fate::Dropped("more than 60 within a minute");
        }
        let child = occasion.child;
        match self.children.get_mut(&child) {
            Some(behind) if behind.len() >= Self::BEHIND => Fate::Dropped("8 wait for that child already"),
            Some(behind) => {
                behind.push_back(occasion);
                Fate::Waits
            }
            None => {
                self.children.insert(child, VecDeque::from([occasion]));
                self.waiting.push_back(child);
                Fate::Waits
            }
        }
    }

    /// What is to be told of now, if anything.
    fn next(&mut self, now: Instant) -> Option<Occasion> {
        if self.running >= Self::AT_ONCE {
            return None;
        }
        let child = self.waiting.pop_front()?;
        let occasion = self.children.get_mut(&child)?.pop_front()?;
        self.running += 1;
        self.begun.push_back(now);
        Some(occasion)
    }

    /// The command for this child has ended.
    fn done(&mut self, child: ChildId) {
        self.running = self.running.saturating_sub(1);
        if self.children.get(&child).is_some_and(|behind| !behind.is_empty()) {
            self.waiting.push_back(child);
        } else {
            self.children.remove(&child);
        }
    }
}

/// Runs the user's command for each occasion, for as long as there are any. Dropping it kills what runs.
pub(super) async fn notify(
    argv: Vec<String>,
    mut occasions: mpsc::Receiver<Occasion>,
    open_files: Option<u64>,
) {
    let (mut desk, mut running) = (Desk::default(), JoinSet::new());
    loop {
        while let Some(occasion) = desk.next(Instant::now()) {
            let argv = argv.clone();
            running.spawn(async move {
                let (child, need) = (occasion.child, occasion.need.word());
                match tokio::time::timeout(LONGEST * 2, run(&argv, &occasion, open_files)).await {
                    Ok(Ok(None)) => {}
                    Ok(Ok(Some(why))) => tracing::warn!(%child, need, why, "on_attention failed"),
                    Ok(Err(error)) => tracing::warn!(%child, need, %error, "on_attention cannot be run"),
                    Err(_) => tracing::warn!(%child, need, "on_attention could not be killed"),
                }
                child
            });
        }
        tokio::select! {
            occasion = occasions.recv() => {
                let Some(occasion) = occasion else { return };
                let (child, need) = (occasion.child, occasion.need.word());
                if let Fate::Dropped(why) = desk.come(occasion, Instant::now()) {
                    tracing::warn!(%child, need, why, "on_attention is not run");
                }
            }
            Some(done) = running.join_next() => {
                // It does not panic; and if it does, that child is not told of any more.
                if let Ok(child) = done {
                    desk.done(child);
                }
            }
        }
    }
}

/// Runs the command for one; answers why it failed, if it did.
async fn run(
    argv: &[String],
    occasion: &Occasion,
    open_files: Option<u64>,
) -> std::io::Result<Option<String>> {
    let Some((program, arguments)) = argv.split_first() else { return Ok(None) };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .envs(facts(occasion))
        // Whoever started the broker may be a child; nobody else may speak as it.
        .env_remove(IDENTITY)
        .env_remove(SOCKET)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut process = command.spawn()?;
    let group = process.id().and_then(|pid| Pid::from_raw(pid as i32));
    if let Some(had) = open_files {
        files::give_back(group, had);
    }
    let (mut stderr, mut said) = (process.stderr.take(), Vec::new());
    let late = tokio::time::sleep(LONGEST);
    tokio::pin!(late);
    let ended = loop {
        tokio::select! {
            ended = process.wait() => break Some(ended?),
            () = &mut late => break None,
            open = complaint(stderr.as_mut(), &mut said), if stderr.is_some() => {
                if !open {
                    stderr = None;
                }
            }
        }
    };
    // What it said last may not have been read; whoever else has its standard error is not waited for.
    if ended.is_some_and(|ended| !ended.success()) {
        let rest = Duration::from_millis(100);
        while stderr.is_some() {
            match tokio::time::timeout(rest, complaint(stderr.as_mut(), &mut said)).await {
                Ok(true) => {}
                _ => stderr = None,
            }
        }
    }
    if ended.is_none()
        && let Some(group) = group
    {
        let _ = kill_process_group(group, Signal::KILL);
        process.wait().await?;
    }
    Ok(failure(ended, &said))
}

/// Reads on, up to some bytes; answers whether there may be more.
async fn complaint(from: Option<&mut tokio::process::ChildStderr>, said: &mut Vec<u8>) -> bool {
    const MOST: usize = 1000;
    let Some(from) = from else { return false };
    matches!(from.read_buf(said).await, Ok(read) if read > 0) && said.len() < MOST
}

fn failure(ended: Option<ExitStatus>, said: &[u8]) -> Option<String> {
    let how = match ended {
        Some(ended) if ended.success() => return None,
        Some(ended) => ended.to_string(),
        None => format!("killed after {} s", LONGEST.as_secs()),
    };
    let said = crate::child::plain::readable(&String::from_utf8_lossy(said));
    let said = said.trim();
    Some(if said.is_empty() { how } else { format!("{how}: {said}") })
}

/// What the command is told. What a child said is text of a few thousand characters without controls, and nothing that
/// was checked: it belongs between quotes.
fn facts(occasion: &Occasion) -> [(&'static str, String); 7] {
    const TEXT: usize = 2000;
    let text = crate::child::plain::readable(&occasion.text);
    let text: String = text.trim().chars().take(TEXT).collect();
    [
        ("COMPERE_CHILD", occasion.child.to_string()),
        ("COMPERE_NAME", occasion.name.clone()),
        ("COMPERE_WHAT", occasion.need.word().to_owned()),
        ("COMPERE_TEXT", text),
        ("COMPERE_PARENT", occasion.parent.to_string()),
        ("COMPERE_PROGRAM", occasion.program.clone()),
        ("COMPERE_CWD", occasion.cwd.display().to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;
    use crate::{id::Caller, registry::attention::Need};

    fn occasion(child: u32, text: &str) -> Occasion {
        Occasion {
            child: ChildId(child),
            name: "a".into(),
            need: Need::Blocked,
            text: text.into(),
            parent: Caller::Person,
            program: "sh".into(),
            cwd: "/".into(),
        }
    }

    fn started(desk: &mut Desk, now: Instant) -> Vec<(u32, String)> {
        std::iter::from_fn(|| desk.next(now)).map(|next| (next.child.0, next.text)).collect()
    }

    #[test]
    fn one_at_a_time_for_a_child_and_in_order() {
        let (mut desk, now) = (Desk::default(), Instant::now());
        for (child, text) in [(1, "a"), (1, "b"), (2, "c"), (1, "d")] {
            assert_eq!(desk.come(occasion(child, text), now), Fate::Waits);
        }
        assert_eq!(started(&mut desk, now), [(1, "a".into()), (2, "c".into())]);
        assert_eq!(started(&mut desk, now), []);
        desk.done(ChildId(1));
        assert_eq!(started(&mut desk, now), [(1, "b".into())]);
        desk.done(ChildId(2));
        assert_eq!(started(&mut desk, now), []);
        desk.done(ChildId(1));
        assert_eq!(started(&mut desk, now), [(1, "d".into())]);
        desk.done(ChildId(1));
        assert!(desk.children.is_empty() && desk.running == 0);
    }

    #[test]
    fn so_many_at_once_and_the_rest_in_its_turn() {
        let (mut desk, now) = (Desk::default(), Instant::now());
        for child in 1..=6 {
            desk.come(occasion(child, ""), now);
        }
        assert_eq!(started(&mut desk, now).len(), Desk::AT_ONCE);
        desk.done(ChildId(3));
        assert_eq!(started(&mut desk, now), [(5, String::new())]);
    }

    #[test]
    fn there_is_a_bound_for_a_child_and_for_a_minute() {
        let (mut desk, now) = (Desk::default(), Instant::now());
        desk.come(occasion(1, ""), now);
        started(&mut desk, now);
        for _ in 0..Desk::BEHIND {
            assert_eq!(desk.come(occasion(1, ""), now), Fate::Waits);
        }
        assert!(matches!(desk.come(occasion(1, ""), now), Fate::Dropped(_)));
        let mut taken = 1 + Desk::BEHIND;
        for child in 2..100 {
            match desk.come(occasion(child, ""), now) {
                Fate::Waits => taken += 1,
                Fate::Dropped(_) => break,
            }
            started(&mut desk, now).into_iter().for_each(|(child, _)| desk.done(ChildId(child)));
        }
        assert_eq!(taken, Desk::A_MINUTE);
        let later = now + Duration::from_secs(60);
        assert_eq!(desk.come(occasion(200, ""), later), Fate::Waits);
    }

    #[test]
    fn what_a_child_says_is_text() {
        let mut asks = occasion(3, &format!(" a\x1b[2J\0\nb {}", "x".repeat(5000)));
        asks.parent = Caller::Child(ChildId(1));
        let facts: HashMap<&str, String> = facts(&asks).into();
        assert!(facts["COMPERE_TEXT"].starts_with("a[2J\nb xx") && facts["COMPERE_TEXT"].len() == 2000);
        assert_eq!((&*facts["COMPERE_CHILD"], &*facts["COMPERE_PARENT"]), ("c3", "c1"));
        assert_eq!(facts["COMPERE_WHAT"], "blocked");
    }

    #[tokio::test]
    async fn a_command_that_fails_is_told_with_its_words() {
        let of = |script: &str| ["sh", "-c", script].map(str::to_owned).to_vec();
        let asks = occasion(1, "x");
        assert_eq!(run(&of("exit 0"), &asks, None).await.unwrap(), None);
        let why = run(&of("echo no\u{1b} bell >&2; exit 3"), &asks, None).await.unwrap().unwrap();
        assert_eq!(why, "exit status: 3: no bell");
        assert!(run(&["/nonexistent".into()], &asks, None).await.is_err());
        assert_eq!(run(&[], &asks, None).await.unwrap(), None);
        // Whoever it leaves behind with its standard error is not waited for.
        assert_eq!(run(&of("sleep 3 >&2 & exit 0"), &asks, None).await.unwrap(), None);
    }

    #[tokio::test]
    async fn one_that_does_not_end_is_killed_with_all_it_started() {
        tokio::time::pause();
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("held");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        // Both hold it for as long as they live. Time stands still while somebody waits for their first word.
        let script = format!("exec 3>{}; sleep 1000 & echo >&3; wait", fifo.display());
        let command = ["sh".into(), "-c".into(), script];
        let hears = tokio::task::spawn_blocking(move || {
            let mut held = std::fs::File::open(fifo).unwrap();
            std::io::Read::read_exact(&mut held, &mut [0]).unwrap();
            held
        });
        let occasion = occasion(1, "x");
        let (why, held) = tokio::join!(run(&command, &occasion, None), hears);
        assert_eq!(why.unwrap().as_deref(), Some("killed after 10 s"));
        let (mut held, patience) = (held.unwrap(), Timespec { tv_sec: 20, tv_nsec: 0 });
        let gone = poll(&mut [PollFd::new(&held, PollFlags::IN)], Some(&patience)).unwrap();
        assert_eq!(gone, 1, "somebody still holds it");
        assert_eq!(std::io::Read::read(&mut held, &mut [0]).unwrap(), 0);
    }
}
