//! `list_children`, page by page.

use compere::registry::limits::Limits;
use serde_json::{Value, json};

use crate::support::{Company, sh};

#[tokio::test]
async fn its_pages_have_everyone_once_in_their_order() {
    const MANY: usize = 40;
    let limits = Limits { children: MANY, tree: MANY, spawns_per_minute: 1000, ..Limits::default() };
    let company = Company::with(limits);
    let root = company.root().await;
    let mut spawned = Vec::new();
    for _ in 0..MANY {
        spawned.push(Value::from(root.spawn(sh("read x")).await));
    }
    let (mut listed, mut pages, mut ask) = (Vec::new(), 0, json!({}));
    loop {
        let page = root.call("list_children", ask).await;
        assert!(page.text().len() < 10_000, "a page has 8 KiB");
        let rows: Vec<Value> =
            page["children"].as_array().unwrap().iter().map(|row| row["child"].clone()).collect();
        listed.extend(rows.iter().cloned());
        pages += 1;
        let Some(cut) = page["cut"].as_str() else { break };
        let last = listed.last().unwrap().as_str().unwrap();
        assert_eq!(cut, format!("{} of {MANY} are shown; {{\"after\": \"{last}\"}} reads on", rows.len()));
        ask = json!({"after": last});
    }
    assert_eq!(listed, spawned);
    assert!(pages > 1);
    let past = root.call("list_children", json!({"after": "c4000000000"})).await;
    assert_eq!((&past["children"], &past["cut"]), (&json!([]), &Value::Null));
}
