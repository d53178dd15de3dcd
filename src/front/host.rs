//! The host's side of a front: what it says, as lines in a bounded queue, and what it is told. The queue outlives any
//! broker, and a host that fills it waits: nothing more is read.

use std::{io, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tokio_util::sync::CancellationToken;

use super::stdio;
use crate::ipc::lines::{Line, MAX_LINE, next_line};

/// A host at the other end of our standard streams.
pub(super) struct Host {
    /// What it said; ends when it has said all.
    pub(super) lines: Lines,
    /// Answers of ours to what was no JSON.
    pub(super) wrong: mpsc::Receiver<String>,
    /// Cancelled when it has said all, though there be lines that wait.
    pub(super) end: CancellationToken,
    /// To the host.
    pub(super) out: Out,
}

/// What a host has said and no broker has heard.
#[derive(Debug)]
pub(super) struct Lines {
    said: mpsc::Receiver<Held>,
    back: Option<Held>,
}

/// A line and its room in the queue.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) line: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

/// Where whole lines are written.
pub(super) struct Out(Box<dyn AsyncWrite + Send + Unpin>);

/// What a host may say before a broker takes it. A conversation's worth of requests; and any one line fits.
const MAX_LINES: usize = 64;
const MAX_BYTES: usize = MAX_LINE;

impl Host {
    /// Begins to read standard input.
    pub(super) fn of_this_process() -> Self {
        let (lines, wrong, end) = hear(stdio::input());
        Host { lines: Lines { said: lines, back: None }, wrong, end, out: Out(stdio::output()) }
    }

    /// What no broker has been told, and never will be.
    pub(super) fn unsent(&mut self) -> Vec<Vec<u8>> {
        let Lines { said, back } = &mut self.lines;
        said.close();
        let rest = std::iter::from_fn(|| said.try_recv().ok());
        back.take().into_iter().chain(rest).map(|held| held.line).collect()
    }
}

impl Lines {
    /// The next one. Nothing is lost if nobody waits for it any more.
    pub(super) async fn next(&mut self) -> Option<Held> {
        match self.back.take() {
            Some(held) => Some(held),
            None => self.said.recv().await,
        }
    }

    /// This one has not gone anywhere: it is the next again.
    pub(super) fn put_back(&mut self, held: Held) {
        self.back = Some(held);
    }
}

impl Out {
    /// Writes this now.
    pub(super) async fn write(&mut self, lines: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.write_all(lines.as_ref()).await?;
        self.0.flush().await
    }
}

fn hear(
    from: impl AsyncRead + Unpin + Send + 'static,
) -> (mpsc::Receiver<Held>, mpsc::Receiver<String>, CancellationToken) {
    let (to_lines, lines) = mpsc::channel(MAX_LINES);
    let (to_wrong, wrong) = mpsc::channel(16);
    let end = CancellationToken::new();
    let ended = end.clone().drop_guard();
    tokio::spawn(async move {
        let _ended = ended;
        let room = Arc::new(Semaphore::new(MAX_BYTES));
        let mut from = BufReader::with_capacity(64 * 1024, from);
        while let Ok(line) = next_line(&mut from).await {
            let taken = match line {
                Line::Json(line) => {
                    let bytes = line.len().min(MAX_BYTES) as u32;
                    let Ok(_room) = room.clone().acquire_many_owned(bytes).await else { return };
                    to_lines.send(Held { line, _room }).await.is_ok()
                }
                Line::Wrong(answer) => to_wrong.send(answer).await.is_ok(),
                Line::End => return,
            };
            if !taken {
                return;
            }
        }
    });
    (lines, wrong, end)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_more_is_read_than_may_wait() {
        let megabyte = format!("\"{}\"\n", "x".repeat(1 << 20));
        for (line, most) in [("{}\n".to_owned(), MAX_LINES), (megabyte, 15)] {
            let said = io::Cursor::new(line.repeat(100).into_bytes());
            let (mut lines, _wrong, end) = hear(said);
            // The clock goes on when there is nothing left to do.
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!((lines.len(), end.is_cancelled()), (most, false));
            let mut all = 0;
            while let Some(held) = lines.recv().await {
                assert_eq!(held.line, line.as_bytes());
                all += 1;
            }
            assert!(all == 100 && end.is_cancelled());
        }
    }
}
