//! The command line's own MCP client: the same tools, over the same socket, as whoever runs the command. It speaks to our
//! own broker only, so it is as much of MCP as that needs, and answers are the JSON that came.

mod answer;
mod requests;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncWrite};

use self::requests::{Failed, Requests};
use super::fail::Fail;
use crate::{
    front::{self, Connected, NoBroker},
    ipc::hello::{Hello, Role},
};

pub(super) use self::answer::Answer;

/// A connection to the broker.
#[derive(Debug)]
pub(super) struct Client {
    requests: Requests,
    /// Who we are to the broker.
    pub(super) you: String,
}

/// Why a tool was not called.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// See [`NoBroker`].
    #[error(transparent)]
    Broker(#[from] NoBroker),
    /// The broker took the call and refused it.
    #[error("{0}")]
    Refused(String),
    /// MCP did not come about, or broke.
    #[error("the connection to the broker was lost: {0}")]
    Lost(&'static str),
}

impl From<Failed> for CallError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Refused(why) => CallError::Refused(why),
            Failed::Over => CallError::Lost("it ended before there was an answer"),
        }
    }
}

/// The version of MCP that is spoken here.
const PROTOCOL: &str = "2025-06-18";

impl Client {
    /// Connects, starting a broker if there is none. Inside a child: as that child; else as the person.
    pub(super) async fn connect() -> Result<Self, CallError> {
        let (workspace, cwd) = front::whereabouts();
        Self::over(front::connect(&Hello::new(Role::Person, workspace, cwd), front::VERSION).await?).await
    }

    /// Speaks MCP on a connection that has said hello.
    pub(super) async fn over(connected: Connected) -> Result<Self, CallError> {
        let you = connected.welcome.you.clone().unwrap_or_default();
        let requests = begin("compere", connected.read, connected.write).await?;
        Ok(Client { requests, you })
    }

    /// Speaks MCP with a server that was started, as a host does, over its standard streams.
    pub(super) async fn host(
        from: impl AsyncRead + Send + Unpin + 'static,
        to: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Result<Self, CallError> {
        Ok(Client { requests: begin("compere-demo", from, to).await?, you: String::new() })
    }

    /// The names of the tools there are. Ours are told in one page.
    pub(super) async fn tools(&self) -> Result<Vec<String>, CallError> {
        let list = self.requests.ask("tools/list", json!({})).await?;
        let tools = list["tools"].as_array().into_iter().flatten();
        Ok(tools.filter_map(|tool| tool["name"].as_str()).map(str::to_owned).collect())
    }

    /// Calls a tool.
    pub(super) async fn call(&self, tool: &str, arguments: Map<String, Value>) -> Result<Answer, CallError> {
        let params = json!({"name": tool, "arguments": arguments});
        Ok(Answer(self.requests.ask("tools/call", params).await?))
    }

    /// Calls a tool; an answer that is an error is a failure in its own words.
    pub(super) async fn ask(&self, tool: &str, arguments: Value) -> Result<Answer, Fail> {
        let arguments = match arguments {
            // What was not given is not there; no tool takes a null.
            Value::Object(given) => given.into_iter().filter(|(_, value)| !value.is_null()).collect(),
            other => return Err(Fail::Usage(format!("a tool's arguments are a JSON object, not {other}"))),
        };
        let answer = self.call(tool, arguments).await?;
        if answer.is_error() { Err(Fail::Said(answer.text())) } else { Ok(answer) }
    }

    /// Asks for something beside the tools.
    pub(super) async fn request(&self, method: &str, params: Value) -> Result<Value, CallError> {
        Ok(self.requests.ask(method, params).await?)
    }

    /// The same, of a known shape.
    pub(super) async fn special<T: DeserializeOwned>(
        &self,
        method: &str,
        wish: &impl Serialize,
    ) -> Result<T, Fail> {
        let wish = serde_json::to_value(wish).map_err(std::io::Error::from)?;
        serde_json::from_value(self.request(method, wish).await?).map_err(|why| {
            Fail::Said(format!("the broker's answer makes no sense here: {why}; `compere upgrade` may help"))
        })
    }

    /// Ends the connection in order: what the last answer told has arrived.
    pub(super) async fn close(self) {
        // A broker that is gone needs no telling.
        let _ = self.requests.ask("ping", json!({})).await;
        self.requests.end().await;
    }
}

/// MCP's first words. The name is what we call ourselves: the broker lets a host's calls last as long as that host bears.
async fn begin(
    name: &str,
    from: impl AsyncRead + Send + Unpin + 'static,
    to: impl AsyncWrite + Send + Unpin + 'static,
) -> Result<Requests, CallError> {
    let requests = Requests::over(Box::new(from), Box::new(to));
    let params = json!({
        "protocolVersion": PROTOCOL,
        "capabilities": {},
        "clientInfo": {"name": name, "version": env!("CARGO_PKG_VERSION")},
    });
    requests.ask("initialize", params).await?;
    requests.tell("notifications/initialized");
    Ok(requests)
}

/// One call on a connection of its own; an answer that is an error is a failure in its own words.
pub(super) async fn once(tool: &str, arguments: Value) -> Result<Answer, Fail> {
    let client = Client::connect().await?;
    let answer = client.ask(tool, arguments).await;
    client.close().await;
    answer
}
