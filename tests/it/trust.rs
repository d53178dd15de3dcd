//! `compere trust`: what a person lets run of what came with a project, and nobody else.

use std::{os::unix::fs::PermissionsExt, path::PathBuf};

use serde_json::json;

use crate::support::{COMPERE, Real, sh};

/// A workspace's preset, not trusted yet.
fn preset(real: &Real, name: &str, about: &str) -> PathBuf {
    let dir = real.run().parent().unwrap().join("work/.compere/presets");
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join(format!("{name}.json"));
    let preset = json!({"name": name, "about": about, "command": ["sh", "-c", "echo started; read x"]});
    std::fs::write(&path, preset.to_string()).unwrap();
    path
}

/// `compere` with these arguments, as a person: what it says and how it exits.
async fn person(real: &Real, arguments: &[&str]) -> (String, i32) {
    let output = real.command(COMPERE).args(arguments).output().await.unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (said, output.status.code().unwrap())
}

#[tokio::test]
async fn a_workspaces_preset_runs_once_a_person_trusts_it_and_until_a_byte_changes() {
    let real = Real::new();
    let host = real.client().await;
    let path = preset(&real, "theirs", "starts");
    let file = path.to_str().unwrap();
    let spawn = || host.call("spawn", json!({"preset": "theirs"}));
    spawn().await.says(&format!("is not trusted: it could run anything. A person who has read {file}"));

    let (said, code) = person(&real, &["trust", file]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains(r#"runs           "sh" "-c" "echo started; read x""#), "{said}");
    assert!(said.contains("runs while no byte of it changes"), "{said}");
    let (said, _) = person(&real, &["trust", "--list"]).await;
    assert_eq!(said, format!("trusted  {file}\n"));
    let list = real.run().parent().unwrap().join(".local/state/compere/trusted.json");
    assert_eq!(list.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let child = spawn().await["child"].as_str().unwrap().to_owned();
    host.line(&child, "^started$").await;

    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("started", "altered")).unwrap();
    spawn().await.says(&format!("has changed since it was trusted. A person who has read {file} again may run `compere trust {file}` again"));
    assert_eq!(person(&real, &["trust", "--list"]).await.0, format!("changed  {file}\n"));
    let (presets, _) = person(&real, &["presets"]).await;
    assert!(presets.contains("theirs      changed"), "{presets}");
    std::fs::write(&path, text).unwrap();
    assert!(!spawn().await.is_error(), "it is again what was trusted");

    // By another way, and relative to where it is run.
    assert_eq!(person(&real, &["trust", "--revoke", ".compere/presets/theirs.json"]).await.1, 0);
    spawn().await.says("is not trusted");
    let (said, code) = person(&real, &["trust", "--revoke", file]).await;
    assert_eq!((said.as_str(), code), (&*format!("compere: {file} was not trusted\n"), 1));
    assert_eq!(person(&real, &["trust", "--list"]).await.0, "nothing is trusted\n");
}

#[tokio::test]
async fn a_name_that_is_taken_is_said_so_when_it_is_trusted() {
    let real = Real::new();
    let path = preset(&real, "claude", "not claude");
    let (said, code) = person(&real, &["trust", path.to_str().unwrap()]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("is not used, because compere's own claude wins: give it another name"), "{said}");
    let (presets, _) = person(&real, &["presets"]).await;
    assert!(presets.contains("claude      shadowed") && presets.contains("claude      tested"), "{presets}");
}

#[tokio::test]
async fn nobody_inside_a_child_can_trust() {
    let real = Real::new();
    let host = real.client().await;
    let path = preset(&real, "theirs", "x");
    let trust = format!("{COMPERE} trust {}", path.display());
    // As it is; without what marks it; and as a daemon with a broker of its own.
    let script = [
        format!("{trust} 2>&1"),
        format!("{trust} --revoke 2>&1"),
        format!("env -u COMPERE_IDENTITY -u COMPERE_SOCKET {trust} 2>&1"),
        format!("env -i HOME=\"$HOME\" COMPERE_RUNTIME_DIR=/tmp/none setsid -f {trust} > said 2>&1"),
        "until grep -q child said; do :; done; cat said; echo o''ver; read x".to_owned(),
    ];
    let child = host.spawn_with(sh(&script.join("\n")), json!({"cols": 500})).await;
    host.line(&child, "^over$").await;
    let all = host.all(&child).await;
    let refused =
        "compere: only a person may trust a preset, and this runs inside a child: ask your user to run it";
    assert_eq!(all.matches(refused).count(), 4, "{all}");
    assert_eq!(person(&real, &["trust", "--list"]).await.0, "nothing is trusted\n");
}

#[tokio::test]
async fn what_is_no_plain_file_is_refused() {
    let real = Real::new();
    let path = preset(&real, "theirs", "x");
    let dir = path.parent().unwrap();
    std::os::unix::fs::symlink(&path, dir.join("link.json")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, dir.join("pipe.json"), 0o600.into()).unwrap();
    std::fs::write(dir.join("big.json"), vec![b' '; 1 << 20]).unwrap();
    std::fs::write(dir.join("esc\u{1b}[31m.json"), "{").unwrap();
    for (name, why) in [
        ("link.json", "link.json: is a symbolic link: name the file itself"),
        ("pipe.json", "pipe.json: is not a regular file"),
        ("big.json", "big.json: is longer than 65536 bytes"),
        ("esc\u{1b}[31m.json", r"esc\u{1b}[31m.json: EOF while parsing"),
        (".", "is no preset of a workspace"),
    ] {
        let (said, code) = person(&real, &["trust", dir.join(name).to_str().unwrap()]).await;
        assert!(code == 1 && said.contains(why) && !said.contains('\u{1b}'), "{name}: {said}");
    }
    assert_eq!(person(&real, &["trust"]).await.1, 2);
    assert_eq!(person(&real, &["trust", "--list"]).await.0, "nothing is trusted\n");
}
