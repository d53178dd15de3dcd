//! What was sent and what arrived, by ids, and whether that is what was promised. A plain value; knows no program.

use std::collections::{BTreeMap, BTreeSet};

/// What the sender was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It is taken: it arrives, whatever happens.
    Taken,
    /// It is not: it never arrives.
    Refused,
    /// Nobody knows: it arrives once or never.
    Unknown,
}

/// Everything that was sent, in order, and everything that arrived.
#[derive(Debug, Default)]
pub(crate) struct History {
    recipients: BTreeMap<String, Line>,
}

/// The one way to one recipient.
#[derive(Debug, Default)]
struct Line {
    sent: Vec<(String, Told)>,
    arrived: Vec<(String, Again)>,
    /// Whether what was taken may be missing, since the recipient has died of it.
    cut: bool,
}

/// Whether it was said of something that it came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    New,
    Repeated,
}

impl History {
    /// Something was sent; one after the other for each recipient.
    pub(crate) fn sent(&mut self, to: &str, id: impl Into<String>, told: Told) {
        self.line(to).sent.push((id.into(), told));
    }

    /// Something arrived.
    pub(crate) fn arrived(&mut self, at: &str, id: impl Into<String>, again: Again) {
        self.line(at).arrived.push((id.into(), again));
    }

    /// What has arrived there is looked at anew.
    pub(crate) fn forget_arrived(&mut self, at: &str) {
        self.line(at).arrived.clear();
    }

    /// A recipient is no more: what was on its way may be lost with it, and nothing else.
    pub(crate) fn died(&mut self, who: &str) {
        self.line(who).cut = true;
    }

    /// How many were taken, and how many different ones arrived.
    pub(crate) fn figures(&self) -> (usize, usize) {
        let taken = |line: &Line| line.sent.iter().filter(|(_, told)| *told == Told::Taken).count();
        let different = |line: &Line| line.arrived.iter().map(|(id, _)| id).collect::<BTreeSet<_>>().len();
        let lines = || self.recipients.values();
        (lines().map(taken).sum(), lines().map(different).sum())
    }

    /// Every way in which it is not as promised.
    pub(crate) fn deviations(&self) -> Vec<String> {
        self.recipients.iter().flat_map(|(who, line)| line.deviations(who)).collect()
    }

    fn line(&mut self, who: &str) -> &mut Line {
        self.recipients.entry(who.to_owned()).or_default()
    }
}

impl Line {
    fn missing(&self) -> impl Iterator<Item = &str> {
        let arrived = |id: &str| self.arrived.iter().any(|(other, _)| other == id);
        let taken = self.sent.iter().filter(|(_, told)| *told == Told::Taken);
        taken.map(|(id, _)| id.as_str()).filter(move |id| !arrived(id))
    }

    fn deviations(&self, who: &str) -> Vec<String> {
        let mut found = Vec::new();
        if !self.cut {
            found.extend(self.missing().map(|id| format!("{who}: {id} was taken and never arrived")));
        }
        let mut last = 0;
        for (nth, (id, again)) in self.arrived.iter().enumerate() {
            let before = self.arrived[..nth].iter().any(|(other, _)| other == id);
            let Some(at) = self.sent.iter().position(|(sent, _)| sent == id) else {
                found.push(format!("{who}: {id} arrived and was never sent"));
                continue;
            };
            if self.sent[at].1 == Told::Refused {
                found.push(format!("{who}: {id} was refused and arrived"));
            }
            match (before, again) {
                (true, Again::New) => found.push(format!("{who}: {id} arrived twice")),
                (true, Again::Repeated) => continue,
                // One whose first answer was lost: to the program it is new.
                (false, _) => {}
            }
            if !before {
                if at < last {
                    found.push(format!("{who}: {id} arrived after {}", self.sent[last].0));
                }
                last = last.max(at);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_was_promised_is_told_from_what_was_not() {
        use super::*;
        use {Again::*, Told::*};
        type Sent<'a> = &'a [(&'a str, Told)];
        type Arrived<'a> = &'a [(&'a str, Again)];
        let rows: &[(Sent<'_>, Arrived<'_>, &[&str])] = &[
            (&[], &[], &[]),
            (&[("a", Taken), ("b", Taken)], &[("a", New), ("b", New)], &[]),
            (&[("a", Taken)], &[], &["x: a was taken and never arrived"]),
            (&[("a", Unknown), ("b", Taken)], &[("b", New)], &[]),
            (&[("a", Unknown)], &[("a", New)], &[]),
            (&[("a", Unknown)], &[("a", New), ("a", New)], &["x: a arrived twice"]),
            (&[("a", Taken)], &[("a", New), ("a", Repeated)], &[]),
            (&[("a", Taken)], &[("a", Repeated)], &[]),
            (&[("a", Taken)], &[("a", Repeated), ("a", New)], &["x: a arrived twice"]),
            (&[("a", Refused)], &[], &[]),
            (&[("a", Refused)], &[("a", New)], &["x: a was refused and arrived"]),
            (&[], &[("a", New)], &["x: a arrived and was never sent"]),
            (&[("a", Taken), ("b", Taken)], &[("b", New), ("a", New)], &["x: a arrived after b"]),
            (&[("a", Unknown), ("b", Taken)], &[("b", New), ("a", New)], &["x: a arrived after b"]),
            (&[("a", Taken), ("b", Taken)], &[("a", New), ("b", New), ("a", Repeated), ("b", Repeated)], &[]),
        ];
        for (sent, arrived, expected) in rows {
            let mut history = History::default();
            sent.iter().for_each(|(id, told)| history.sent("x", *id, *told));
            arrived.iter().for_each(|(id, again)| history.arrived("x", *id, *again));
            assert_eq!(history.deviations(), *expected, "{sent:?} {arrived:?}");
        }
    }

    #[test]
    fn each_recipient_has_an_order_of_its_own_and_the_dead_miss_nothing() {
        use super::*;
        let mut history = History::default();
        for (who, id) in [("x", "1"), ("y", "2"), ("x", "3")] {
            history.sent(who, id, Told::Taken);
        }
        history.arrived("x", "1", Again::New);
        history.arrived("x", "3", Again::New);
        assert_eq!(history.deviations(), ["y: 2 was taken and never arrived"]);
        history.died("y");
        assert_eq!(history.deviations(), [""; 0]);
        assert_eq!(history.figures(), (3, 2));
    }
}
