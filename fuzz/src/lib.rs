//! What the targets share: bytes in pieces, futures that need no runtime, a directory. Knows nothing of compere.

use std::{
    io,
    path::PathBuf,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, ReadBuf};

/// Bytes in pieces whose lengths follow from `cut`: 0 is one piece; any other gives pieces of 1 to 512 bytes at most.
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    rest: &'a [u8],
    cut: u8,
    state: u64,
}

impl<'a> Pieces<'a> {
    /// All of them.
    pub fn new(bytes: &'a [u8], cut: u8) -> Self {
        Pieces { rest: bytes, cut, state: cut.into() }
    }

    fn piece(&mut self, most: usize) -> &'a [u8] {
        // Knuth's numbers for MMIX; any would do.
        self.state = self.state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let len = match self.cut {
            0 => usize::MAX,
            cut => 1 + (self.state >> 33) as usize % (1 << (cut % 10)),
        };
        let (piece, rest) = self.rest.split_at(len.min(most).min(self.rest.len()));
        self.rest = rest;
        piece
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        (!self.rest.is_empty()).then(|| self.piece(usize::MAX))
    }
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let most = to.remaining();
        to.put_slice(self.piece(most));
        Poll::Ready(Ok(()))
    }
}

/// What comes of a future that has all it needs.
///
/// # Panics
/// If it waits all the same.
pub fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits, with everything there"),
    }
}

/// A path of this process alone, in the directory for temporary files.
pub fn place(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("{name}-{}", std::process::id()))
}
