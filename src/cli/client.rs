//! The command line's own MCP client: the same tools, over the same socket, as whoever runs the command.

use rmcp::{
    ClientHandler, RoleClient, ServiceExt,
    model::{CallToolRequestParams, CallToolResult, ClientConfig, Implementation, JsonObject},
    service::RunningService,
};
use serde_json::Value;

use crate::{
    front::{self, NoBroker},
    ipc::hello::{Hello, Role},
};

/// A connection to the broker.
#[derive(Debug)]
pub struct Client {
    service: RunningService<RoleClient, Handler>,
    /// Who we are to the broker.
    pub you: String,
}

/// Why a tool was not called.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// See [`NoBroker`].
    #[error(transparent)]
    Broker(#[from] NoBroker),
    /// MCP did not come about, or broke.
    #[error("{0}")]
    Protocol(String),
}

#[derive(Clone, Debug)]
struct Handler;

impl ClientHandler for Handler {
    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(Default::default(), Implementation::new("compere", env!("CARGO_PKG_VERSION")))
    }
}

impl Client {
    /// Connects, starting a broker if there is none. Inside a child: as that child; else as the person.
    pub async fn connect() -> Result<Self, CallError> {
        let (workspace, cwd) = front::whereabouts();
        let connected = front::connect(Hello::new(Role::Person, workspace, cwd)).await?;
        let you = connected.welcome.you.clone().unwrap_or_default();
        let service = Handler.serve((connected.read, connected.write)).await;
        let service = service.map_err(|error| CallError::Protocol(error.to_string()))?;
        Ok(Client { service, you })
    }

    /// Calls a tool.
    pub async fn call(&self, tool: &str, arguments: JsonObject) -> Result<CallToolResult, CallError> {
        let request = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        self.service.call_tool(request).await.map_err(|error| CallError::Protocol(error.to_string()))
    }

    /// Ends the connection in order.
    pub async fn close(self) {
        // It is over either way.
        let _ = self.service.cancel().await;
    }
}

/// An answer's text.
pub fn text(result: &CallToolResult) -> String {
    let texts = result.content.iter().filter_map(|block| block.as_text().map(|text| text.text.as_str()));
    texts.collect::<Vec<_>>().join("\n")
}

/// An answer's record, if it has one.
pub fn structured(result: &CallToolResult) -> Value {
    result.structured_content.clone().unwrap_or(Value::Null)
}
