//! One program on its stage, with a child of it that stays for many tries: what every cell of the matrix needs.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde_json::{Value, json};

use crate::{
    host::Host,
    judge::{Sent, Told, Verdict, judge},
    model::Event,
    programs::{Program, place},
    stage::{START, Stage},
};

/// How long after its receipt a message may take to the model.
pub(crate) const ARRIVE: Duration = Duration::from_secs(20);
/// How long a program may take to become idle after its model has answered.
pub(crate) const SETTLE: Duration = Duration::from_secs(30);
/// How long is waited for what must not come.
const NOTHING: Duration = Duration::from_millis(1500);

/// See the module.
pub(crate) struct Bench<'a> {
    pub(crate) program: Program,
    pub(crate) stage: Stage<'a>,
    child: Option<String>,
    other: Option<Host>,
    /// What was sent and how often it was heard, to be looked at again at the end.
    past: Vec<(Sent, usize)>,
    /// What happened in this try, for whoever wants to know why it failed.
    notes: Vec<String>,
    /// What was measured, in milliseconds, by its name.
    pub(crate) measures: BTreeMap<&'static str, Vec<i64>>,
}

/// How often it is among these, whole or in part. What is longer says something else, too.
fn times(sent: &Sent, heard: &[String]) -> usize {
    heard.iter().filter(|text| sent.is(text) || text.len() <= sent.wanted.len()).count()
}

impl<'a> Bench<'a> {
    pub(crate) fn new(program: Program, stage: Stage<'a>) -> Self {
        Bench {
            program,
            stage,
            child: None,
            other: None,
            past: Vec::new(),
            notes: Vec::new(),
            measures: BTreeMap::new(),
        }
    }

    /// The model's name for this program.
    pub(crate) fn who(&self) -> String {
        self.stage.who(self.program.name)
    }

    /// Eight letters and digits that nothing else has.
    pub(crate) fn mark(&self) -> String {
        const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
        (0..8).map(|_| char::from(LETTERS[rand::random_range(0..LETTERS.len())])).collect()
    }

    /// A message, as this program is to pass it on.
    pub(crate) fn message(&self, mark: &str, text: String) -> Sent {
        let mut sent = Sent::new(mark, text);
        sent.wanted = (self.program.makes_of)(&sent.wanted);
        sent
    }

    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Spawns a child of the program, with whatever else is to be said; answers its row.
    pub(crate) fn spawn(&self, more: &Value) -> Result<Value, String> {
        let mut arguments = json!({"preset": self.program.name, "rows": 40, "cols": 120});
        for (name, value) in more.as_object().into_iter().flatten() {
            arguments[name] = value.clone();
        }
        self.stage.call("spawn", &arguments)
    }

    /// The child, started if there is none, at its prompt, with nothing under way.
    pub(crate) fn child(&mut self) -> Result<String, String> {
        let child = match &self.child {
            Some(child) => child.clone(),
            None => {
                let child = id(&self.spawn(&json!({}))?);
                self.child = Some(child.clone());
                self.stage.becomes(&child, "idle", START)?;
                child
            }
        };
        self.settle(&child)?;
        Ok(child)
    }

    /// Waits until nothing is under way.
    pub(crate) fn settle(&self, child: &str) -> Result<(), String> {
        if !self.stage.model.quiet(&self.who(), SETTLE) {
            return Err(format!("the model still answers after {SETTLE:?}"));
        }
        self.stage.becomes(child, "idle", SETTLE)
    }

    /// Ends the child: the next try begins with a new one.
    pub(crate) fn renew(&mut self) -> Result<(), String> {
        self.child.take().map_or(Ok(()), |child| self.stage.stop(&child))
    }

    /// Notes how long something took.
    pub(crate) fn measure(&mut self, what: &'static str, ms: i64) {
        self.note(format!("{what}: {ms} ms"));
        self.measures.entry(what).or_default().push(ms);
    }

    /// Starts another server of the same root, if there is none.
    pub(crate) fn start_other(&mut self) -> Result<(), String> {
        if self.other.is_none() {
            self.other = Some(self.stage.another_host()?);
        }
        Ok(())
    }

    /// That other server.
    pub(crate) fn other(&self) -> Result<&Host, String> {
        self.other.as_ref().ok_or_else(|| "no other host".to_owned())
    }

    /// Sends a message, and answers what was told of it.
    pub(crate) fn send(&mut self, child: &str, text: &str, wait_ms: u64) -> Receipt {
        self.send_as(&json!({"to": child, "message": text, "wait_ms": wait_ms}))
    }

    /// The same, with whatever else is to be said.
    pub(crate) fn send_as(&mut self, ask: &Value) -> Receipt {
        let receipt = Receipt::of(self.stage.call("send_message_to", ask));
        self.note(format!("receipt: {}", receipt.words));
        receipt
    }

