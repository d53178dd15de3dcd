//! What holds of a queue whatever is sent, by whom, and whatever happens meanwhile: a terminal that is told what the
//! queue wants done, and watches it.

use std::{collections::BTreeMap, time::SystemTime};

use proptest::{collection::vec, prelude::*, test_runner::RngSeed};

use super::*;
use crate::{child::rules::ComposerRule, id::Exit};

#[derive(Clone, Debug)]
enum Event {
    Push {
        writer: Writer,
        keys: bool,
        now: bool,
    },
    Owner {
        person: bool,
    },
    State(State),
    Settled(bool),
    Shows(Picture),
    Works(bool),
    /// The terminal's answer comes, and there are so many keys to press; or there can be no strokes.
    Tty(Option<usize>),
    Written,
    Unwritten,
    Interrupted,
    Later(u64),
}

/// What is in the program's composer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Picture {
    /// The message that was begun, if one was.
    Message,
    Nothing,
    Draft,
    /// There is none.
    Away,
}

fn event() -> impl Strategy<Value = Event> {
    let writer = prop_oneof![2 => Just(Writer::Agent), 1 => Just(Writer::Person)];
    let state = prop_oneof![
        4 => Just(State::Idle),
        2 => Just(State::Busy),
        1 => Just(State::Starting),
        1 => Just(State::NeedsInput { what: "trust".into() }),
        1 => Just(State::NeedsInput { what: State::DRAFT.into() }),
    ];
    let picture = prop_oneof![
        5 => Just(Picture::Message),
        4 => Just(Picture::Nothing),
        1 => Just(Picture::Draft),
        1 => Just(Picture::Away),
    ];
    let strokes = prop_oneof![6 => (1..4usize).prop_map(Some), 1 => Just(Some(0)), 1 => Just(None)];
    prop_oneof![
        6 => (writer, any::<bool>(), any::<bool>()).prop_map(|(writer, keys, now)| Event::Push { writer, keys, now }),
        2 => any::<bool>().prop_map(|person| Event::Owner { person }),
        3 => state.prop_map(Event::State),
        1 => any::<bool>().prop_map(Event::Settled),
        8 => picture.prop_map(Event::Shows),
        2 => any::<bool>().prop_map(Event::Works),
        6 => strokes.prop_map(Event::Tty),
        9 => Just(Event::Written),
        1 => Just(Event::Unwritten),
        1 => Just(Event::Interrupted),
        6 => (0..400u64).prop_map(Event::Later),
        2 => (0..12_000u64).prop_map(Event::Later),
    ]
}

#[derive(Debug)]
struct Sent {
    writer: Writer,
    keys: bool,
    now: bool,
    /// How many keys it has, once that is known, and how many strokes the terminal was given.
    strokes: Option<usize>,
    begun: usize,
    outcome: Option<Outcome>,
}

struct Terminal {
    queue: Queue,
    composer: Composer,
    picture: Picture,
    owner: Owner,
    state: State,
    settled: bool,
    works: bool,
    now: Instant,
    end: u64,
    sent: BTreeMap<u64, Sent>,
    asked: bool,
    again: bool,
    writing: bool,
    /// Who has begun and is not over.
    inside: Option<u64>,
}

impl Terminal {
    fn new(composer: bool) -> Self {
        let rule = ComposerRule { matches: "(?s)^> (?P<text>.*)".into(), empty: vec![], pasted: None };
        let mut terminal = Terminal {
            queue: Queue { now: Now::Interrupt, interrupt: vec!["Escape".into()], ..Queue::default() },
            composer: Composer::new(composer.then_some(&rule)),
            picture: Picture::Nothing,
            owner: Owner::Orchestrator { since: SystemTime::UNIX_EPOCH },
            state: State::Idle,
            settled: true,
            works: false,
            now: Instant::now(),
            end: 0,
            sent: BTreeMap::new(),
            asked: false,
            writing: false,
            again: false,
            inside: None,
        };
        terminal.shows(Picture::Nothing);
        terminal
    }

    fn shows(&mut self, picture: Picture) {
        self.picture = picture;
        self.end += 1;
        let screen = match (picture, self.inside) {
            (Picture::Message, Some(id)) => format!("> {}", text(id)),
            (Picture::Message | Picture::Nothing, _) => "> ".to_owned(),
            (Picture::Draft, _) => "> of another".to_owned(),
            (Picture::Away, _) => "a pager".to_owned(),
        };
        self.composer.look(&screen, self.now);
    }

