//! The first line each way on a connection to the broker: who comes, and whether they may. After it, MCP.

use std::{path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWrite, AsyncWriteExt, BufReader};

use super::viewer::Look;
use crate::{
    id::{Caller, Token},
    proc::{Process, lineage},
    registry::{Registry, spawn::Session},
};

/// The version of the two lines. Unknown fields are ignored, so that additions need not raise it.
pub const PROTOCOL: u32 = 1;
/// An environment may be large; a longer line is not ours.
pub const MAX_HELLO: u64 = 8 << 20;
/// The variable that carries a child's identity.
pub const IDENTITY: &str = "COMPERE_IDENTITY";
/// The variable that tells a child where its broker listens.
pub const SOCKET: &str = "COMPERE_SOCKET";

/// What a front says first.
#[derive(Clone, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`].
    pub compere: u32,
    /// The front's own version.
    pub version: String,
    /// Who it speaks for, where no child does.
    pub role: Role,
    /// The identity of the child it runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// The MCP host that started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Process>,
    /// Where its project begins.
    pub workspace: PathBuf,
    /// Where it was started.
    pub cwd: PathBuf,
    /// Its environment: what children inherit.
    #[serde(default)]
    pub env: Vec<(String, String)>,
    /// The user's name.
    #[serde(default)]
    pub user: String,
    /// What a person at a pane wants to look at. Then frames follow the hello, and not MCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<Look>,
}

/// Who a front speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// An MCP host: an orchestrator.
    Host,
    /// A person at a terminal, or their script.
    Person,
}

/// What the broker answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// [`PROTOCOL`].
    pub compere: u32,
    /// The broker's own version.
    pub version: String,
    /// The broker's process.
    pub pid: u32,
    /// Who the caller is from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub you: Option<String>,
    /// Frames follow, as the hello wanted. A broker from before there were panes does not say so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub look: bool,
    /// Why the connection ends here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not what we speak.
    #[error("the first line was no hello of ours")]
    NoHello,
    /// Nobody has this identity.
    #[error("no child has this identity: it is mistyped, or its child has ended, or its broker was replaced")]
    Identity,
    /// Somebody has it, and this process is not inside it.
    #[error("this identity belongs to a child that this process does not run in")]
    Foreign,
    /// A host must say who it is.
    #[error("a host without a process")]
    NoHost,
    /// No room.
    #[error(
        "{most} connections are open, which is the limit: end hosts or commands that you do not need any more"
    )]
    Full {
        /// How many are the most.
        most: usize,
    },
}

impl Hello {
    /// This process's own, as an MCP host's or a person's.
    pub fn new(role: Role, workspace: PathBuf, cwd: PathBuf) -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Hello {
            compere: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").into(),
            role,
            identity: std::env::var(IDENTITY).ok(),
            host: Process::of(std::os::unix::process::parent_id() as i32),
            workspace,
            cwd,
            env: std::env::vars_os().filter_map(text).collect(),
            user: user(),
            look: None,
        }
    }

    /// Who that is, given the process on the other end. An identity must be right and its bearer inside its child; a
    /// process inside a child that shows none (some hosts drop variables) is that child, and can be nobody else.
    pub async fn caller(&self, registry: &Registry, peer: Option<i32>) -> Result<Caller, Refused> {
        if self.compere != PROTOCOL {
            return Err(Refused::NoHello);
        }
        let above = peer.map(lineage).unwrap_or_default();
        if let Some(identity) = &self.identity {
            let token: Token = identity.parse().map_err(|()| Refused::Identity)?;
            let (id, keeper) = registry.bearer(&token.hash()).await.ok_or(Refused::Identity)?;
            return if above.contains(&keeper) { Ok(Caller::Child(id)) } else { Err(Refused::Foreign) };
        }
        if let Some(id) = registry.inside(&above).await {
            return Ok(Caller::Child(id));
        }
        match (self.role, self.host) {
            (Role::Person, _) => Ok(Caller::Person),
            (Role::Host, Some(host)) => Ok(Caller::Root(registry.root(host, &self.workspace))),
            (Role::Host, None) => Err(Refused::NoHost),
        }
    }

    /// What the caller's children inherit.
    pub fn session(self) -> Session {
        Session { cwd: self.cwd, workspace: self.workspace, env: Arc::new(self.env), user: self.user }
    }
}

/// The user's name: as their session has it, or the system's list of users, or else their number.
fn user() -> String {
    let set = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    let number = rustix::process::getuid().as_raw();
    let listed = || named(number, &std::fs::read_to_string("/etc/passwd").ok()?);
    set("USER").or_else(|| set("LOGNAME")).or_else(listed).unwrap_or_else(|| format!("user {number}"))
}

/// Who has this number in such a list (`passwd(5)`).
fn named(number: u32, users: &str) -> Option<String> {
    users.lines().find_map(|line| {
        let (mut fields, number) = (line.split(':'), number.to_string());
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1) == Some(&number)).then(|| name.to_owned())
    })
}

impl Welcome {
    /// The broker's answer to a hello.
    pub fn new(caller: Result<Caller, Refused>) -> Self {
        let version = env!("CARGO_PKG_VERSION").into();
        let (you, refused) = match caller {
            Ok(caller) => (Some(caller.to_string()), None),
            Err(refused) => (None, Some(refused.to_string())),
        };
        Welcome { compere: PROTOCOL, version, pid: std::process::id(), you, look: false, refused }
    }
}

/// Reads one line of JSON; nothing if there is none, or it is another's.
pub async fn read_line<T: serde::de::DeserializeOwned>(
    from: &mut BufReader<impl tokio::io::AsyncRead + Unpin>,
) -> std::io::Result<Option<T>> {
    let mut line = Vec::new();
    // Byte by byte limited, and the reader is handed on with whatever follows the line.
    let mut limited = tokio::io::AsyncReadExt::take(from, MAX_HELLO);
    limited.read_until(b'\n', &mut line).await?;
    Ok(serde_json::from_slice(&line).ok())
}

/// Writes one line of JSON.
pub async fn write_line(to: &mut (impl AsyncWrite + Unpin), value: &impl Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    to.write_all(&line).await?;
    to.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_known_by_their_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\n::7:\nada:x:1000:10:Ada:/home/ada:/bin/sh\nx:1000\n";
        for (number, name) in [(0, Some("root")), (1000, Some("ada")), (10, None), (7, None), (100, None)] {
            assert_eq!(named(number, users).as_deref(), name, "{number}");
        }
    }
}
