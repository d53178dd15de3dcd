//! What waits to be typed: whole inputs in the order they came, bounded. A plain value; writing is someone
//! else's.

use std::collections::VecDeque;

use super::typed::{Known, Stroke, Table};

/// Who asked, to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) connection: u64,
    pub(super) id: u64,
}

/// What was typed to its last byte, or never will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settled {
    pub(super) asked: Asked,
    pub(super) stroke: Option<Stroke>,
}

/// What became of a stroke that is not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// Who asked is told when it is settled.
    Waits,
    /// It was, before.
    Written,
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct InputQueue {
    waiting: VecDeque<Waiting>,
    cost: usize,
}

#[derive(Debug)]
struct Waiting {
    settled: Settled,
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
    pub(super) fn push(&mut self, asked: Asked, stroke: Option<Stroke>, bytes: &[u8]) -> bool {
        let fits = self.has_room(bytes.len());
        if fits {
            self.cost += bytes.len();
            let settled = Settled { asked, stroke };
            self.waiting.push_back(Waiting { settled, bytes: bytes.to_vec(), written: 0 });
        }
        fits
    }

    /// Queues a stroke that was not accepted before; one that waits is only asked for by another from now on.
    pub(super) fn push_stroke(
        &mut self,
        table: &Table,
        asked: Asked,
        stroke: Stroke,
        bytes: &[u8],
    ) -> Result<Pushed, &'static str> {
        match table.of(stroke) {
            Known::Written => Ok(Pushed::Written),
            Known::Accepted if self.ask_again(asked, stroke) => Ok(Pushed::Waits),
            Known::Accepted => Err(GONE),
            Known::Early => Err("a stroke before it is missing"),
            Known::Forgotten => Err("delivery is forgotten"),
            // Noted before it is queued, so that nothing reaches the terminal of which the file says that it was never
            // accepted; and noted only if it will be queued.
            Known::Next if self.has_room(bytes.len()) && table.accept(stroke) => {
                let pushed = self.push(asked, Some(stroke), bytes);
                debug_assert!(pushed, "there was room");
                Ok(Pushed::Waits)
            }
            Known::Next => Err(FULL),
        }
    }

    /// What is to be written next.
    pub(super) fn front(&self) -> Option<&[u8]> {
        self.waiting.front().map(|input| &input.bytes[input.written..])
    }

    /// So much of [`front`](InputQueue::front) was accepted; tells whose input that was, if it was the rest
    /// of it.
    pub(super) fn accepted(&mut self, n: usize) -> Option<Settled> {
        let input = self.waiting.front_mut()?;
        input.written += n;
        if input.written < input.bytes.len() {
            return None;
        }
        let input = self.waiting.pop_front()?;
        self.cost -= input.bytes.len();
        Some(input.settled)
    }

    /// Gives up on all of them.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Asked> {
        self.cost = 0;
        self.waiting.drain(..).map(|input| input.settled.asked)
    }

    fn has_room(&self, len: usize) -> bool {
        self.cost + len <= InputQueue::MOST && self.waiting.len() < MOST_INPUTS
    }

    /// `false` if it does not wait.
    fn ask_again(&mut self, asked: Asked, stroke: Stroke) -> bool {
        let place = |of: Stroke| (of.delivery, of.number);
        let waiting =
            self.waiting.iter_mut().find(|input| input.settled.stroke.map(place) == Some(place(stroke)));
        waiting.map(|input| input.settled.asked = asked).is_some()
    }
}

