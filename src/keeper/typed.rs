//! Which strokes of which deliveries were accepted, and which were typed: a table in the ring's header, so that no
//! stroke is typed twice, whoever asks again. Knows neither what a stroke is made of nor who asked.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::record::Fields;

/// How far a delivery has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Typed {
    /// Its number, as its broker numbers them, from 1.
    pub delivery: u64,
    /// How many of its strokes the keeper has accepted: strokes `0..accepted`.
    pub accepted: u32,
    /// How many of those the terminal has taken to their last byte; never more.
    pub written: u32,
    /// Whether the last one is among the accepted.
    pub complete: bool,
}

/// One piece of a delivery: a paste, or the Enter after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stroke {
    pub(super) delivery: u64,
    /// Its number within the delivery, from 0, without a gap.
    pub(super) number: u32,
    /// No other comes after it.
    pub(super) last: bool,
}

/// What is known of a stroke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Never accepted, and the next in its delivery.
    Next,
    /// Accepted, and not written yet.
    Accepted,
    /// In the terminal.
    Written,
    /// One before it was not accepted: it would stand where that one belongs.
    Early,
    /// Its delivery left the table, or came out of turn: whether it was accepted cannot be told.
    Forgotten,
}

/// The table. All zero is empty. There is one writer; others read the file.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Table {
    forgotten: AtomicU64,
    entries: [Entry; Table::LEN],
}

/// A delivery, and its [`Strokes`] in one word: a keeper may be killed between any two stores, and whoever then reads
/// its file must never see more written than accepted, or strokes of the delivery that stood here before.
#[repr(C)]
#[derive(Debug, Default)]
struct Entry {
    delivery: AtomicU64,
    strokes: AtomicU64,
}

impl Default for Table {
    fn default() -> Self {
        Table { forgotten: AtomicU64::default(), entries: std::array::from_fn(|_| Entry::default()) }
    }
}

impl Table {
    /// How many deliveries are remembered: more than may wait for one child, so that one which waited for long while
    /// others overtook it is not taken for a forgotten one.
    pub(super) const LEN: usize = 128;

    /// What is known of it.
    pub(super) fn of(&self, stroke: Stroke) -> Known {
        let Some(entry) = self.find(stroke.delivery) else {
            return if stroke.delivery <= self.forgotten.load(Ordering::Relaxed) {
                Known::Forgotten
            } else if stroke.number == 0 {
                Known::Next
            } else {
                Known::Early
            };
        };
        let strokes = entry.strokes();
        match stroke.number {
            number if number < strokes.written => Known::Written,
            number if number < strokes.accepted => Known::Accepted,
            number if number == strokes.accepted => Known::Next,
            _ => Known::Early,
        }
    }

    /// Notes that the [`Next`](Known::Next) stroke of its delivery is accepted. `false`, and nothing is noted, if every
    /// place is taken by a delivery that waits to be written.
    pub(super) fn accept(&self, stroke: Stroke) -> bool {
        let Some(entry) = self.find(stroke.delivery).or_else(|| self.make_room(stroke.delivery)) else {
            return false;
        };
        let strokes = entry.strokes();
        if strokes.accepted == Strokes::MOST {
            return false;
        }
        let accepted = strokes.accepted + 1;
        entry.set(Strokes { accepted, complete: strokes.complete || stroke.last, ..strokes });
        true
    }

    /// Notes that an accepted stroke, and so those before it, is written.
    pub(super) fn write(&self, stroke: Stroke) {
        if let Some(entry) = self.find(stroke.delivery) {
            let strokes = entry.strokes();
            let written = strokes.accepted.min(stroke.number.saturating_add(1)).max(strokes.written);
            entry.set(Strokes { written, ..strokes });
        }
    }

    /// All of it, and the highest delivery that ever left it.
    pub(super) fn all(&self) -> (Vec<Typed>, u64) {
        let words = self
            .entries
            .iter()
            .map(|it| (it.delivery.load(Ordering::Relaxed), it.strokes.load(Ordering::Relaxed)));
        (sorted(words), self.forgotten.load(Ordering::Relaxed))
    }

