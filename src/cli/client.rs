//! The command line's own MCP client: the same tools, over the same socket, as whoever runs the command.

use rmcp::{
    ClientHandler, RoleClient, ServiceExt,
    model::{
        CallToolRequestParams, CallToolResult, ClientConfig, ClientRequest, CustomRequest, Implementation,
        JsonObject, PingRequest, ServerResult,
    },
    service::{RunningService, ServiceError},
    transport::TokioChildProcess,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::fail::Fail;
use crate::{
    front::{self, Connected, NoBroker},
    ipc::hello::{Hello, Role},
    tools,
};

/// A connection to the broker.
#[derive(Debug)]
pub(super) struct Client {
    service: RunningService<RoleClient, Handler>,
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
    Lost(String),
}

/// What we call ourselves: the broker lets a host's calls last as long as that host bears.
#[derive(Clone, Debug)]
struct Handler(&'static str);

impl ClientHandler for Handler {
    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(Default::default(), Implementation::new(self.0, env!("CARGO_PKG_VERSION")))
    }
}

impl Client {
    /// Connects, starting a broker if there is none. Inside a child: as that child; else as the person.
    pub(super) async fn connect() -> Result<Self, CallError> {
        let (workspace, cwd) = front::whereabouts();
        Self::over(front::connect(&Hello::new(Role::Person, workspace, cwd), front::VERSION).await?).await
    }

    /// Speaks MCP on a connection that has said hello.
    pub(super) async fn over(connected: Connected) -> Result<Self, CallError> {
        let you = connected.welcome.you.clone().unwrap_or_default();
        let service = Handler("compere").serve((connected.read, connected.write)).await;
        let service = service.map_err(|error| CallError::Lost(error.to_string()))?;
        Ok(Client { service, you })
    }

    /// Speaks MCP with a server that was started, as a host does.
    pub(super) async fn host(server: TokioChildProcess) -> Result<Self, CallError> {
        let service = Handler("compere-demo").serve(server).await;
        let service = service.map_err(|error| CallError::Lost(error.to_string()))?;
        Ok(Client { service, you: String::new() })
    }

    /// The names of the tools there are.
    pub(super) async fn tools(&self) -> Result<Vec<String>, CallError> {
        let tools =
            self.service.list_all_tools().await.map_err(|error| CallError::Lost(error.to_string()))?;
        Ok(tools.into_iter().map(|tool| tool.name.into_owned()).collect())
    }

    /// Calls a tool.
    pub(super) async fn call(&self, tool: &str, arguments: JsonObject) -> Result<CallToolResult, CallError> {
        let request = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        self.service.call_tool(request).await.map_err(|error| match error {
            ServiceError::McpError(error) => CallError::Refused(error.message.into_owned()),
            other => CallError::Lost(other.to_string()),
        })
    }

    /// Calls a tool; an answer that is an error is a failure in its own words.
    pub(super) async fn ask(&self, tool: &str, arguments: Value) -> Result<CallToolResult, Fail> {
        let arguments = match arguments {
            // What was not given is not there; no tool takes a null.
            Value::Object(given) => given.into_iter().filter(|(_, value)| !value.is_null()).collect(),
            other => return Err(Fail::Usage(format!("a tool's arguments are a JSON object, not {other}"))),
        };
        let result = self.call(tool, arguments).await?;
        if result.is_error == Some(true) { Err(Fail::Said(tools::text(&result))) } else { Ok(result) }
    }

    /// Asks for something beside the tools.
    pub(super) async fn request(&self, method: &str, params: Value) -> Result<Value, CallError> {
        let request = CustomRequest::new(method, Some(params));
        match self.service.send_request(ClientRequest::CustomRequest(request)).await {
            Ok(ServerResult::CustomResult(answer)) => Ok(answer.0),
            Ok(_) => Err(CallError::Lost("the answer is none to what was asked".into())),
            Err(ServiceError::McpError(error)) => Err(CallError::Refused(error.message.into_owned())),
            Err(other) => Err(CallError::Lost(other.to_string())),
        }
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
        let _ = self.service.send_request(PingRequest::default().into()).await;
        // It is over either way.
        let _ = self.service.cancel().await;
    }
}

/// One call on a connection of its own; an answer that is an error is a failure in its own words.
pub(super) async fn once(tool: &str, arguments: Value) -> Result<CallToolResult, Fail> {
    let client = Client::connect().await?;
    let answer = client.ask(tool, arguments).await;
    client.close().await;
    answer
}