/// Why an input is refused when nobody will read it.
pub(super) const GONE: &str = "child is gone";
/// Why one is refused that may be tried again later.
pub(super) const FULL: &str = "queue full";
/// Even empty inputs cost memory.
const MOST_INPUTS: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeper::Typed;

    const ME: Asked = Asked { connection: 1, id: 1 };

    fn plain(asked: Asked) -> Settled {
        Settled { asked, stroke: None }
    }

    #[test]
    fn inputs_leave_whole_and_in_order() {
        let mut queue = InputQueue::default();
        let other = Asked { connection: 2, id: 1 };
        assert!(
            queue.push(ME, None, b"hello") && queue.push(other, None, b"") && queue.push(other, None, b"x")
        );
        assert_eq!(queue.front(), Some(&b"hello"[..]));
        assert_eq!(queue.accepted(2), None);
        assert_eq!(queue.front(), Some(&b"llo"[..]));
        assert_eq!(queue.accepted(3), Some(plain(ME)));
        assert_eq!(queue.front(), Some(&b""[..]));
        assert_eq!(queue.accepted(0), Some(plain(other)));
        assert_eq!(queue.accepted(1), Some(plain(other)));
        assert!(queue.is_empty() && queue.front().is_none() && queue.accepted(0).is_none());
    }

    #[test]
    fn it_is_full_at_its_bound_and_has_room_again_later() {
        let mut queue = InputQueue::default();
        let half = vec![0; InputQueue::MOST / 2];
        assert!(queue.push(ME, None, &half) && queue.push(ME, None, &half));
        assert!(!queue.push(ME, None, b"x"));
        queue.accepted(half.len() - 1);
        assert!(!queue.push(ME, None, b"x"), "an input counts until it has left");
        queue.accepted(1);
        assert!(queue.push(ME, None, b"x"));
        assert_eq!(queue.drain().count(), 2);
        assert!(queue.push(ME, None, &half) && queue.push(ME, None, &half));

        queue.drain().for_each(drop);
        assert!((0..MOST_INPUTS).all(|_| queue.push(ME, None, b"")));
        assert!(!queue.push(ME, None, b""));
    }

    fn stroke(number: u32) -> Stroke {
        Stroke { delivery: 7, number, last: number == 1 }
    }

    /// As the terminal does.
    fn write(queue: &mut InputQueue, table: &Table) -> Asked {
        let settled = queue.accepted(1).unwrap();
        settled.stroke.inspect(|stroke| table.write(*stroke));
        settled.asked
    }

    #[test]
    fn a_stroke_is_queued_once_and_who_asked_last_is_told() {
        let (mut queue, table) = (InputQueue::default(), Table::default());
        let other = Asked { connection: 2, id: 9 };
        assert!(queue.push(ME, None, b"x"));
        assert_eq!(queue.push_stroke(&table, ME, stroke(0), b"y"), Ok(Pushed::Waits));
        assert_eq!(queue.push_stroke(&table, ME, stroke(1), b"z"), Ok(Pushed::Waits));
        assert_eq!(queue.push_stroke(&table, other, stroke(0), b"y"), Ok(Pushed::Waits));
        assert_eq!(write(&mut queue, &table), ME);
        assert_eq!(queue.front(), Some(&b"y"[..]));
        assert_eq!(write(&mut queue, &table), other);
        assert_eq!(queue.push_stroke(&table, ME, stroke(0), b"y"), Ok(Pushed::Written));
        assert_eq!(
            queue.push_stroke(&table, other, Stroke { last: false, ..stroke(1) }, b"z"),
            Ok(Pushed::Waits)
        );
        assert_eq!(queue.front(), Some(&b"z"[..]));
        assert_eq!(write(&mut queue, &table), other);
        assert!(queue.is_empty());
        let whole = Typed { delivery: 7, accepted: 2, written: 2, complete: true };
        assert_eq!(table.all(), (vec![whole], 0));
    }

    #[test]
    fn what_is_refused_was_not_accepted() {
        let (mut queue, table) = (InputQueue::default(), Table::default());
        assert!(queue.push(ME, None, &vec![0; InputQueue::MOST]));
        assert_eq!(queue.push_stroke(&table, ME, stroke(0), b"x"), Err(FULL));
        assert_eq!(table.all(), (vec![], 0));
        queue.accepted(InputQueue::MOST);

        // Then the Enter must not go without its text.
        assert!(queue.push_stroke(&table, ME, stroke(1), b"\r").is_err());
        assert!(queue.is_empty());
        assert_eq!(queue.push_stroke(&table, ME, stroke(0), b"x"), Ok(Pushed::Waits));
        let unknown = Stroke { delivery: 0, ..stroke(0) };
        assert_eq!(queue.push_stroke(&table, ME, unknown, b"x"), Err("delivery is forgotten"));
    }

    #[test]
    fn what_is_given_up_was_accepted_and_never_written() {
        let (mut queue, table) = (InputQueue::default(), Table::default());
        assert_eq!(queue.push_stroke(&table, ME, stroke(0), b"x"), Ok(Pushed::Waits));
        assert_eq!(queue.drain().collect::<Vec<_>>(), [ME]);
        assert_eq!(queue.push_stroke(&table, ME, stroke(0), b"x"), Err(GONE));
        let accepted = Typed { delivery: 7, accepted: 1, written: 0, complete: false };
        assert_eq!(table.all(), (vec![accepted], 0));
        assert!(queue.is_empty());
    }
}