    /// All of a table that begins at this place of a header.
    pub(super) fn read(page: &Fields<'_>, at: usize) -> (Vec<Typed>, u64) {
        let places = (0..Table::LEN).map(|i| at + 8 + 16 * i);
        (sorted(places.map(|at| (page.u64(at), page.u64(at + 8)))), page.u64(at))
    }

    fn find(&self, delivery: u64) -> Option<&Entry> {
        self.entries.iter().find(|it| !it.is_free() && it.delivery.load(Ordering::Relaxed) == delivery)
    }

    /// A place for a new delivery: a free one, or that of the lowest of which nothing waits to be written.
    fn make_room(&self, delivery: u64) -> Option<&Entry> {
        let free = self.entries.iter().find(|entry| entry.is_free());
        let entry = free.or_else(|| {
            let settled = self.entries.iter().filter(|entry| entry.strokes().is_settled());
            settled.min_by_key(|entry| entry.delivery.load(Ordering::Relaxed))
        })?;
        // In this order, so that whenever we are killed the old delivery is in the table or counts as forgotten, and no
        // delivery has the strokes of another. Release keeps the order.
        if !entry.is_free() {
            self.forgotten.fetch_max(entry.delivery.load(Ordering::Relaxed), Ordering::Release);
            entry.strokes.store(0, Ordering::Release);
        }
        entry.delivery.store(delivery, Ordering::Release);
        Some(entry)
    }
}

impl Entry {
    fn strokes(&self) -> Strokes {
        Strokes::from_word(self.strokes.load(Ordering::Relaxed))
    }

    fn set(&self, strokes: Strokes) {
        self.strokes.store(strokes.word(), Ordering::Release);
    }

    fn is_free(&self) -> bool {
        self.strokes().accepted == 0
    }
}

/// How many are written in the low half of a word, how many are accepted in the next 31 bits, then whether the last is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Strokes {
    written: u32,
    accepted: u32,
    complete: bool,
}

impl Strokes {
    const MOST: u32 = (1 << 31) - 1;

    fn from_word(word: u64) -> Strokes {
        let accepted = (word >> 32) as u32 & Strokes::MOST;
        Strokes { written: word as u32, accepted, complete: word >> 63 == 1 }
    }

    fn word(self) -> u64 {
        u64::from(self.written) | u64::from(self.accepted) << 32 | u64::from(self.complete) << 63
    }

    fn is_settled(self) -> bool {
        self.written == self.accepted
    }
}

