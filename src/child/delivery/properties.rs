//! What holds of a queue whatever is sent, by whom, and whatever happens meanwhile: a terminal that is told what the
//! queue wants done, and watches it.

use std::{collections::BTreeMap, time::SystemTime};

use proptest::{collection::vec, prelude::*, test_runner::RngSeed};

use super::*;
use crate::id::Exit;

#[derive(Clone, Debug)]
enum Event {
    Push {
        writer: Writer,
        keys: bool,
    },
    Owner {
        person: bool,
    },
    State(State),
    Settled(bool),
    /// The terminal's answer comes, and the strokes are so many, or there can be none.
    Tty(Option<usize>),
    Written,
    Unwritten,
    Interrupted,
    Later(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let writer = prop_oneof![2 => Just(Writer::Agent), 1 => Just(Writer::Person)];
    let state = prop_oneof![
        4 => Just(State::Idle),
        1 => Just(State::Busy),
        1 => Just(State::Starting),
        1 => Just(State::NeedsInput { what: "trust".into() }),
    ];
    let strokes = prop_oneof![6 => (1..4usize).prop_map(Some), 1 => Just(Some(0)), 1 => Just(None)];
    prop_oneof![
        6 => (writer, any::<bool>()).prop_map(|(writer, keys)| Event::Push { writer, keys }),
        2 => any::<bool>().prop_map(|person| Event::Owner { person }),
        2 => state.prop_map(Event::State),
        1 => any::<bool>().prop_map(Event::Settled),
        6 => strokes.prop_map(Event::Tty),
        9 => Just(Event::Written),
        1 => Just(Event::Unwritten),
        1 => Just(Event::Interrupted),
        6 => (0..400u64).prop_map(Event::Later),
    ]
}

#[derive(Debug)]
struct Sent {
    writer: Writer,
    keys: bool,
    /// How many strokes it has, once that is known, and how many the terminal was given.
    strokes: Option<usize>,
    begun: usize,
    outcome: Option<Outcome>,
}

struct Terminal {
    queue: Queue,
    owner: Owner,
    state: State,
    settled: bool,
    now: Instant,
    sent: BTreeMap<u64, Sent>,
    asked: bool,
    again: bool,
    writing: bool,
    /// Who has begun and is not over.
    inside: Option<u64>,
}

impl Terminal {
    fn new() -> Self {
        Terminal {
            queue: Queue::default(),
            owner: Owner::Orchestrator { since: SystemTime::UNIX_EPOCH },
            state: State::Idle,
            settled: true,
            now: Instant::now(),
            sent: BTreeMap::new(),
            asked: false,
            writing: false,
            again: false,
            inside: None,
        }
    }

    fn happens(&mut self, event: Event) {
        let done = match event {
            Event::Push { writer, keys } => {
                let id = self.sent.len() as u64 + 1;
                let what =
                    if keys { What::Keys(vec![id.to_string()]) } else { What::Message(id.to_string()) };
                assert_eq!(
                    self.queue.push(Job { id: DeliveryId(id), writer, what, begun: 0, prompt: None }),
                    Ok(self.queue.len() - 1)
                );
                self.sent.insert(id, Sent { writer, keys, strokes: None, begun: 0, outcome: None });
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
                let done = self.queue.interrupted();
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
        loop {
            let end = Offset(self.sent.len() as u64);
            let scene =
                Scene { owner: &self.owner, state: &self.state, settled: self.settled, end, asks: None };
            let Some(next) = self.queue.advance(scene, self.now) else { break };
            self.act(Some(next));
        }
        let open = self.sent.values().filter(|sent| sent.outcome.is_none()).count();
        assert_eq!((self.queue.len(), self.queue.is_empty()), (open, open == 0));
    }

    fn plan(&mut self, strokes: Option<usize>) -> Option<Do> {
        let tty = Tty { canonical: false, foreground: None };
        let Some(Do::Plan(what, _)) = self.queue.tty(tty) else { panic!("it asked") };
        let id = match &what {
            What::Message(text) => text,
            What::Keys(keys) => &keys[0],
        };
        self.sent.get_mut(&id.parse().unwrap()).unwrap().strokes = strokes;
        let stroke = |at| Stroke { bytes: format!("{id} {at}").into(), pause: Duration::from_millis(300) };
        self.queue
            .strokes(strokes.map(|count| (0..count).map(stroke).collect()).ok_or("it is too long".into()))
    }

    fn act(&mut self, what: Option<Do>) {
        match what {
            None => {}
            Some(Do::AskTty) => self.asked = true,
            Some(Do::Plan(..)) => panic!("nobody told the terminal"),
            Some(Do::Write { bytes, last, stroke }) => {
                self.write(&String::from_utf8(bytes).unwrap(), last, stroke);
            }
            Some(Do::Finish(DeliveryId(id), outcome)) => self.finish(id, outcome),
        }
    }

    fn write(&mut self, bytes: &str, last: bool, stroke: Option<(DeliveryId, u32)>) {
        let (id, at) = bytes.split_once(' ').unwrap();
        let (id, at): (u64, usize) = (id.parse().unwrap(), at.parse().unwrap());
        assert!(!std::mem::replace(&mut self.writing, true), "one stroke at a time");
        assert!(self.inside.replace(id).is_none_or(|inside| inside == id), "nobody comes between");
        let sent = self.sent.get_mut(&id).unwrap();
        assert_eq!(stroke, (!sent.keys).then_some((DeliveryId(id), at as u32)));
        if self.again {
            assert_eq!((sent.keys, sent.begun), (false, at + 1));
            return;
        }
        assert_eq!((sent.begun, sent.outcome.as_ref()), (at, None));
        sent.begun += 1;
        assert_eq!(last, sent.strokes == Some(sent.begun));
        if at == 0 {
            let (writer, keys) = (sent.writer, sent.keys);
            assert!(self.owner.admits(writer), "an agent began while a person has the input");
            let ready = self.settled && matches!(self.state, State::Idle | State::Busy);
            assert!(keys || ready, "a message into {}", self.state);
            self.in_order(id);
        }
    }

    fn finish(&mut self, id: u64, outcome: Outcome) {
        let sent = self.sent.get_mut(&id).unwrap();
        assert_eq!(sent.outcome, None, "told twice");
        match outcome {
            Outcome::Typed { .. } => assert_eq!(sent.strokes, Some(sent.begun)),
            Outcome::Refused(_) => assert_eq!(sent.begun, 0),
            Outcome::Unknown(_) => assert_ne!(sent.begun, 0),
        }
        sent.outcome = Some(outcome);
        self.inside.take_if(|inside| *inside == id);
        (self.asked, self.writing) = (false, false);
        self.in_order(id);
    }

    /// Whoever sent this has nothing older that waits.
    fn in_order(&self, id: u64) {
        let writer = self.sent[&id].writer;
        let mut older = self.sent.range(..id).filter(|(_, sent)| sent.writer == writer);
        assert!(older.all(|(_, sent)| sent.outcome.is_some()), "{id} came before an older one");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..Default::default()
    })]

    #[test]
    fn every_message_is_typed_whole_in_its_turn_and_answered_once(events in vec(event(), 0..80)) {
        let mut terminal = Terminal::new();
        for event in events {
            terminal.happens(event);
        }
        terminal.happens(Event::State(State::Exited(Exit::Code(0))));
        prop_assert!(terminal.queue.is_empty());
        prop_assert!(terminal.sent.values().all(|sent| sent.outcome.is_some()));
    }
}