    fn happens(&mut self, event: Event) {
        let done = match event {
            Event::Push { writer, keys, now } => {
                let id = self.sent.len() as u64 + 1;
                let what = if keys { What::Keys(vec![id.to_string()]) } else { What::Message(text(id)) };
                let job = Job { id: DeliveryId(id), writer, what, begun: 0, now, prompt: None };
                assert_eq!(self.queue.push(job, self.now), Ok(self.queue.len() - 1));
                self.sent.insert(id, Sent { writer, keys, now, strokes: None, begun: 0, outcome: None });
                None
            }
            Event::Owner { person } => {
                let since = SystemTime::UNIX_EPOCH;
                self.owner = match person {
                    true => Owner::Person { who: "ada".into(), since },
                    false => Owner::Orchestrator { since },
                };
                None
            }
            Event::State(state) => {
                self.state = state;
                None
            }
            Event::Settled(settled) => {
                self.settled = settled;
                None
            }
            Event::Shows(picture) => {
                self.shows(picture);
                None
            }
            Event::Works(works) => {
                self.works = works;
                None
            }
            Event::Tty(strokes) if std::mem::take(&mut self.asked) => self.plan(strokes),
            Event::Written if std::mem::take(&mut self.writing) => {
                self.queue.written(self.now);
                None
            }
            Event::Unwritten if std::mem::take(&mut self.writing) => {
                self.queue.unwritten("the terminal is gone")
            }
            Event::Interrupted => {
                // A message's stroke is written again, which its keeper would know.
                self.again = std::mem::take(&mut self.writing);
                self.asked = false;
                let done = self.queue.interrupted(self.now);
                self.act(done);
                self.again = false;
                None
            }
            Event::Later(ms) => {
                self.now += Duration::from_millis(ms);
                None
            }
            Event::Tty(_) | Event::Written | Event::Unwritten => None,
        };
        self.act(done);
        while let Some(next) = self.next() {
            self.act(Some(next));
        }
        let open = self.sent.values().filter(|sent| sent.outcome.is_none()).count();
        assert_eq!((self.queue.len(), self.queue.is_empty()), (open, open == 0));
        for (id, sent) in &self.sent {
            assert_eq!(self.queue.standing(DeliveryId(*id), self.scene()).is_some(), sent.outcome.is_none());
        }
    }

