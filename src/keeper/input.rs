//! What waits to be typed: whole inputs in the order they came, bounded. A plain value; writing is someone
//! else's.

use std::collections::VecDeque;

/// Who asked, to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) connection: u64,
    pub(super) id: u64,
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct InputQueue {
    waiting: VecDeque<Waiting>,
    cost: usize,
}

#[derive(Debug)]
struct Waiting {
    asked: Asked,
    bytes: Vec<u8>,
    written: usize,
}

impl InputQueue {
    /// The largest paste of a mebibyte, and some keys behind it.
    pub(super) const MOST: usize = (1 << 20) + (64 << 10);

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// `false` if it is full.
    pub(super) fn push(&mut self, asked: Asked, bytes: &[u8]) -> bool {
        let fits = self.cost + bytes.len() <= InputQueue::MOST && self.waiting.len() < MOST_INPUTS;
        if fits {
            self.cost += bytes.len();
            self.waiting.push_back(Waiting { asked, bytes: bytes.to_vec(), written: 0 });
        }
        fits
    }

    /// What is to be written next.
    pub(super) fn front(&self) -> Option<&[u8]> {
        self.waiting.front().map(|input| &input.bytes[input.written..])
    }

    /// So much of [`front`](InputQueue::front) was accepted; tells whose input that was, if it was the rest
    /// of it.
    pub(super) fn accepted(&mut self, n: usize) -> Option<Asked> {
        let input = self.waiting.front_mut()?;
        input.written += n;
        if input.written < input.bytes.len() {
            return None;
        }
        let input = self.waiting.pop_front()?;
        self.cost -= input.bytes.len();
        Some(input.asked)
    }

    /// Gives up on all of them.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Asked> {
        self.cost = 0;
        self.waiting.drain(..).map(|input| input.asked)
    }
}

/// Even empty inputs cost memory.
const MOST_INPUTS: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const ME: Asked = Asked { connection: 1, id: 1 };

    #[test]
    fn inputs_leave_whole_and_in_order() {
        let mut queue = InputQueue::default();
        let other = Asked { connection: 2, id: 1 };
        assert!(queue.push(ME, b"hello") && queue.push(other, b"") && queue.push(other, b"x"));
        assert_eq!(queue.front(), Some(&b"hello"[..]));
        assert_eq!(queue.accepted(2), None);
        assert_eq!(queue.front(), Some(&b"llo"[..]));
        assert_eq!(queue.accepted(3), Some(ME));
        assert_eq!(queue.front(), Some(&b""[..]));
        assert_eq!(queue.accepted(0), Some(other));
        assert_eq!(queue.accepted(1), Some(other));
        assert!(queue.is_empty() && queue.front().is_none() && queue.accepted(0).is_none());
    }

    #[test]
    fn it_is_full_at_its_bound_and_has_room_again_later() {
        let mut queue = InputQueue::default();
        let half = vec![0; InputQueue::MOST / 2];
        assert!(queue.push(ME, &half) && queue.push(ME, &half));
        assert!(!queue.push(ME, b"x"));
        queue.accepted(half.len() - 1);
        assert!(!queue.push(ME, b"x"), "an input counts until it has left");
        queue.accepted(1);
        assert!(queue.push(ME, b"x"));
        assert_eq!(queue.drain().count(), 2);
        assert!(queue.push(ME, &half) && queue.push(ME, &half));

        queue.drain().for_each(drop);
        assert!((0..MOST_INPUTS).all(|_| queue.push(ME, b"")));
        assert!(!queue.push(ME, b""));
    }
}
