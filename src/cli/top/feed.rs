//! Where events come from: the broker, whichever there is; the chosen child's screen; and `/proc`. Each goes on by
//! itself and ends with the receiver of its events.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::{
    model::{Event, Letter, Preview},
    usage::Sampler,
};
use crate::{
    cli::{client::Client, fail::Fail, out::word, presets, send, spawn, stop},
    registry::board::ms,
    tools::{BOARD, Board, BoardWish, FOLLOW, FollowWish, Followed},
};

/// A handle to what feeds the model.
#[derive(Clone, Debug)]
pub(super) struct Feed {
    events: mpsc::Sender<Event>,
    client: watch::Sender<Option<Arc<Client>>>,
    look: watch::Sender<Option<String>>,
    keepers: watch::Sender<Vec<(u32, i32)>>,
}

/// A broker that has gone may be followed by another in a moment.
const AGAIN: Duration = Duration::from_secs(1);
/// A wish waits so long for a broker.
const SOON: Duration = Duration::from_secs(3);
/// How long the broker waits for a change before it tells how much was written meanwhile.
const WAIT_MS: u64 = 1_000;
/// More pictures than this are not seen.
const BETWEEN: Duration = Duration::from_millis(60);

impl Feed {
    /// Begins to feed whoever has the other end of `events`.
    pub(super) fn start(events: mpsc::Sender<Event>) -> Feed {
        let feed = Feed {
            events,
            client: watch::channel(None).0,
            look: watch::channel(None).0,
            keepers: watch::channel(Vec::new()).0,
        };
        tokio::spawn(feed.clone().boards());
        tokio::spawn(feed.clone().screens());
        tokio::spawn(feed.clone().usage());
        feed
    }

    /// Whose screen is to be shown.
    pub(super) fn look_at(&self, child: Option<String>) {
        self.look.send_replace(child);
    }

    /// Whose processes are to be counted, by their keepers.
    pub(super) fn count(&self, keepers: Vec<(u32, i32)>) {
        self.keepers.send_if_modified(|known| {
            let new = *known != keepers;
            *known = keepers;
            new
        });
    }

    async fn tell(&self, event: Event) -> Result<(), ()> {
        self.events.send(event).await.map_err(drop)
    }