    fn scene(&self) -> Scene<'_> {
        Scene {
            owner: &self.owner,
            state: &self.state,
            why: "a rule",
            settled: self.settled,
            worked: self.works.then_some("a rule"),
            shows_work: true,
            end: Offset(self.end),
            composer: &self.composer,
            asks: None,
            screen: "",
        }
    }

    fn next(&mut self) -> Option<Do> {
        let mut queue = std::mem::take(&mut self.queue);
        let next = queue.advance(self.scene(), self.now);
        self.queue = queue;
        next
    }

    fn plan(&mut self, strokes: Option<usize>) -> Option<Do> {
        let tty = Tty { canonical: false, foreground: None };
        let Some(Do::Plan(what, _)) = self.queue.tty(tty) else { panic!("it asked") };
        let stroke = |text: String| Stroke { bytes: text.into(), pause: Duration::from_millis(300) };
        let planned = match &what {
            What::Keys(keys) if keys[0] == "Escape" => strokes.map(|_| vec![stroke("interrupt 0".into())]),
            What::Keys(keys) => {
                self.sent.get_mut(&keys[0].parse().unwrap()).unwrap().strokes = strokes;
                strokes.map(|count| (0..count).map(|at| stroke(format!("{} {at}", keys[0]))).collect())
            }
            What::Message(text) => {
                let id = text.rsplit(' ').next().unwrap();
                strokes.map(|_| vec![stroke(format!("{id} 0")), stroke(format!("{id} 1"))])
            }
        };
        self.queue.strokes(planned.ok_or("it is too long".into()))
    }

    fn act(&mut self, what: Option<Do>) {
        match what {
            None => {}
            Some(Do::AskTty) => self.asked = true,
            Some(Do::Plan(..)) => panic!("nobody told the terminal"),
            Some(Do::Write { bytes, last, stroke }) => {
                self.write(&String::from_utf8(bytes).unwrap(), last, stroke);
            }
            Some(Do::Note(DeliveryId(id), mark)) => {
                assert_eq!(mark.phase, Reached::TurnStarted);
                assert!(self.sent[&id].outcome.is_some() && self.works);
            }
            Some(Do::Finish(DeliveryId(id), fate)) => self.finish(id, fate),
        }
    }

    fn write(&mut self, bytes: &str, last: bool, stroke: Option<(DeliveryId, u32)>) {
        assert!(!std::mem::replace(&mut self.writing, true), "one stroke at a time");
        let (id, at) = bytes.split_once(' ').unwrap();
        if id == "interrupt" {
            assert_eq!((&self.state, stroke, last, self.inside), (&State::Busy, None, false, None));
            assert!(!self.again);
            return;
        }
        let (id, mut at): (u64, usize) = (id.parse().unwrap(), at.parse().unwrap());
        assert!(self.inside.replace(id).is_none_or(|inside| inside == id), "nobody comes between");
        let sent = self.sent.get_mut(&id).unwrap();
        if !sent.keys && at == 1 {
            at = stroke.unwrap().1 as usize;
        }
        assert_eq!(stroke, (!sent.keys).then_some((DeliveryId(id), at as u32)));
        if self.again {
            assert_eq!((sent.keys, sent.begun), (false, at + 1));
            return;
        }
        assert_eq!((sent.begun, sent.outcome.as_ref()), (at, None));
        sent.begun += 1;
        assert_eq!(last, if sent.keys { sent.strokes == Some(sent.begun) } else { at > 0 });
        let (writer, keys, now) = (sent.writer, sent.keys, sent.now);
        if at == 0 {
            assert!(self.owner.admits(writer), "an agent began while a person has the input");
            let busy = self.state == State::Busy;
            let ready = self.settled && (self.state == State::Idle || busy && now);
            assert!(keys || ready && !busy, "a message into {}", self.state);
            assert!(keys || !self.composer.is_described() || self.picture != Picture::Draft);
            assert!(keys || !self.composer.is_described() || self.picture != Picture::Away);
            self.in_order(id);
        } else if !keys {
            assert!(at <= 2, "more than two Enters");
            assert!(gate::asks(self.scene()).is_none(), "Enter into a question");
            let filled = matches!(self.picture, Picture::Message | Picture::Draft);
            assert!(!self.composer.is_described() || filled, "Enter upon nothing");
        }
    }

    fn finish(&mut self, id: u64, fate: Fate) {
        let shown = self.composer.is_described() && self.picture == Picture::Message;
        let sent = self.sent.get_mut(&id).unwrap();
        assert_eq!(sent.outcome, None, "told twice");
        match fate.outcome {
            Outcome::Submitted { .. } => assert!(sent.begun > 1 && !sent.keys && !shown),
            Outcome::Typed { .. } if sent.keys => assert_eq!(sent.strokes, Some(sent.begun)),
            Outcome::Typed { .. } => assert!(sent.begun > 1),
            Outcome::Refused(_) => assert_eq!(sent.begun, 0),
            Outcome::Unknown(_) => assert!(sent.begun > 0 || sent.now),
        }
        sent.outcome = Some(fate.outcome);
        self.inside.take_if(|inside| *inside == id);
        (self.asked, self.writing) = (false, false);
        self.in_order(id);
    }

    /// Whoever sent this has nothing older of its kind that waits.
    fn in_order(&self, id: u64) {
        let urgent = |sent: &Sent| sent.keys || sent.now;
        let this = &self.sent[&id];
        // Keys, and what is to be typed now, come before a message that waits.
        if urgent(this) {
            return;
        }
        let mut older = self.sent.range(..id).filter(|(_, sent)| sent.writer == this.writer && !urgent(sent));
        assert!(older.all(|(_, sent)| sent.outcome.is_some()), "{id} came before an older one");
    }
}

fn text(id: u64) -> String {
    format!("the message {id}")
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..Default::default()
    })]

    #[test]
    fn every_message_is_typed_whole_in_its_turn_and_answered_once(
        composer in any::<bool>(), events in vec(event(), 0..100)
    ) {
        let mut terminal = Terminal::new(composer);
        for event in events {
            terminal.happens(event);
        }
        terminal.happens(Event::State(State::Exited(Exit::Code(0))));
        prop_assert!(terminal.queue.is_empty());
        prop_assert!(terminal.sent.values().all(|sent| sent.outcome.is_some()));
    }
}
