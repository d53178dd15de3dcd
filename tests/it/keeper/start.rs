//! How a child starts, and what is said where it cannot.

use super::*;

#[test]
fn a_child_starts_as_at_a_login() {
    let kept = Kept::with(
        "read x; echo argv0 $0; grep ^Sig /proc/self/status; umask; pwd; ls /proc/self/fd | tr '\\n' ' '; echo; exec env",
        |spec| {
            spec.argv.push("name".into());
            spec.env.push(("A".into(), "ä b".into()));
        },
    );
    let mut follower = kept.follower();
    follower.client.type_in("\n");
    follower.exited();
    let text = follower.text();
    let mask = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("grep shows it");
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    let ignored = mask("SigIgn:");
    for signal in
        [Signal::HUP, Signal::INT, Signal::QUIT, Signal::PIPE, Signal::ALARM, Signal::TERM, Signal::CHILD]
    {
        assert_eq!(ignored >> (signal.as_raw() - 1) & 1, 0, "{signal:?} is ignored");
    }
    assert_eq!(mask("SigBlk:"), 0);

    let ours = std::process::Command::new("sh").args(["-c", "umask"]).output().unwrap().stdout;
    let rest: Vec<&str> = text
        .lines()
        .skip_while(|line| !line.starts_with("Sig"))
        .filter(|line| !line.starts_with("Sig"))
        .collect();
    let cwd = kept.dir.path().canonicalize().unwrap();
    assert_eq!(rest[..3], [String::from_utf8(ours).unwrap().trim(), cwd.to_str().unwrap(), "0 1 2 3 "]);
    let mut env: Vec<&str> = rest[3..].iter().copied().filter(|line| !line.starts_with("PWD=")).collect();
    env.sort_unstable();
    assert_eq!(env, ["A=ä b", "PATH=/usr/bin:/bin", "SHELL=/bin/sh"]);
    assert!(text.starts_with("\r\nargv0 name\r\n"));
}

#[test]
fn argv0_is_what_was_asked_for() {
    let kept = Kept::with("", |spec| spec.argv = ["cat", "/proc/self/cmdline"].map(Into::into).into());
    assert_eq!(kept.ended().read(Offset(0), 100).unwrap().1, b"cat\0/proc/self/cmdline\0");
}

#[test]
fn its_files_are_for_its_user_only() {
    let kept = Kept::sh("read x");
    for path in [kept.ring(), kept.socket()] {
        assert_eq!(path.symlink_metadata().unwrap().permissions().mode() & 0o777, 0o600, "{path:?}");
    }
}