    /// What has changed, for as long as anybody listens.
    async fn boards(self) {
        loop {
            let why = match Client::connect().await {
                Ok(client) => {
                    let client = Arc::new(client);
                    self.client.send_replace(Some(client.clone()));
                    if self.tell(Event::Linked).await.is_err() {
                        return;
                    }
                    let why = self.boards_of(&client).await;
                    self.client.send_replace(None);
                    why
                }
                Err(error) => Some(Fail::from(error)),
            };
            let Some(why) = why else { return };
            if self.tell(Event::Lost(why.to_string())).await.is_err() {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Until the connection ends, and why; nothing if nobody listens any more.
    async fn boards_of(&self, client: &Client) -> Option<Fail> {
        loop {
            match client.special::<Board>(BOARD, &BoardWish { wait_ms: WAIT_MS }).await {
                Ok(board) => self.tell(Event::Board(board)).await.ok()?,
                Err(why) => return Some(why),
            }
            tokio::time::sleep(BETWEEN).await;
        }
    }

    /// The chosen child's screen, again whenever it has written.
    async fn screens(self) {
        let (mut look, mut client) = (self.look.subscribe(), self.client.subscribe());
        loop {
            let (child, broker) = (look.borrow_and_update().clone(), client.borrow_and_update().clone());
            let shown = async {
                match (child, broker) {
                    (Some(child), Some(broker)) => self.screen_of(&broker, &child).await,
                    _ => Ok(()),
                }
            };
            tokio::select! {
                over = shown => {
                    if over.is_err() {
                        return;
                    }
                    // Until another is chosen, or there is another broker.
                    tokio::select! {
                        changed = look.changed() => if changed.is_err() { return },
                        changed = client.changed() => if changed.is_err() { return },
                    }
                }
                changed = look.changed() => if changed.is_err() { return },
                changed = client.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Until it can be shown no more; an error if nobody looks any more.
    async fn screen_of(&self, client: &Client, child: &str) -> Result<(), ()> {
        let mut wish = FollowWish { child: child.to_owned(), ..FollowWish::default() };
        loop {
            let Ok(seen) = client.special::<Followed>(FOLLOW, &wish).await else { return Ok(()) };
            if wish.since.is_none_or(|since| since < seen.end) || seen.over {
                let Followed { lines, rows, cols, .. } = seen;
                self.tell(Event::Screen(Preview { child: child.to_owned(), lines, rows, cols })).await?;
            }
            if seen.over {
                return Ok(());
            }
            (wish.since, wish.wait_ms) = (Some(seen.end), 10 * WAIT_MS);
            tokio::time::sleep(BETWEEN).await;
        }
    }

    /// What the children's processes use, each second; less often where looking takes long.
    async fn usage(self) {
        const EVERY: Duration = Duration::from_secs(1);
        /// At most a twentieth of the time is spent on looking.
        const SHARE: u32 = 20;
        let mut sampler = Sampler::default();
        let mut keepers = self.keepers.subscribe();
        loop {
            let counted = keepers.borrow_and_update().clone();
            if counted.is_empty() {
                if keepers.changed().await.is_err() {
                    return;
                }
                continue;
            }
            let began = std::time::Instant::now();
            let looked = tokio::task::spawn_blocking(move || {
                let usage = sampler.look(&counted);
                (sampler, usage)
            });
            let Ok((back, usage)) = looked.await else { return };
            sampler = back;
            if self.tell(Event::Usage(usage)).await.is_err() {
                return;
            }
            tokio::time::sleep(EVERY.max(began.elapsed() * SHARE)).await;
        }
    }

    /// Does what was asked for, and says how that went.
    pub(super) fn send(&self, to: String, text: String) {
        self.call("send_message_to", json!({"to": to, "message": text}), send::words);
    }

    pub(super) fn stop(&self, child: &str) {
        self.call("stop", json!({"child": child}), stop::words);
    }

    pub(super) fn spawn(&self, preset: &str, name: Option<String>) {
        self.call("spawn", json!({"preset": preset, "name": name}), |child| {
            format!("started {}", spawn::words(child))
        });
    }

    fn call(&self, tool: &'static str, wish: Value, words: fn(&Value) -> String) {
        let feed = self.clone();
        tokio::spawn(async move {
            let said = match feed.ask(tool, wish).await {
                Ok(answer) => Ok(words(&answer)),
                Err(why) => Err(why.to_string()),
            };
            let _ = feed.tell(Event::Said(said)).await;
        });
    }

    async fn ask(&self, tool: &str, wish: Value) -> Result<Value, Fail> {
        // Keys may be pressed before the first connection is there, or between two brokers.
        let mut clients = self.client.subscribe();
        let client = tokio::time::timeout(SOON, clients.wait_for(Option::is_some)).await;
        let client = client.ok().and_then(Result::ok).and_then(|client| client.clone());
        let client = client.ok_or_else(|| Fail::NoBroker("there is no broker now".into()))?;
        Ok(client.ask(tool, wish).await?.into_record())
    }

    /// The names of the presets there are.
    pub(super) fn presets(&self) {
        let feed = self.clone();
        tokio::spawn(async move {
            let listed = tokio::task::spawn_blocking(|| presets::load().list()).await.unwrap_or_default();
            let names = listed.into_iter().map(|preset| preset.name).collect();
            let _ = feed.tell(Event::Presets(names)).await;
        });
    }

    /// All that is kept of the person's inbox, which is read thereby.
    pub(super) fn inbox(&self) {
        let feed = self.clone();
        tokio::spawn(async move {
            let event = match feed.letters().await {
                Ok(letters) => Event::Letters(letters),
                Err(why) => Event::Said(Err(why.to_string())),
            };
            let _ = feed.tell(event).await;
        });
    }

    async fn letters(&self) -> Result<Vec<Letter>, Fail> {
        /// An inbox holds so many bytes that more pages would be a loop.
        const PAGES: usize = 64;
        let unread = self.ask("list_children", json!({"after": "c4294967295"})).await?;
        let unread = unread["you"]["unread"].as_u64().unwrap_or(0) as usize;
        let (mut letters, mut after) = (Vec::new(), 0);
        for _ in 0..PAGES {
            let page = self.ask("read_reports", json!({"after": after, "max_bytes": 262_144})).await?;
            letters.extend(page["reports"].as_array().into_iter().flatten().map(letter));
            after = page["next"].as_u64().unwrap_or(after);
            if page.get("more").is_none() {
                break;
            }
        }
        let read = letters.len().saturating_sub(unread);
        letters.iter_mut().skip(read).for_each(|letter| letter.unread = true);
        Ok(letters)
    }
}

fn letter(report: &Value) -> Letter {
    let text = |field| crate::cli::out::plain(word(report, field));
    let age_ms = report["age_s"].as_u64().unwrap_or(0) * 1000;
    Letter {
        from: text("from"),
        name: text("name"),
        to: None,
        status: text("status"),
        message: text("message"),
        at_ms: ms(std::time::SystemTime::now()).saturating_sub(age_ms),
        unread: false,
    }
}
