//! The tools as MCP serves them: each is its parameters, one call, and the shape of the answer. They decide nothing.

mod answer;
mod error;

mod board;
mod explain;
mod follow;

mod list_children;
mod read_output;
mod read_reports;
mod report_to_parent;
mod send_keys;
mod send_message_to;
mod spawn;
mod stop;
mod timer_wait;

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures::FutureExt;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    handler::server::{router::tool::ToolRouter, tool::ToolCallContext},
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, CustomRequest, CustomResult,
        ErrorCode, Implementation, JsonObject, ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
    tool_handler,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    child::owner::Writer,
    fault,
    id::Caller,
    registry::{Registry, inbox::Given, spawn::Session},
};

pub use self::{
    board::{BOARD, Board, BoardReport, BoardRow, BoardWish},
    explain::EXPLAIN,
    follow::{FOLLOW, FollowWish, Followed},
    report_to_parent::MAX_REPORT,
};

/// One connection's tools, under one identity.
#[derive(Clone)]
pub struct Server {
    registry: Registry,
    caller: Caller,
    session: Arc<Session>,
    /// Cancelled when the other side has stopped speaking; rmcp itself would let a wait go on for 5 s.
    gone: CancellationToken,
    /// The last report in an answer of which it is not known that it has arrived.
    given: Arc<AtomicU64>,
    /// What `compere top` was told.
    board: Arc<board::Told>,
    /// Built once: the macro's default builds all of it at every call.
    router: Arc<ToolRouter<Self>>,
}

/// How a model learns what this is for. Hosts cut it at about 4,000 characters; this is far below.
const INSTRUCTIONS: &str = "compere runs command-line programs (coding agents, shells, dev servers) as your children, \
    each in a terminal of its own. Usual order: spawn, send_message_to, timer_wait, read_output, stop. Wait with \
    timer_wait instead of polling: it returns when a child reports, becomes idle, needs input, exits or prints a \
    pattern. If you were spawned by compere yourself, tell your parent with report_to_parent how it goes and when you \
    are done. A receipt says only what is known: `typed` is not `understood`.";

impl Server {
    /// For whoever `caller` is, on a connection that ends with `gone`.
    pub fn new(registry: Registry, caller: Caller, session: Session, gone: CancellationToken) -> Self {
        let (session, given, board) = (Arc::new(session), Arc::default(), Arc::default());
        Server { registry, caller, session, gone, given, board, router: Arc::new(router()) }
    }

    /// The connection has ended: an answer that nobody has confirmed by calling again may not have arrived.
    pub fn left(&self) {
        // However it ended: a call that still runs must know, too.
        self.gone.cancel();
        if self.given.load(Ordering::Relaxed) > 0 {
            self.registry.unheard(self.caller);
        }
    }

    /// These reports are in an answer that is about to go.
    async fn gave(&self, reports: &[Given]) {
        if let Some(last) = reports.iter().rfind(|given| !given.again) {
            self.given.fetch_max(last.report.number, Ordering::Relaxed);
            self.registry.giving(self.caller, last.report.number).await;
        } else if let Some(last) = reports.last() {
            self.given.fetch_max(last.report.number, Ordering::Relaxed);
        }
        // The connection ended before we had them: whoever told of that did not know of them.
        if !reports.is_empty() && self.gone.is_cancelled() {
            self.registry.unheard(self.caller);
        }
    }

    /// Whoever calls again has got the answers before.
    async fn confirm(&self) {
        let given = self.given.swap(0, Ordering::Relaxed);
        if given > 0 {
            self.registry.heard(self.caller, given).await;
        }
    }

    /// rmcp says which argument is wrong only by its value: add what the tool takes.
    fn with_parameters(&self, tool: &str, mut result: CallToolResult) -> CallToolResult {
        let wrong = |block: &ContentBlock| {
            block.as_text().is_some_and(|text| text.text.starts_with("failed to deserialize parameters"))
        };
        if result.is_error == Some(true)
            && result.content.iter().any(wrong)
            && let Some(Value::Object(takes)) =
                self.router.get(tool).and_then(|tool| tool.input_schema.get("properties"))
        {
            let kind = |schema: &Value| {
                schema["type"].as_str().map_or("one of the words above".into(), str::to_owned)
            };
            // It repeats the argument, however long that is.
            let why = answer::cut(&answer::text_of(&result), 500);
            let takes: Vec<String> =
                takes.iter().map(|(name, schema)| format!("{name} ({})", kind(schema))).collect();
            result.content = vec![ContentBlock::text(format!("{why}. {tool} takes {}.", takes.join(", ")))];
        }
        result
    }

    fn writer(&self) -> Writer {
        Writer::of(self.caller)
    }
}

/// Every tool there is, as hosts are told of it.
pub fn list() -> Vec<Tool> {
    router().list_all()
}

