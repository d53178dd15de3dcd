//! What the machine has to give: terminals, descriptors, a locale.

use rustix::{
    process::{Resource, getrlimit},
    pty::{OpenptFlags, openpt},
};

use super::finding::Finding;

pub(super) fn look() -> [Finding; 3] {
    [terminals(), files(), locale()]
}

fn terminals() -> Finding {
    if let Err(error) = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC) {
        return Finding::fail(
            "terminals",
            format!("no PTY can be opened: {error}"),
            "is /dev/pts mounted, and /dev/ptmx open to you?",
        );
    }
    let number = |name: &str| -> Option<u64> {
        std::fs::read_to_string(format!("/proc/sys/kernel/pty/{name}")).ok()?.trim().parse().ok()
    };
    match (number("nr"), number("max")) {
        (Some(used), Some(max)) if max.saturating_sub(used) < 16 => {
            let todo = "end programs that hold terminals, or raise kernel.pty.max";
            Finding::warn("terminals", format!("{used} of {max} PTYs are used"), todo)
        }
        (Some(used), Some(max)) => Finding::ok("terminals", format!("{used} of {max} PTYs are used")),
        _ => Finding::ok("terminals", "a PTY can be opened"),
    }
}

fn files() -> Finding {
    /// A broker with its limit of connections and 500 children. It takes all that it may have.
    const ENOUGH: u64 = 2048;
    match getrlimit(Resource::Nofile).maximum {
        Some(limit) if limit < ENOUGH => Finding::warn(
            "files",
            format!("{limit} may be open at once"),
            format!("ulimit -Hn {ENOUGH}, if you run many children"),
        ),
        Some(limit) => Finding::ok("files", format!("{limit} may be open at once")),
        None => Finding::ok("files", "any number may be open at once"),
    }
}

fn locale() -> Finding {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| {
        let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
        Some((name, value))
    });
    let todo = "children get this environment: export LANG=C.UTF-8, or programs may not draw beyond ASCII";
    match set {
        Some((name, value)) if value.to_ascii_lowercase().replace('-', "").contains("utf8") => {
            Finding::ok("locale", format!("{name}={value}"))
        }
        Some((name, value)) => Finding::warn("locale", format!("{name}={value} is not UTF-8"), todo),
        None => Finding::warn("locale", "neither LC_ALL, LC_CTYPE nor LANG is set", todo),
    }
}
