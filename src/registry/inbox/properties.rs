//! What holds of an inbox whatever comes and is read: told from a list of all that ever came.

use proptest::{collection::vec, prelude::*, test_runner::RngSeed};

use super::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many reports of so many bytes.
    Push(usize, usize),
    /// The unread ones, so many bytes.
    Read(usize),
    /// From so far back, counted from the newest.
    Again(u64, usize),
    /// All that was read has arrived.
    Heard,
    /// The last answer has not.
    Lost,
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = prop_oneof![4 => 0..200usize, 1 => Just(Inbox::MAX_BYTES / 3)];
    let times = prop_oneof![4 => 1..4usize, 1 => 100..600usize];
    let room = prop_oneof![4 => 0..1000usize, 1 => Just(usize::MAX)];
    prop_oneof![
        4 => (times, bytes).prop_map(|(times, bytes)| Step::Push(if bytes > 200 { 1 } else { times }, bytes)),
        3 => room.clone().prop_map(Step::Read),
        2 => (0..300u64, room).prop_map(|(back, room)| Step::Again(back, room)),
        2 => Just(Step::Heard),
        1 => Just(Step::Lost),
    ]
}

fn report(bytes: usize) -> Report {
    Report::saying("x".repeat(bytes))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..Default::default()
    })]

    #[test]
    fn every_report_comes_in_its_order_and_once_unless_asked_for_again(steps in vec(step(), 0..25)) {
        let mut inbox = Inbox::default();
        // The bytes of each report from number 1 on; how many of them were read, have arrived, and were ever read.
        let (mut came, mut seen, mut heard, mut given) = (Vec::<usize>::new(), 0, 0, 0);
        for step in steps {
            match step {
                Step::Push(times, bytes) => for _ in 0..times {
                    let unread = came.len() - seen;
                    let fits = unread < Inbox::MAX_UNREAD
                        && came[seen..].iter().sum::<usize>() + bytes <= Inbox::MAX_BYTES;
                    let admitted = inbox.admit(&report(bytes));
                    if fits {
                        came.push(bytes);
                        inbox.push(Report { number: came.len() as u64, ..report(bytes) });
                    }
                    prop_assert_eq!(admitted, if fits { Ok(came.len() as u64) } else { Err(Full { unread }) });
                },
                Step::Read(room) => {
                    let (read, more) = inbox.read(None, room);
                    let expected = fitting(&came, seen, room);
                    prop_assert!(numbers(&read).eq(expected));
                    prop_assert!(read.iter().all(|one| one.again == (one.report.number <= given)));
                    seen += read.len();
                    prop_assert_eq!(more, came.len() - seen);
                    prop_assert!(read.iter().all(|one| one.report.message.len() == came[one.report.number as usize - 1]));
                }
                Step::Again(back, room) => {
                    let after = (came.len() as u64).saturating_sub(back) as usize;
                    // Read ones beyond the last hundred are gone.
                    let oldest = came.len() - inbox.reports.len();
                    prop_assert!(oldest <= (heard as usize).saturating_sub(Inbox::KEEP_READ));
                    let from = after.max(oldest);
                    let (read, more) = inbox.read(Some(after as u64), room);
                    prop_assert!(numbers(&read).eq(fitting(&came, from, room)));
                    prop_assert_eq!(more, came.len() - from - read.len());
                    if !read.is_empty() {
                        seen = seen.max(from + read.len());
                    }
                }
                Step::Heard => {
                    prop_assert_eq!(inbox.heard(seen as u64), seen as u64 > heard);
                    heard = seen as u64;
                }
                Step::Lost => {
                    prop_assert_eq!(inbox.unheard(), seen as u64 > heard);
                    seen = heard as usize;
                }
            }
            given = given.max(seen as u64);
            prop_assert_eq!((inbox.unread(), inbox.last()), (came.len() - seen, came.len() as u64));
            prop_assert!(inbox.waiting().map(|report| report.number as usize).eq(seen + 1..=came.len()));
            prop_assert!(inbox.reports.len() <= came.len() - heard as usize + Inbox::KEEP_READ);
        }
    }
}

fn numbers(read: &[Given]) -> impl Iterator<Item = u64> {
    read.iter().map(|given| given.report.number)
}

/// The numbers after `from` that fit, at least one.
fn fitting(came: &[usize], from: usize, room: usize) -> impl Iterator<Item = u64> + Clone {
    let mut left = room;
    let more = |(at, bytes): &(usize, usize)| {
        let fits = *at == 0 || *bytes <= left;
        left = left.saturating_sub(*bytes);
        fits
    };
    let count = came[from..].iter().copied().enumerate().take_while(more).count();
    (from as u64 + 1..).take(count)
}
