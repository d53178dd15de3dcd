//! `compere upgrade`: which broker runs before and after it, and what it says.

use std::process::Stdio;

use serde_json::json;

use crate::{
    replaced::other_broker,
    support::{COMPERE, Real, alive},
};

struct Said {
    out: String,
    err: String,
}

async fn upgrade_with(real: &Real, env: &[(&str, &str)]) -> Said {
    let mut command = real.command(COMPERE);
    let output =
        command.arg("upgrade").envs(env.iter().copied()).stdin(Stdio::null()).output().await.unwrap();
    assert_eq!(output.status.success(), output.stderr.is_empty(), "{output:?}");
    Said { out: String::from_utf8(output.stdout).unwrap(), err: String::from_utf8(output.stderr).unwrap() }
}

async fn upgrade(real: &Real) -> Said {
    upgrade_with(real, &[]).await
}

#[tokio::test]
async fn upgrade_puts_a_new_broker_in_the_place_of_the_old_and_hosts_stay() {
    let real = Real::new();
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        upgrade(&real)
            .await
            .out
            .contains(&format!("no broker runs; the next host or command starts one of version {version}"))
    );
    assert!(real.broker().is_none());
    let mut front = real.raw();
    front.initialize().await;
    let old = real.broker().unwrap();
    let said = upgrade(&real).await.out;
    let new = real.broker().unwrap();
    assert!(!alive(old) && new != old);
    let words = format!(
        "{version} (process {old}) has ended; {version} (process {new}) has taken over\nit keeps 0 children"
    );
    assert!(said.contains(&words), "{said}");
    let params = json!({"name": "list_children", "arguments": {}});
    let list = front.ask(1, "tools/call", params).await;
    assert_eq!(list["result"]["structuredContent"]["you"]["id"], "r1");
    assert_eq!(real.broker(), Some(new));
}

#[tokio::test]
async fn upgrade_is_not_for_going_back() {
    let real = Real::new();
    let (mut newer, pid) = other_broker(&real, "999.0.0").await;
    let said = upgrade(&real).await.err;
    assert!(said.contains(&format!("newer than this program ({})", env!("CARGO_PKG_VERSION"))), "{said}");
    assert!(said.contains(&format!("`kill {pid}`")) && alive(pid), "{said}");
    newer.start_kill().unwrap();
    newer.wait().await.unwrap();
    std::fs::remove_file(real.run().join("broker.sock")).unwrap();
}

#[tokio::test]
async fn upgrade_is_not_for_those_inside() {
    let real = Real::new();
    let mut front = real.raw();
    front.initialize().await;
    let broker = real.broker();
    let said = upgrade_with(&real, &[("COMPERE_IDENTITY", "x")]).await.err;
    assert!(said.contains("run this outside of children"), "{said}");
    assert_eq!(real.broker(), broker);
}

#[tokio::test]
async fn of_two_upgrades_at_once_each_ends_well_and_one_broker_is_left() {
    let real = Real::new();
    let mut front = real.raw();
    front.initialize().await;
    let old = real.broker().unwrap();
    let said = futures::future::join_all((0..2).map(|_| upgrade(&real))).await;
    assert!(said.iter().any(|said| said.out.contains(&format!("(process {old}) has ended"))));
    assert!(said.iter().all(|said| said.err.is_empty()) && !alive(old));
    assert_eq!(front.ask(1, "ping", json!({})).await["result"], json!({}));
}
