//! The runtime directory and what is in it.

use std::os::unix::fs::MetadataExt;

use super::{
    broker::{self, Seen},
    finding::Finding,
    journal, orphans, trees,
};
use crate::ipc::door::Door;

/// The log's end is where the last errors are.
const LOG_TAIL: u64 = 64 * 1024;

pub(super) async fn look(stop_orphans: bool) -> Vec<Finding> {
    let door = match Door::open() {
        Ok(door) => door,
        Err(error) => {
            let todo = "correct that, or set COMPERE_RUNTIME_DIR to a directory of your own";
            return vec![Finding::fail("directory", error.to_string(), todo)];
        }
    };
    let mut findings = vec![directory(&door)];
    let (seen, found) = broker::look(&door).await;
    findings.push(found);
    findings.extend(orphans::look(&door, &seen, stop_orphans));
    if let Seen::Running { list, .. } = &seen {
        findings.extend(trees::look(list));
    }
    if let Seen::Running { .. } | Seen::Nobody = seen {
        findings.extend(orphans::stale(&door, &seen));
    }
    findings.extend(journal::look(&door));
    findings.push(log(&door));
    findings
}

fn directory(door: &Door) -> Finding {
    let dir = door.dir().display();
    let socket = door.socket().as_os_str().len();
    match std::fs::metadata(door.dir()) {
        Ok(there) => Finding::ok(
            "directory",
            format!(
                "{dir}, mode {:o}, owner {}, socket path of {socket} bytes",
                there.mode() & 0o777,
                there.uid()
            ),
        ),
        Err(error) => Finding::fail("directory", format!("{dir}: {error}"), "make it readable"),
    }
}

fn log(door: &Door) -> Finding {
    use std::io::{Read, Seek, SeekFrom};
    const SHOWN: usize = 3;
    let path = door.log();
    let read = || {
        let mut file = std::fs::File::open(&path)?;
        let len = file.metadata()?.len();
        file.seek(SeekFrom::Start(len.saturating_sub(LOG_TAIL)))?;
        let mut tail = Vec::new();
        file.take(LOG_TAIL).read_to_end(&mut tail)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&tail).into_owned())
    };
    let tail = match read() {
        Ok(tail) => tail,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Finding::ok("log", format!("{} (not there yet)", path.display()));
        }
        Err(error) => {
            return Finding::warn("log", format!("{}: {error}", path.display()), "make it readable");
        }
    };
    let errors: Vec<&str> = tail.lines().filter(|line| line.contains(" ERROR ")).collect();
    if errors.is_empty() {
        return Finding::ok("log", format!("{}, no errors", path.display()));
    }
    let shown: Vec<String> =
        errors[errors.len().saturating_sub(SHOWN)..].iter().map(|line| format!("\n        {line}")).collect();
    Finding::warn(
        "log",
        format!("{}, {} errors", path.display(), errors.len()),
        format!("the last:{}", shown.concat()),
    )
}
