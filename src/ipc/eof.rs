//! Noticing at once that the other side has stopped speaking.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::sync::CancellationToken;

/// A reader that cancels a token at its end. rmcp lets running calls go on for 5 s after that.
#[derive(Debug)]
pub struct EofHook<R> {
    inner: R,
    gone: CancellationToken,
}

impl<R> EofHook<R> {
    /// Reads from `inner`.
    pub fn new(inner: R, gone: CancellationToken) -> Self {
        EofHook { inner, gone }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for EofHook<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.inner).poll_read(context, buffer));
        if read.is_err() || buffer.filled().len() == before {
            self.gone.cancel();
        }
        Poll::Ready(read)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn the_end_is_told_and_nothing_before_it() {
        let gone = CancellationToken::new();
        let mut hook = EofHook::new(&b"ab"[..], gone.clone());
        hook.read_exact(&mut [0; 2]).await.unwrap();
        assert!(!gone.is_cancelled());
        assert_eq!(hook.read(&mut [0; 2]).await.unwrap(), 0);
        assert!(gone.is_cancelled());
    }
}
