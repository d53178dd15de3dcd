//! The broker's log: a file of bounded size.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Mutex,
};

use tracing::Level;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

/// Logs to a file of bounded size. Its level is `COMPERE_LOG`'s, or info.
pub(super) fn log_to(path: &Path) {
    let wanted = std::env::var("COMPERE_LOG").ok().and_then(|wanted| wanted.parse::<Targets>().ok());
    let filter = wanted.unwrap_or_else(|| Targets::new().with_target("compere", Level::INFO));
    if let Ok(log) = Log::open(path.to_owned()) {
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(Mutex::new(log));
        tracing_subscriber::registry().with(lines).with(filter).init();
    }
}

/// A file that makes way for a new one when it is full; one old one is kept.
struct Log {
    path: PathBuf,
    file: std::fs::File,
    written: u64,
}

impl Log {
    const MAX: u64 = 1 << 20;

    fn open(path: PathBuf) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32);
        let file = options.open(&path)?;
        let written = file.metadata()?.len();
        Ok(Log { path, file, written })
    }
}

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.written + line.len() as u64 > Self::MAX {
            std::fs::rename(&self.path, self.path.with_extension("log.1"))?;
            // On a full disk what follows still goes to the old one.
            *self = Log::open(self.path.clone())?;
        }
        let written = self.file.write(line)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
