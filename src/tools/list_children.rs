//! `list_children`: the caller, its tree, its limits.

use rmcp::{handler::server::wrapper::Parameters, schemars, tool, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Server,
    answer::{BYTES, ChildRow, record},
    error::{Answer, ToolError},
};
use crate::{
    child::{delivery::Queue, typing::MAX_MESSAGE},
    id::{Caller, ChildId},
    registry::{
        inbox::Inbox,
        rights::{self, Act},
    },
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListChildren {
    /// Only children after this one, to read on where a long answer was cut.
    after: Option<String>,
}

#[derive(Debug, Serialize)]
struct List {
    you: Value,
    children: Vec<ChildRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    around_you: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<String>,
    limits: Value,
}

#[tool_router(router = list_children_router, vis = "pub(super)")]
impl Server {
    /// Who you are and everyone below you: state and why, who owns the input, what waits; and what your limits leave.
    #[tool(annotations(title = "List children", read_only_hint = true, open_world_hint = false))]
    async fn list_children(&self, Parameters(ask): Parameters<ListChildren>) -> Answer {
        let after = match ask.after.as_deref().map(str::parse::<ChildId>) {
            Some(Err(())) => {
                return Err(ToolError::new("after is no child's id", "Give one such as \"c12\"."));
            }
            Some(Ok(id)) => Some(id),
            None => None,
        };
        let family = self.registry.kin(self.caller).into_iter().filter(|(id, _)| !self.is(*id));
        let (below, around): (Vec<_>, Vec<_>) =
            family.partition(|(_, kin)| rights::may(self.caller, Act::Read, *kin));
        let mut children = Vec::new();
        let (mut bytes, mut cut) = (0, None);
        // Only those of this page are looked at.
        let from = below.partition_point(|(id, _)| after.is_some_and(|after| *id <= after));
        for found in below[from..].iter().filter_map(|each| self.registry.relative(*each)) {
            let row = ChildRow::new(&found);
            bytes += serde_json::to_string(&row).map_or(0, |row| row.len());
            if bytes > BYTES
                && let Some(ChildRow { child: last, .. }) = children.last()
            {
                cut = Some(format!(
                    "{} of {} are shown; {{\"after\": \"{last}\"}} reads on",
                    children.len(),
                    below.len()
                ));
                break;
            }
            children.push(row);
        }
        let around = around.iter().filter_map(|each| self.registry.relative(*each));
        let around_you = around.map(|found| {
            let state = found.status().state.to_string();
            json!({"child": found.node.id, "name": found.node.name, "is_your": found.kin.word(), "state": state})
        });
        Ok(record(&List {
            you: self.you(),
            children,
            around_you: around_you.collect(),
            cut,
            limits: self.limits(),
        }))
    }

    fn is(&self, id: ChildId) -> bool {
        self.caller == Caller::Child(id)
    }

    fn you(&self) -> Value {
        let (unread, _) = self.registry.unread(self.caller, 0);
        let mut you = json!({"id": self.caller, "workspace": self.session.workspace, "unread": unread});
        if let Some(node) = self.registry.node(self.caller) {
            you["name"] = node.name.into();
            you["parent"] = node.parent.to_string().into();
        }
        you
    }

    fn limits(&self) -> Value {
        let (limits, count) = (self.registry.limits(), self.registry.count(self.caller));
        let (unread, _) = self.registry.unread(self.caller, 0);
        let left = self.registry.spawns_left(self.caller);
        let mut all = json!({
            "children": {"live": count.children, "most": limits.children},
            "tree": {"live": count.tree, "most": limits.tree},
            "depth": {"next": count.depth, "most": limits.depth},
            "all": {"live": count.total, "most": limits.total},
            "spawns_per_minute": limits.spawns_per_minute,
            "spawns_left": left.spawns,
            "inbox": {"unread": unread, "most": Inbox::MAX_UNREAD},
            "message_bytes": MAX_MESSAGE,
            "queued_per_child": Queue::MAX_JOBS,
        });
        if left.wait_ms > 0 {
            all["next_spawn_ms"] = left.wait_ms.into();
        }
        all
    }
}
