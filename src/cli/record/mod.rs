//! `compere record`: what a child writes from now on, into an asciicast that can be played and shared.

mod cast;

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::{signal::unix, time::Instant};

use self::cast::{About, Cast};
use super::{
    client::Client,
    fail::Fail,
    ls,
    out::{self, plain, word},
};
use crate::{
    id::{Exit, Size},
    registry::board::ms,
    tools::{FOLLOW, FollowWish, Followed},
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
It ends with the child, or with C-c. The file is an asciicast (version 3), which `compere replay`, asciinema and others \
play; only you may read it, and all that the child wrote is in it, secrets too.

Example:
  compere record build build.cast
  compere replay build.cast --speed 2")]
pub(super) struct Args {
    /// The child's id or name.
    child: String,
    /// The file to make.
    file: PathBuf,
    /// Begin with what is kept of what it wrote before, at most the newest 1 MiB, instead of its screen as it is.
    #[arg(long)]
    kept: bool,
    /// Put the file in the place of one that is there.
    #[arg(long)]
    force: bool,
}

/// A broker that has gone may be followed by another in a moment.
const AGAIN: Duration = Duration::from_secs(1);
/// How long the broker waits for output. A change of size without any is seen after this.
const WAIT_MS: u64 = 1_000;
/// Bytes at once.
const PIECE: usize = 128 * 1024;

pub(super) async fn run(args: Args) -> Result<ExitCode, Fail> {
    let mut signals = Signals::new()?;
    let client = Client::connect().await?;
    let list = ls::whole_list(&client).await?;
    let found = ls::children(&list).rfind_child(&args.child);
    let (child, about) = found.ok_or_else(|| {
        Fail::Said(format!("there is no child {} that you may read; `compere ls` lists all", args.child))
    })?;
    let mut wish = FollowWish {
        child: child.clone(),
        since: args.kept.then_some(0),
        wait_ms: 0,
        bytes: PIECE,
        painted: !args.kept,
    };
    let first = client.special::<Followed>(FOLLOW, &wish).await?;
    wish.painted = false;
    let file = create(&args.file, args.force)
        .map_err(|error| Fail::Said(format!("{}: {error}", args.file.display())))?;
    let mut tape = Tape { file, cast: Cast::default(), began: Instant::now(), bytes: 0, dropped: 0 };
    let header = tape.cast.header(size(&first), &about);
    tape.write(&header)?;
    note(&format!("recording {child} {} into {}; C-c ends it", about.title, args.file.display()));
    let how = tape.record(client, &mut wish, first, &mut signals).await;
    let end = tape.end(how.as_ref().ok().and_then(|how| *how));
    let took = tape.began.elapsed().as_secs();
    note(&format!("{}: {}, {} bytes of output", args.file.display(), out::span(took), tape.bytes));
    end?;
    how.map(|_| ExitCode::SUCCESS)
}

/// To whoever records; standard output may be nobody's.
fn note(text: &str) {
    // And so may standard error.
    let _ = writeln!(io::stderr(), "{}", plain(text));
}

/// A new file for its owner alone. One that is there is only replaced if it is a plain file, and never written through.
fn create(path: &Path, force: bool) -> io::Result<File> {
    if force {
        match std::fs::symlink_metadata(path) {
            Ok(there) if there.is_file() || there.is_symlink() => std::fs::remove_file(path)?,
            Ok(_) => return Err(io::Error::other("it is no file that could be replaced")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => io::Error::other("it is there already; --force replaces it"),
        _ => error,
    })
}

fn size(seen: &Followed) -> Size {
    Size { rows: seen.rows, cols: seen.cols }
}

/// A child among a list's, by its id, or its name as the newest that bears it.
trait RfindChild {
    fn rfind_child(self, who: &str) -> Option<(String, About)>;
}

impl<'a, I: Iterator<Item = &'a serde_json::Value>> RfindChild for I {
    fn rfind_child(self, who: &str) -> Option<(String, About)> {
        let rows: Vec<_> = self.filter(|row| word(row, "child") == who || word(row, "name") == who).collect();
        // As everywhere, a name means one that lives.
        let row = rows.iter().rfind(|row| !ls::ended(row)).or_else(|| rows.last())?;
        let timestamp = ms(SystemTime::now()) / 1000;
        let (title, command) = (plain(word(row, "name")), plain(word(row, "program")));
        Some((word(row, "child").to_owned(), About { timestamp, title, command }))
    }
}

/// The recording, and where it goes.
struct Tape {
    file: File,
    cast: Cast,
    began: Instant,
    bytes: u64,
    dropped: u64,
}

impl Tape {
    /// Until the child or the person ends it; answers how the child did.
    async fn record(
        &mut self,
        client: Client,
        wish: &mut FollowWish,
        first: Followed,
        signals: &mut Signals,
    ) -> Result<Option<Exit>, Fail> {
        let mut client = Some(client);
        let mut seen = first;
        loop {
            self.take(&seen)?;
            if seen.over && seen.next >= seen.end {
                return Ok(seen.exit);
            }
            (wish.since, wish.wait_ms) = (Some(seen.next), WAIT_MS);
            seen = tokio::select! {
                seen = again(&mut client, wish) => seen?,
                () = signals.any() => return Ok(None),
            };
        }
    }

    fn take(&mut self, seen: &Followed) -> Result<(), Fail> {
        let at = self.began.elapsed();
        if seen.dropped > 0 {
            self.dropped += seen.dropped;
            let lost = format!("{} bytes were dropped before they could be recorded", seen.dropped);
            note(&lost);
            let marker = self.cast.marker(at, &lost);
            self.write(&marker)?;
        }
        let bytes = STANDARD.decode(&seen.data).map_err(io::Error::other)?;
        self.bytes += seen.next - seen.from;
        // What a program writes after a change of size is laid out for it.
        let lines = self.cast.size(at, size(seen)) + &self.cast.output(at, &bytes);
        self.write(&lines)?;
        Ok(())
    }

    fn end(&mut self, exit: Option<Exit>) -> io::Result<()> {
        let at = self.began.elapsed();
        let end = self.cast.end(at, exit);
        self.write(&end)?;
        self.file.sync_all()
    }

    fn write(&mut self, lines: &str) -> io::Result<()> {
        self.file.write_all(lines.as_bytes())
    }
}

/// What has come since, from whichever broker there is: one that ends is followed by another, which knows it too.
async fn again(client: &mut Option<Client>, wish: &FollowWish) -> Result<Followed, Fail> {
    loop {
        if let Some(connected) = client {
            match connected.special::<Followed>(FOLLOW, wish).await {
                Err(Fail::NoBroker(why)) => note(&format!("{why}; trying again")),
                other => return other,
            }
        }
        *client = None;
        tokio::time::sleep(AGAIN).await;
        match Client::connect().await {
            Ok(connected) => *client = Some(connected),
            Err(error) => note(&format!("{error}; trying again")),
        }
    }
}

/// What ends it before the child does.
struct Signals([unix::Signal; 3]);

impl Signals {
    fn new() -> io::Result<Signals> {
        let one = unix::signal;
        Ok(Signals([
            one(unix::SignalKind::interrupt())?,
            one(unix::SignalKind::terminate())?,
            one(unix::SignalKind::hangup())?,
        ]))
    }

    async fn any(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_file_that_is_there_is_left_alone_unless_it_shall_not_be() {
        let dir = tempfile::tempdir().unwrap();
        let (file, other) = (dir.path().join("a.cast"), dir.path().join("other"));
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        create(&file, false).unwrap();
        assert_eq!(mode(&file), 0o600);
        assert!(create(&file, false).unwrap_err().to_string().contains("--force"));
        std::fs::write(&other, "kept").unwrap();
        std::fs::remove_file(&file).unwrap();
        symlink(&other, &file).unwrap();
        assert!(create(&file, false).is_err());
        create(&file, true).unwrap().write_all(b"new").unwrap();
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "kept", "nothing is written through a link");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "new");
        assert!(create(dir.path(), true).unwrap_err().to_string().contains("no file"));
        assert!(create(&dir.path().join("none/a.cast"), true).is_err());
    }
}