fn router() -> ToolRouter<Server> {
    let mut router = Server::spawn_router()
        + Server::send_message_to_router()
        + Server::send_keys_router()
        + Server::read_output_router()
        + Server::timer_wait_router()
        + Server::report_to_parent_router()
        + Server::read_reports_router()
        + Server::list_children_router()
        + Server::stop_router();
    for route in router.map.values_mut() {
        route.attr.input_schema = Arc::new(portable(&route.attr.input_schema));
        // Claude Code hides MCP tools behind a search otherwise.
        route.attr.meta.get_or_insert_default().0.insert("anthropic/alwaysLoad".into(), true.into());
    }
    router
}

/// schemars writes number formats that make TypeScript hosts warn, and `[T, "null"]` for what may be left out, which
/// Gemini's dialect does not know.
fn portable(schema: &JsonObject) -> JsonObject {
    fn clean(value: &mut Value) {
        match value {
            Value::Object(object) => {
                object.remove("format");
                object.remove("$schema");
                // The struct's own documentation, which is not the tool's.
                let single = object
                    .get("type")
                    .and_then(Value::as_array)
                    .and_then(|types| types.iter().find(|word| *word != "null").cloned());
                if let Some(word) = single {
                    object.insert("type".into(), word);
                }
                object.values_mut().for_each(clean);
            }
            Value::Array(values) => values.iter_mut().for_each(clean),
            _ => {}
        }
    }
    let mut schema = schema.clone();
    schema.remove("$schema");
    schema.remove("title");
    schema.remove("description");
    schema.values_mut().for_each(clean);
    schema
}

#[tool_handler(router = self.router)]
impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let about = Implementation::new("compere", env!("CARGO_PKG_VERSION")).with_title("compere");
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(about)
            .with_instructions(INSTRUCTIONS)
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        self.confirm().await;
        match &*request.method {
            EXPLAIN => self.explain(request.params).await,
            BOARD => self.board(request.params).await,
            FOLLOW => self.follow(request.params).await,
            other => Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, other.to_owned(), None)),
        }
    }

    async fn ping(&self, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.confirm().await;
        Ok(())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.confirm().await;
        fault::point!("call.begun");
        let name = request.name.clone();
        tracing::debug!(tool = %name, caller = %self.caller, "call");
        // rmcp does not answer a request whose handler panicked.
        let call = AssertUnwindSafe(self.router.call(ToolCallContext::new(self, request, context)));
        let response = match call.catch_unwind().await {
            Ok(response) => response,
            Err(panic) => {
                let why = panic.downcast_ref::<&str>().map(|why| (*why).to_owned());
                let why = why.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
                tracing::error!(tool = %name, why, "a tool panicked");
                let text = format!(
                    "{name} failed by a defect of compere ({why}); its log has more. Other calls work on."
                );
                Ok(CallToolResult::error(vec![ContentBlock::text(text)]).into())
            }
        };
        fault::point!("call.ended");
        match response {
            Ok(CallToolResponse::Complete(result)) => {
                let result = self.with_parameters(&name, result);
                let result = answer::with_greeting(self, result);
                if name != "read_reports" {
                    self.registry.hinting(self.caller).await;
                }
                Ok(answer::with_unread(self, &name, result).into())
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use rmcp::{ServiceExt, handler::server::router::tool::ToolRoute};

    use super::*;
    use crate::{
        journal::Journal,
        registry::{Place, limits::Limits, roots::Orphans},
    };

    fn server(dir: &tempfile::TempDir) -> Server {
        let nowhere = PathBuf::from("/nonexistent");
        let place = Place {
            exe: nowhere.clone(),
            socket: nowhere.clone(),
            keepers: nowhere.clone(),
            files: nowhere.clone(),
            presets: None,
            trust: None,
            open_files: None,
        };
        let session =
            Session { cwd: nowhere.clone(), workspace: nowhere, env: Arc::default(), user: "ada".into() };
        let (journal, _) = Journal::open(dir.path()).unwrap();
        let registry = Registry::new(place, Limits::default(), Orphans::default(), journal);
        Server::new(registry, Caller::Person, session, CancellationToken::new())
    }

    #[tokio::test]
    async fn a_tool_that_panics_answers_with_an_error_and_the_others_work_on() {
        let dir = tempfile::tempdir().unwrap();
        let mut server = server(&dir);
        let mut router = (*server.router).clone();
        let panics = Tool::new("panics", "fails", Arc::new(JsonObject::new()));
        router.add_route(ToolRoute::new_dyn(panics, |_| Box::pin(async { panic!("a defect") })));
        server.router = Arc::new(router);
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (served, client) = tokio::join!(server.serve(theirs), ().serve(ours));
        let (_served, client) = (served.unwrap(), client.unwrap());
        let failed = client.call_tool(CallToolRequestParams::new("panics")).await.unwrap();
        assert_eq!(failed.is_error, Some(true));
        assert!(
            answer::text_of(&failed).starts_with("panics failed by a defect of compere (a defect)"),
            "{}",
            answer::text_of(&failed)
        );
        let list = client.call_tool(CallToolRequestParams::new("list_children")).await.unwrap();
        assert_eq!(list.is_error, Some(false));
    }
}
