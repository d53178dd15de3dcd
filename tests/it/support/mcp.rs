//! An MCP client, and what a tool answered.

use std::{
    ops::Index,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rmcp::{
    ClientHandler, RoleClient, ServiceExt,
    model::{CallToolRequestParams, CallToolResult, ClientConfig, Implementation, ProgressNotificationParam},
    service::{NotificationContext, RunningService},
};
use serde_json::{Value, json};

/// No test waits longer for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A client that has said hello.
pub(crate) struct Client {
    service: RunningService<RoleClient, Handler>,
}

#[derive(Clone, Default)]
struct Handler {
    progress: Arc<AtomicUsize>,
}

impl ClientHandler for Handler {
    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(Default::default(), Implementation::new("test", "0"))
    }

    async fn on_progress(&self, _: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.progress.fetch_add(1, Ordering::SeqCst);
    }
}

impl Client {
    /// Speaks MCP over this transport.
    pub(crate) async fn over<T, E, A>(transport: T) -> Self
    where
        T: rmcp::transport::IntoTransport<RoleClient, E, A>,
        E: std::error::Error + Send + Sync + 'static,
    {
        Client { service: Handler::default().serve(transport).await.unwrap() }
    }

    /// How often the server told of progress.
    pub(crate) fn progress(&self) -> usize {
        self.service.service().progress.load(Ordering::SeqCst)
    }

    /// Calls a tool, however long it takes.
    #[track_caller]
    pub(crate) fn call(&self, tool: &'static str, arguments: Value) -> impl Future<Output = Answer> {
        self.call_within(PATIENCE, tool, arguments)
    }

    /// Calls a tool that may take so long.
    #[track_caller]
    pub(crate) fn call_within(
        &self,
        patience: Duration,
        tool: &'static str,
        arguments: Value,
    ) -> impl Future<Output = Answer> {
        let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
        let call = self.service.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments));
        async move {
            let called = tokio::time::timeout(patience, call).await;
            Answer(called.unwrap_or_else(|_| panic!("{tool} took too long")).unwrap())
        }
    }

    /// Calls a tool with arguments it must not take; answers its words.
    pub(crate) async fn refused(&self, tool: &'static str, arguments: Value) -> String {
        let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
        let called = self.service.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await;
        match called.map(Answer) {
            Ok(answer) => {
                assert!(answer.is_error(), "not refused: {}", answer.text());
                answer.text()
            }
            Err(error) => error.to_string(),
        }
    }

    /// Spawns this command with these other arguments; answers the child's id.
    pub(crate) async fn spawn_with(&self, command: Value, mut arguments: Value) -> String {
        arguments["command"] = command;
        let spawned = self.call("spawn", arguments).await;
        assert!(!spawned.is_error(), "{}", spawned.text());
        spawned["child"].as_str().unwrap().to_owned()
    }

    /// Spawns this command; answers the child's id.
    pub(crate) async fn spawn(&self, command: Value) -> String {
        self.spawn_with(command, json!({})).await
    }

    /// Spawns bash with the prompt `$ ` and waits until it is there.
    pub(crate) async fn bash(&self) -> String {
        let command = json!(["bash", "--norc", "--noprofile"]);
        let child = self.spawn_with(command, json!({"env": {"PS1": "$ ", "HISTFILE": ""}})).await;
        self.wait(json!({"child": child, "is": "idle"})).await.woke("idle");
        child
    }

    /// Sends a message that must be typed; answers the offset after which its effect is.
    pub(crate) async fn say(&self, to: &str, message: &str) -> u64 {
        let receipt = self.call("send_message_to", json!({"to": to, "message": message})).await;
        assert!(receipt["status"] == "typed" || receipt["status"] == "submitted", "{}", receipt.text());
        receipt["offset"].as_u64().unwrap()
    }

    /// Waits for one thing.
    pub(crate) async fn wait(&self, until: Value) -> Answer {
        self.call("timer_wait", json!({"timeout_ms": 20_000, "until": [until]})).await
    }

    /// Waits until the child has written a line that matches, whenever that was; answers the line.
    pub(crate) async fn line(&self, child: &str, pattern: &str) -> String {
        let found = self.wait(json!({"child": child, "matches": pattern, "since": 0})).await;
        if found["woke"] != "match" {
            panic!("no line matches {pattern}: {}\n{}", found.text(), self.all(child).await);
        }
        found["line"].as_str().unwrap().to_owned()
    }

    /// Waits until the child has exited; answers how, as `list_children` has it.
    pub(crate) async fn exit(&self, child: &str) -> Value {
        self.wait(json!({"child": child, "is": "exited"})).await.woke("exited");
        self.row(child).await["exit"].clone()
    }

    /// The child's row of the listing.
    pub(crate) async fn row(&self, child: &str) -> Value {
        let list = self.call("list_children", json!({})).await;
        let rows = list["children"].as_array().unwrap();
        rows.iter()
            .find(|row| row["child"] == child)
            .unwrap_or_else(|| panic!("no {child}: {rows:?}"))
            .clone()
    }

    /// Everything it wrote, as text, without the first line of figures.
    pub(crate) async fn all(&self, child: &str) -> String {
        let read = json!({"child": child, "mode": "stream", "max_bytes": 262_144});
        self.call("read_output", read).await.body()
    }

    /// Ends the connection.
    pub(crate) async fn close(self) {
        self.service.cancel().await.unwrap();
    }
}

/// What a tool answered.
#[derive(Debug)]
pub(crate) struct Answer(CallToolResult);

impl Answer {
    /// Its text blocks.
    pub(crate) fn text(&self) -> String {
        let texts = self.0.content.iter().filter_map(|block| block.as_text().map(|text| text.text.as_str()));
        texts.collect::<Vec<_>>().join("\n")
    }

    /// Its text without the lines in brackets at its beginning.
    pub(crate) fn body(&self) -> String {
        let text = self.text();
        let body = text.split_inclusive('\n').skip_while(|line| line.starts_with('['));
        body.collect()
    }

    /// Its structured content.
    pub(crate) fn record(&self) -> Value {
        self.0.structured_content.clone().unwrap_or_default()
    }

    /// Whether it is an error.
    pub(crate) fn is_error(&self) -> bool {
        self.0.is_error == Some(true)
    }

    /// Of its `_meta`, the figure `compere/NAME`.
    pub(crate) fn meta(&self, name: &str) -> Value {
        let meta = self.0.meta.as_ref().map(|meta| &meta.0);
        meta.and_then(|meta| meta.get(&format!("compere/{name}"))).cloned().unwrap_or(Value::Null)
    }

    /// It is an error with these words.
    #[track_caller]
    pub(crate) fn says(&self, words: &str) -> &Self {
        assert!(self.is_error(), "no error: {}", self.text());
        assert!(self.text().contains(words), "not {words:?}: {}", self.text());
        self
    }

    /// The wait was ended by this.
    #[track_caller]
    pub(crate) fn woke(&self, by: &str) -> &Self {
        assert_eq!(self["woke"], by, "{}", self.text());
        self
    }
}

impl Index<&str> for Answer {
    type Output = Value;

    fn index(&self, field: &str) -> &Value {
        let record = self.0.structured_content.as_ref();
        record.map_or(&Value::Null, |record| &record[field])
    }
}
