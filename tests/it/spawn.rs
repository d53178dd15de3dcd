//! `spawn`: what is refused before anything runs, and what reaches what does.

use std::os::unix::fs::PermissionsExt;

use compere::id::Caller;
use serde_json::{Value, json};

use crate::support::{Company, alive, sh};

#[tokio::test]
async fn what_cannot_run_is_refused_in_words_and_nothing_is_spawned() {
    let company = Company::new();
    let script = company.work().join("lost.sh");
    std::fs::write(&script, "#!/no/such/shell\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(company.work().join("file"), "").unwrap();
    let root = company.root().await;
    for (arguments, words) in [
        (json!({}), "neither a preset nor a command was given. Give preset (one of "),
        (json!({"command": []}), "the command is empty"),
        (json!({"command": [""]}), "the command is empty"),
        (
            json!({"command": ["no-such-program"]}),
            "failed to find the program \"no-such-program\" in \"/usr/local/bin:",
        ),
        (json!({"command": ["./none"]}), "failed to find the program \"./none\" in "),
        (json!({"command": ["./file"]}), "is not executable"),
        (
            json!({"command": ["./lost.sh"]}),
            "its interpreter \"/no/such/shell\" is missing or not executable",
        ),
        (json!({"command": ["sh", "-c", "a\0b"]}), "command[2] holds a NUL byte"),
        (json!({"command": ["sh"], "cwd": "none"}), "work/none\": it does not exist"),
        (json!({"command": ["sh"], "cwd": "file"}), "work/file\": it is not a directory"),
        (json!({"command": ["sh"], "cwd": "a\0b"}), "NUL"),
        (json!({"command": ["sh"], "name": "c7"}), "\"c7\" cannot be a name. Use 1 to 40 letters"),
        (json!({"command": ["sh"], "name": "a b"}), "cannot be a name"),
        (json!({"command": ["sh"], "name": ""}), "cannot be a name"),
        (json!({"command": ["sh"], "env": {"COMPERE_X": "1"}}), "\"COMPERE_X\" is compere's own to set"),
        (json!({"command": ["sh"], "env": {"": "1"}}), "has no name"),
        (json!({"command": ["sh"], "env": {"A=B": "1"}}), "has '=' or NUL in its name"),
        (json!({"command": ["sh"], "env": {"A": "\0"}}), "has NUL in its value"),
        (
            json!({"command": ["sh", "x".repeat(200_000)]}),
            "has 200000 bytes, of which the kernel passes 131071",
        ),
        (json!({"preset": "claud"}), "no preset is named \"claud\" (perhaps claude?); there are amp, claude"),
    ] {
        root.call("spawn", arguments).await.says(words);
    }
    assert!(company.registry().family(Caller::Person).is_empty());
    assert_eq!(company.registry().load().live, 0);
    assert_eq!(std::fs::read_dir(company.dir().join("k")).unwrap().count(), 0, "files are left");
}

#[tokio::test]
async fn an_unknown_parameter_is_refused_with_a_list_of_those_there_are() {
    let company = Company::new();
    let root = company.root().await;
    for (tool, arguments, words) in [
        ("spawn", json!({"cmd": ["sh"]}), "unknown field `cmd`, expected one of `preset`, `command`, `name`"),
        ("spawn", json!({"command": "sh"}), "expected a sequence"),
        (
            "read_output",
            json!({"child": "c1", "mode": "screenshot"}),
            "unknown variant `screenshot`, expected `screen` or `stream`",
        ),
        ("stop", json!({}), "missing field `child`"),
        ("timer_wait", json!({"timeout_ms": -1}), "invalid value: integer `-1`"),
    ] {
        let refused = root.refused(tool, arguments).await;
        assert!(refused.contains(words), "{tool}: {refused}");
    }
}

#[tokio::test]
async fn a_size_is_brought_within_what_a_terminal_can_be() {
    let company = Company::new();
    let root = company.root().await;
    for (rows, cols, size) in
        [(24, 80, "24 80"), (0, 0, "1 2"), (65_535, 65_535, "500 1000"), (-1, -1, "1 2")]
    {
        let child = root.spawn_with(sh("stty size"), json!({"rows": rows, "cols": cols})).await;
        root.exit(&child).await;
        assert_eq!(root.all(&child).await.trim(), size);
    }
}

#[tokio::test]
async fn its_directory_its_variables_and_its_arguments_reach_the_child() {
    let company = Company::new();
    std::fs::create_dir(company.work().join("sub")).unwrap();
    let root = company.root().await;
    let command =
        json!(["sh", "-c", "pwd; echo $GREETING $TERM $HOME; printf '<%s>' \"$@\"", "sh", "a b", "", "é\n"]);
    let child = root.spawn_with(command, json!({"cwd": "sub", "env": {"GREETING": "bonjour"}})).await;
    root.exit(&child).await;
    let (work, home) = (company.work(), company.dir().display().to_string());
    let expected = format!("{}/sub\nbonjour xterm-256color {home}\n<a b><><é\n>", work.display());
    assert_eq!(root.all(&child).await, expected);
}

#[tokio::test]
async fn a_child_that_ends_at_once_has_an_exit_and_its_last_bytes() {
    let company = Company::new();
    let root = company.root().await;
    for (script, exit) in [
        ("printf last; exit 0", json!({"code": 0})),
        ("printf last; exit 7", json!({"code": 7})),
        ("printf last; kill -9 $$", json!({"signal": 9})),
    ] {
        let child = root.spawn(sh(script)).await;
        assert_eq!(root.exit(&child).await, exit);
        assert_eq!(root.all(&child).await, "last");
    }
}

#[tokio::test]
async fn a_name_is_unique_among_the_living_and_free_again_afterwards() {
    let company = Company::new();
    let root = company.root().await;
    let first = root.spawn_with(sh("read x"), json!({"name": "build"})).await;
    let again = json!({"command": ["true"], "name": "build"});
    root.call("spawn", again.clone()).await.says("\"build\" is the name of c1. Give another name");
    assert_eq!(root.row(&first).await["name"], "build");
    root.call("stop", json!({"child": "build", "grace_ms": 0})).await;
    assert_eq!(root.call("spawn", again).await["name"], "build");
}

#[tokio::test]
async fn a_child_gets_the_signals_and_the_mask_of_a_fresh_login() {
    let company = Company::new();
    let root = company.root().await;
    let child = root.spawn(sh("grep -E '^Sig(Blk|Ign)' /proc/self/status; umask")).await;
    root.exit(&child).await;
    let mask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    rustix::process::umask(mask);
    let all = root.all(&child).await;
    let lines: Vec<&str> = all.lines().collect();
    assert_eq!(lines[0], "SigBlk:\t0000000000000000");
    // glibc's posix_spawn ignores its own 32 and 33 for the processes it starts.
    assert!(
        ["0000000000000000", "0000000180000000"].contains(&lines[1].trim_start_matches("SigIgn:\t")),
        "{all}"
    );
    assert_eq!(lines[2], format!("{:04o}", mask.bits()));
}

#[tokio::test]
async fn a_child_is_given_no_descriptor_but_its_terminal() {
    let company = Company::new();
    let root = company.root().await;
    // Without a pipe, whose ends the shell would hold for a moment.
    let child = root.spawn(sh("for fd in /proc/$$/fd/*; do readlink $fd; done")).await;
    root.exit(&child).await;
    let all = root.all(&child).await;
    let others: Vec<&str> = all.lines().filter(|line| !line.starts_with("/dev/pts/")).collect();
    assert!(others.is_empty(), "{all}");
}

#[tokio::test]
async fn the_identity_is_in_the_childs_environment_and_in_nobodys_arguments() {
    let company = Company::new();
    let root = company.root().await;
    let child = root.spawn(sh("echo id=$COMPERE_IDENTITY.; read x")).await;
    let line = root.line(&child, r"id=[0-9a-f]{64}\.").await;
    let token = line.trim_start_matches("id=").trim_end_matches('.').as_bytes();
    let found = company.registry().family(Caller::Person).pop().unwrap().child;
    assert!(alive(found.keeper()));
    let holds = |pid: i32, file: &str| {
        let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap();
        bytes.windows(token.len()).any(|window| window == token)
    };
    assert!(holds(found.pid(), "environ"));
    assert!(!holds(found.pid(), "cmdline"));
    assert!(!holds(found.keeper(), "cmdline"));
    assert!(!holds(found.keeper(), "environ"));
}

#[tokio::test]
async fn the_answer_says_who_it_is_and_what_to_do_next() {
    let company = Company::new();
    let root = company.root().await;
    let shell = root.call("spawn", json!({"preset": "shell", "rows": 10, "cols": 40})).await;
    assert_eq!([&shell["child"], &shell["name"], &shell["owner"]], ["c1", "shell", "orchestrator"]);
    assert_eq!([&shell["rows"], &shell["cols"]], [10, 40].map(Value::from).each_ref());
    assert!(shell["next"].as_str().unwrap().starts_with("timer_wait until it is idle"));
    let plain = root.call("spawn", json!({"command": ["sleep", "100"]})).await;
    assert!(plain["next"].as_str().unwrap().contains("wait with timer_wait for a pattern or its exit"));
}
