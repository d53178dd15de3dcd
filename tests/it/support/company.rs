//! A company within the test's own process: a registry of its own, and clients under any identity.

use std::{path::Path, sync::Arc, time::Duration};

use compere::{
    id::{Caller, RootId},
    ipc::eof::EofHook,
    journal::Journal,
    registry::{Place, Registry, limits::Limits, nudge::Nudges, roots::Orphans, spawn::Session},
    tools::Server,
};
use futures::future::join_all;
use rmcp::ServiceExt;
use tokio_util::sync::CancellationToken;

use super::{COMPERE, Client, PATH, leftovers, short_dir};

/// See the module. Its end stops all children and sees that nothing of them is left.
pub(crate) struct Company {
    registry: Registry,
    dir: tempfile::TempDir,
}

impl Company {
    /// With the limits a user has who set none.
    pub(crate) fn new() -> Self {
        Self::with(Limits::default())
    }

    /// With these limits.
    pub(crate) fn with(limits: Limits) -> Self {
        Self::nudging(limits, Nudges::default())
    }

    /// With these, and children that are reminded by this.
    pub(crate) fn nudging(limits: Limits, nudges: Nudges) -> Self {
        let dir = short_dir();
        for name in ["k", "work", "state"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let place = Place {
            exe: COMPERE.into(),
            socket: dir.path().join("broker.sock"),
            keepers: dir.path().join("k"),
            files: dir.path().join("k"),
            presets: Some(dir.path().join("presets")),
            trust: None,
            open_files: None,
        };
        let (journal, _) = Journal::open(&dir.path().join("state")).unwrap();
        let registry = Registry::new(place, limits, Orphans::default(), journal).nudging(nudges);
        Company { registry, dir }
    }

    /// What decides.
    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Its directory; clients are in `work` below it, the user's presets, if any, in `presets`.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where its clients are.
    pub(crate) fn work(&self) -> std::path::PathBuf {
        self.dir.path().join("work")
    }

    /// An orchestrator.
    pub(crate) async fn root(&self) -> Client {
        self.client(Caller::Root(RootId(1))).await
    }

    /// The user.
    pub(crate) async fn person(&self) -> Client {
        self.client(Caller::Person).await
    }

    /// A nested agent: the child of this id, `c1`.
    pub(crate) async fn child(&self, id: &str) -> Client {
        self.client(Caller::Child(id.parse().unwrap())).await
    }

    /// Whoever that is.
    pub(crate) async fn client(&self, caller: Caller) -> Client {
        self.over(caller, CancellationToken::new()).await
    }

    /// One whose connection is known to have ended, while what it asked for is still being done.
    pub(crate) async fn left(&self, caller: Caller) -> Client {
        let gone = CancellationToken::new();
        gone.cancel();
        self.over(caller, gone).await
    }

    async fn over(&self, caller: Caller, gone: CancellationToken) -> Client {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (registry, session) = (self.registry.clone(), session(&self.work(), self.dir()));
        tokio::spawn(async move {
            let (read, write) = tokio::io::split(theirs);
            let server = Server::new(registry, caller, session, gone.clone());
            // It ends in an error where the test ends without a word.
            if let Ok(running) = server.serve((EofHook::new(read, gone), write)).await {
                let _ = running.waiting().await;
            }
        });
        Client::over(ours).await
    }
}

/// Where calls come from: this directory, and an environment cleared of the machine's own settings.
fn session(cwd: &Path, home: &Path) -> Session {
    let env = [("PATH", PATH), ("HOME", home.to_str().unwrap()), ("LANG", "C.UTF-8")];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Session { cwd: cwd.to_owned(), workspace: cwd.to_owned(), env: Arc::new(env), user: "ada".into() }
}

impl Drop for Company {
    fn drop(&mut self) {
        let registry = self.registry.clone();
        // The test's own runtime cannot wait here; a child's handle needs none.
        let stopped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let all = registry.family(Caller::Person);
                let keepers: Vec<i32> = all.iter().map(|found| found.child.keeper()).collect();
                let stops = all.iter().map(|found| registry.stop(found.node.id, Duration::ZERO));
                let left: Vec<i32> = join_all(stops)
                    .await
                    .into_iter()
                    .flatten()
                    .flat_map(|ended| ended.left)
                    .map(|left| left.pid)
                    .collect();
                (keepers, left)
            })
        })
        .join();
        let keepers: Vec<i32> = stopped.as_ref().map(|(keepers, _)| keepers.clone()).unwrap_or_default();
        let kept: Vec<i32> = keepers.into_iter().filter(|pid| leftovers::alive(*pid)).collect();
        self.registry.close();
        let swept = leftovers::sweep(self.dir.path());
        let files = leftovers::files(&self.dir.path().join("k"));
        if !std::thread::panicking() {
            assert!(stopped.is_ok_and(|(_, left)| left.is_empty()), "stop left something");
            assert!(kept.is_empty(), "keepers are left: {kept:?}");
            assert!(swept.is_empty(), "processes are left: {swept:?}");
            assert!(files.is_empty(), "files are left: {files:?}");
        }
    }
}