    /// All that the model has heard of it since then.
    pub(crate) fn heard(&self, sent: &Sent, from: usize) -> Vec<String> {
        let like = |event: &Event| event.is(&self.who(), "heard") && event.text.contains(&sent.mark);
        self.stage.model.all(from, like).into_iter().map(|event| (self.program.bare)(&event.text)).collect()
    }

    /// Waits for its arrival, or long enough to say that it does not come, and for what follows it; then judges that by
    /// what was told of it, then and now.
    pub(crate) fn judge(&mut self, sent: &Sent, receipt: &Receipt, from: usize) -> Verdict {
        let patience = if matches!(receipt.told, Told::Refused(_)) { NOTHING } else { ARRIVE };
        let who = self.who();
        let like = |event: &Event| event.is(&who, "heard") && event.text.contains(&sent.mark);
        self.stage.model.first(from, patience, like);
        self.stage.model.quiet(&who, SETTLE);
        let heard = self.heard(sent, from);
        self.note(format!("heard: {heard:?}"));
        self.past.push((sent.clone(), times(sent, &heard)));
        let last = receipt.delivery.as_ref().and_then(|delivery| {
            let ask = json!({"delivery": delivery, "wait_ms": 2_000});
            let last = self.stage.call("send_message_to", &ask);
            self.note(format!("receipt in the end: {last:?}"));
            last.is_ok().then(|| Told::of(&last))
        });
        judge(sent, &receipt.told, last.as_ref().unwrap_or(&receipt.told), &heard)
    }

    /// What came of earlier messages after they were judged, which must be nothing. A program may quote them to its model,
    /// as qwen does in a long session.
    pub(crate) fn afterwards(&self) -> Vec<String> {
        let late = self.past.iter().filter_map(|(sent, times)| {
            let now = self::times(sent, &self.heard(sent, 0));
            (now != *times).then(|| {
                format!(
                    "{:?} was heard {times} times, and {now} times in the end",
                    crate::judge::cut(&sent.text)
                )
            })
        });
        late.collect()
    }

    /// Writes down what happened in a try that failed, and begins anew.
    pub(crate) fn failed(&mut self, cell: &str, number: usize, why: &str) {
        let child = self.child.clone();
        let row = child.as_ref().map(|child| format!("{:#}", self.stage.row(child).unwrap_or_default()));
        let screen = child.as_ref().map(|child| self.stage.screen(child)).unwrap_or_default();
        let log = self.stage.person(&["log"]).unwrap_or_default();
        let log: Vec<&str> = log.lines().rev().take(40).collect();
        let log: Vec<&str> = log.into_iter().rev().collect();
        let notes: Vec<String> = self.notes.iter().map(|note| note.chars().take(4000).collect()).collect();
        let text = format!(
            "{} / {cell} / try {number}\n{why}\n\n{}\n\n{}\n\n-- the screen\n{screen}\n\n-- compere log\n{}\n",
            self.program.name,
            notes.join("\n"),
            row.unwrap_or_default(),
            log.join("\n"),
        );
        let file =
            failures().join(format!("{}-{}-{number}.txt", self.program.name, cell.replace([' ', '/'], "_")));
        let _ = std::fs::create_dir_all(failures());
        let _ = std::fs::write(file, text);
        if let Err(why) = self.renew() {
            self.note(why);
        }
    }

    /// A new try begins.
    pub(crate) fn begin(&mut self) {
        self.notes.clear();
    }

    /// Ends the stage and what is on it.
    pub(crate) fn end(mut self) -> Result<(), String> {
        drop(self.other.take());
        self.stage.end()
    }
}

/// The id in a child's row.
pub(crate) fn id(row: &Value) -> String {
    row["child"].as_str().unwrap_or_default().to_owned()
}

/// What was told of a message.
pub(crate) struct Receipt {
    pub(crate) told: Told,
    /// As it was written.
    pub(crate) words: String,
    delivery: Option<String>,
}

impl Receipt {
    pub(crate) fn of(answer: Result<Value, String>) -> Receipt {
        let delivery =
            answer.as_ref().ok().and_then(|receipt| receipt["delivery"].as_str().map(str::to_owned));
        let words = answer.as_ref().map_or_else(Clone::clone, Value::to_string);
        Receipt { told: Told::of(&answer), words, delivery }
    }

    /// What a spawn tells of its message: that it will be delivered, and as what.
    pub(crate) fn of_spawn(row: &Value) -> Receipt {
        let delivery = row["delivery"].as_str().map(str::to_owned);
        Receipt { told: Told::Waits("it was spawned with it".into()), words: row.to_string(), delivery }
    }
}

/// Where what happened in tries that failed is written down.
pub(crate) fn failures() -> PathBuf {
    place().join("failures")
}