#[track_caller]
fn refused<T: Debug>(
    exe: &Path,
    change: impl FnOnce(&mut Spec),
    expected: impl FnOnce(&StartError) -> Option<T>,
) {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = spec(dir.path(), &["touch", "started"]);
    change(&mut spec);
    match launch(exe, &spec) {
        Err(LaunchError::Start(error)) => assert!(expected(&error).is_some(), "{error:?}"),
        other => panic!("{other:?}"),
    }
    let left: Vec<_> = dir.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_cannot_be_started_is_refused_by_name_and_leaves_nothing() {
    macro_rules! refused {
        ($change:expr, $pattern:pat) => {
            refused(Path::new(EXE), $change, |error| matches!(error, $pattern).then_some(()))
        };
    }
    let program = |program: &'static str| move |spec: &mut Spec| spec.argv[0] = program.into();
    refused!(|spec: &mut Spec| spec.argv.clear(), StartError::EmptyArgv);
    refused!(|spec: &mut Spec| spec.argv[1] = "\0".into(), StartError::Nul { .. });
    refused!(|spec: &mut Spec| spec.env.push(("A=B".into(), String::new())), StartError::BadEnvName { .. });
    refused!(|spec: &mut Spec| spec.cwd = "relative".into(), StartError::CwdRelative { .. });
    refused!(|spec: &mut Spec| spec.cwd = "/no/such".into(), StartError::CwdMissing { .. });
    refused!(|spec: &mut Spec| spec.cwd = "/etc/passwd".into(), StartError::CwdNotADirectory { .. });
    refused!(program("no-such-program"), StartError::ProgramNotFound { .. });
    refused!(program("./no-such-program"), StartError::ProgramNotFound { .. });
    refused!(program("/etc/passwd"), StartError::NotExecutable { .. });
    refused!(program("/etc"), StartError::ProgramIsADirectory { .. });
    refused!(|spec: &mut Spec| spec.argv[1] = "x".repeat(200_000), StartError::TooLong { .. });
    refused!(|spec: &mut Spec| spec.socket = "/no/such/socket".into(), StartError::Files { .. });
    refused!(
        |spec: &mut Spec| spec.socket = format!("/tmp/{}", "x".repeat(200)).into(),
        StartError::Files { .. }
    );
    refused!(|spec: &mut Spec| spec.ring = "/no/such/ring".into(), StartError::Files { .. });
    refused!(|spec: &mut Spec| spec.argv[1] = "x".repeat(5 << 20), StartError::BadSpec { .. });
    // Two quotes, so this is one byte too many.
    refused!(
        |spec: &mut Spec| spec.about = Value::String("x".repeat((64 << 10) - 1)),
        StartError::AboutTooLong { bytes: 65_537, limit: 65_536 }
    );

    let scripts = tempfile::tempdir().unwrap();
    let script = executable(scripts.path(), "script", "#!/no/such/interpreter\n");
    refused!(|spec: &mut Spec| spec.argv[0] = script, StartError::InterpreterMissing { .. });
    // Three descriptors, four of the keeper's own: no PTY fits below this.
    let poor = executable(scripts.path(), "poor", &format!("#!/bin/sh\nulimit -n 7\nexec {EXE} \"$@\"\n"));
    refused(
        Path::new(&poor),
        |_| {},
        |error| matches!(error, StartError::NoPty { errno: Some(24), .. }).then_some(()),
    );
}

#[test]
fn files_that_are_there_already_are_left_alone() {
    for name in ["ring", "socket"] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(name), "mine").unwrap();
        let error = launch(Path::new(EXE), &spec(dir.path(), &["touch", "started"])).unwrap_err();
        assert!(
            matches!(&error, LaunchError::Start(StartError::Files { path, .. }) if path.ends_with(name)),
            "{error}"
        );
        assert_eq!(dir.path().read_dir().unwrap().count(), 1);
        assert_eq!(std::fs::read_to_string(dir.path().join(name)).unwrap(), "mine");
    }
}

#[test]
fn what_is_no_keeper_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let launch = |exe: &str| launch(Path::new(exe), &spec(dir.path(), &["true"])).unwrap_err();
    assert!(matches!(launch("/no/such/exe"), LaunchError::Keeper { .. }));
    assert!(matches!(launch("/bin/true"), LaunchError::Answer { answer } if answer.is_empty()));
    assert!(matches!(launch("/bin/echo"), LaunchError::Answer { answer } if answer == "keeper\n"));
}

fn executable(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_child_that_was_started_for_nobody_ends_with_its_keeper() {
    use std::io::Write;
    let dir = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut keeper = std::process::Command::new(EXE)
        .arg("keeper")
        .env_clear()
        .stdin(std::process::Stdio::piped())
        .stdout(writer)
        .spawn()
        .unwrap();
    // Its launcher is killed before it can be told.
    drop(reader);
    let mut line =
        serde_json::to_vec(&spec(dir.path(), &["sh", "-c", "trap '' HUP TERM; sleep 1000"])).unwrap();
    line.push(b'\n');
    keeper.stdin.take().unwrap().write_all(&line).unwrap();
    assert!(keeper.wait().unwrap().success());
    assert!(!dir.path().join("socket").exists());
    let record = Ring::open(&dir.path().join("ring")).unwrap();
    assert_eq!(record.exit, Some(Exit::Signal(9)));
    assert!(!crate::support::alive(record.child_pid));
}
