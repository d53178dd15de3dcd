//! Our standard streams as the runtime can wait for them itself. A thread that blocks on them, as tokio's own have, is
//! four changes of thread for each call. Knows nothing of lines.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    pin::Pin,
    task::{Context, Poll, ready},
};

use rustix::{
    fs::{FileType, Mode, OFlags, fstat, open},
    io::{fcntl_dupfd_cloexec, read, write},
    net::{RecvFlags, SendFlags, recv, send},
};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, unix::AsyncFd};

/// One of our standard streams, from or to a host.
#[derive(Debug)]
pub(super) struct Stream {
    fd: AsyncFd<OwnedFd>,
    kind: Kind,
}

/// How it is kept from blocking. `O_NONBLOCK` belongs to all who share an open file, such as the shell that started
/// us, so it is never set on one that we were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Opened once more, and that is ours alone.
    Pipe,
    /// Each call says so.
    Socket,
}

/// What the host says. Where it is neither a pipe nor a socket, it is tokio's, with its thread.
pub(super) fn input() -> Box<dyn AsyncRead + Send + Unpin> {
    match Stream::reading(std::io::stdin()) {
        Some(stream) => Box::new(stream),
        None => Box::new(tokio::io::stdin()),
    }
}

/// What the host hears; the same.
pub(super) fn output() -> Box<dyn AsyncWrite + Send + Unpin> {
    match Stream::writing(std::io::stdout()) {
        Some(stream) => Box::new(stream),
        None => Box::new(tokio::io::stdout()),
    }
}

impl Stream {
    fn reading(given: impl AsFd) -> Option<Self> {
        Self::of(given.as_fd(), OFlags::RDONLY, Interest::READABLE)
    }

    fn writing(given: impl AsFd) -> Option<Self> {
        Self::of(given.as_fd(), OFlags::WRONLY, Interest::WRITABLE)
    }

    /// Nothing for what is neither a pipe nor a socket, or not to be opened again.
    #[allow(unsafe_code, reason = "tokio asks for a word that the descriptor stays the same")]
    fn of(given: BorrowedFd<'_>, access: OFlags, interest: Interest) -> Option<Self> {
        let (fd, kind) = match FileType::from_raw_mode(fstat(given).ok()?.st_mode) {
            FileType::Fifo => {
                let path = format!("/proc/self/fd/{}", given.as_raw_fd());
                (open(path, access | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).ok()?, Kind::Pipe)
            }
            FileType::Socket => (fcntl_dupfd_cloexec(given, 3).ok()?, Kind::Socket),
            _ => return None,
        };
        // SAFETY: an OwnedFd has one number for as long as it lives, and AsyncFd deregisters before it drops it.
        let fd = unsafe { AsyncFd::register_with_interest(fd, interest) }.ok()?;
        Some(Stream { fd, kind })
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.fd.poll_read_ready(context))?;
            let room = buffer.initialize_unfilled();
            let done = ready.try_io(|fd| {
                Ok(match self.kind {
                    Kind::Pipe => read(fd, room)?,
                    Kind::Socket => recv(fd, room, RecvFlags::DONTWAIT)?.0,
                })
            });
            if let Ok(done) = done {
                return Poll::Ready(done.map(|bytes| buffer.advance(bytes)));
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.fd.poll_write_ready(context))?;
            let done = ready.try_io(|fd| {
                Ok(match self.kind {
                    Kind::Pipe => write(fd, bytes)?,
                    Kind::Socket => send(fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?,
                })
            });
            if let Ok(done) = done {
                return Poll::Ready(done);
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{PipeReader, PipeWriter, Write},
        os::unix::net::UnixStream,
    };

    use rustix::fs::fcntl_getfl;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn blocks(fd: impl AsFd) -> bool {
        !fcntl_getfl(fd).unwrap().contains(OFlags::NONBLOCK)
    }

    /// More than a pipe or a socket holds, so that both sides have to wait for each other.
    async fn carries(from: OwnedFd, to: OwnedFd) {
        let (mut reads, mut writes) = (Stream::reading(&from).unwrap(), Stream::writing(&to).unwrap());
        assert!(blocks(&from) && blocks(&to), "what we were given is as it was");
        let said: Vec<u8> = (0..1_000_000_u32).map(|n| n as u8).collect();
        let hears = async {
            let mut heard = vec![0; said.len()];
            reads.read_exact(&mut heard).await.unwrap();
            heard
        };
        let (heard, wrote) = tokio::join!(hears, writes.write_all(&said));
        wrote.unwrap();
        assert!(heard == said);
        drop((writes, to));
        assert_eq!(reads.read(&mut [0; 8]).await.unwrap(), 0, "the end is seen");
    }

    #[tokio::test]
    async fn pipes_and_sockets_are_waited_for_and_left_as_they_were() {
        let (from, to): (PipeReader, PipeWriter) = std::io::pipe().unwrap();
        carries(from.into(), to.into()).await;
        let (from, to) = UnixStream::pair().unwrap();
        carries(from.into(), to.into()).await;
    }

    #[tokio::test]
    async fn who_does_not_listen_any_more_is_an_error() {
        let (from, to) = std::io::pipe().unwrap();
        let mut writes = Stream::writing(&to).unwrap();
        drop(from);
        assert_eq!(writes.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        let (from, to) = UnixStream::pair().unwrap();
        let mut writes = Stream::writing(&to).unwrap();
        drop(from);
        assert_eq!(writes.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn a_file_is_none_of_ours() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"x").unwrap();
        assert!(Stream::reading(&file).is_none());
    }
}