/// The deliveries that these words tell of, in order.
fn sorted(words: impl Iterator<Item = (u64, u64)>) -> Vec<Typed> {
    let mut all: Vec<Typed> = words
        .map(|(delivery, word)| {
            let Strokes { written, accepted, complete } = Strokes::from_word(word);
            // A keeper writes no more than it accepts; a broken file may say so.
            Typed { delivery, accepted, written: written.min(accepted), complete }
        })
        .filter(|typed| typed.accepted > 0)
        .collect();
    all.sort_by_key(|typed| typed.delivery);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stroke(delivery: u64, number: u32) -> Stroke {
        Stroke { delivery, number, last: false }
    }

    fn last(delivery: u64, number: u32) -> Stroke {
        Stroke { last: true, ..stroke(delivery, number) }
    }

    fn typed(delivery: u64, accepted: u32, written: u32, complete: bool) -> Typed {
        Typed { delivery, accepted, written, complete }
    }

    /// Accepts and writes one delivery of one stroke.
    fn whole(table: &Table, delivery: u64) {
        assert!(table.accept(last(delivery, 0)));
        table.write(stroke(delivery, 0));
    }

    #[test]
    fn a_stroke_is_next_then_accepted_then_written() {
        use Known::{Accepted, Early, Forgotten, Next, Written};
        let table = Table::default();
        let check = |expected: [Known; 4]| {
            assert_eq!([0, 1, 2, u32::MAX].map(|number| table.of(stroke(7, number))), expected);
        };
        check([Next, Early, Early, Early]);
        assert!(table.accept(stroke(7, 0)));
        check([Accepted, Next, Early, Early]);
        assert!(table.accept(last(7, 1)));
        check([Accepted, Accepted, Next, Early]);
        table.write(stroke(7, 0));
        check([Written, Accepted, Next, Early]);
        table.write(stroke(7, 1));
        check([Written, Written, Next, Early]);
        assert_eq!(table.of(stroke(0, 0)), Forgotten, "deliveries are numbered from 1");
    }

    #[test]
    fn a_delivery_is_told_as_it_stands() {
        let table = Table::default();
        assert_eq!(table.all(), (vec![], 0));
        assert!(table.accept(last(9, 0)));
        assert!(table.accept(stroke(7, 0)));
        assert_eq!(table.all(), (vec![typed(7, 1, 0, false), typed(9, 1, 0, true)], 0));
        table.write(stroke(9, 0));
        assert!(table.accept(last(7, 1)));
        table.write(stroke(7, 0));
        assert_eq!(table.all(), (vec![typed(7, 2, 1, true), typed(9, 1, 1, true)], 0));
        // What was never accepted cannot be written.
        table.write(stroke(7, u32::MAX));
        table.write(stroke(8, 0));
        assert_eq!(table.all(), (vec![typed(7, 2, 2, true), typed(9, 1, 1, true)], 0));
    }

    #[test]
    fn the_lowest_that_is_settled_is_forgotten_first() {
        let table = Table::default();
        assert!(table.accept(stroke(10, 0)));
        let next = 10 + Table::LEN as u64;
        (11..next).for_each(|delivery| whole(&table, delivery));
        assert_eq!((table.all().0.len(), table.all().1), (Table::LEN, 0));

        // Of 10 something waits.
        whole(&table, next);
        let (all, forgotten) = table.all();
        assert_eq!((all.len(), forgotten), (Table::LEN, 11));
        assert_eq!(
            (all[0], all[1], all[Table::LEN - 1]),
            (typed(10, 1, 0, false), typed(12, 1, 1, true), typed(next, 1, 1, true))
        );
        assert_eq!(table.of(stroke(10, 0)), Known::Accepted);
        for (delivery, expected) in [(9, Known::Forgotten), (11, Known::Forgotten), (12, Known::Written)] {
            assert_eq!(table.of(stroke(delivery, 0)), expected, "{delivery}");
        }
        assert_eq!(table.of(stroke(next + 1, 0)), Known::Next);

        table.write(stroke(10, 0));
        whole(&table, next + 1);
        assert_eq!(table.of(stroke(10, 0)), Known::Forgotten);
        assert_eq!(table.all().1, 11, "the highest, not the latest");
    }

    #[test]
    fn what_waits_to_be_written_is_never_forgotten() {
        let table = Table::default();
        let most = Table::LEN as u64;
        assert!((1..=most).all(|delivery| table.accept(stroke(delivery, 0))));
        let before = table.all();
        assert!(!table.accept(stroke(most + 1, 0)));
        assert_eq!(table.all(), before);
        assert!(table.accept(stroke(5, 1)), "it has its place");
        table.write(stroke(20, 0));
        assert!(table.accept(stroke(most + 1, 0)));
        assert_eq!(table.all().1, 20);
    }

    #[test]
    fn a_broken_word_claims_no_more_than_was_accepted() {
        let (most, broken) = (u64::MAX, Strokes { written: 9, accepted: 2, complete: false }.word());
        assert_eq!(
            sorted([(3, broken), (2, most), (1, 0), (1, 5)].into_iter()),
            [typed(2, Strokes::MOST, Strokes::MOST, true), typed(3, 2, 2, false)]
        );
    }
}
