//! `timer_wait`: what ends a wait, who gets what, and how a wait goes on.

use std::time::Duration;

use compere::{
    id::{Caller, RootId},
    registry::timers::{Until, Wait, WaitId, Woke},
};
use futures::FutureExt;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Client, Company, sh};

async fn report(child: &Client, message: &str) -> Value {
    let reported = child.call("report_to_parent", json!({"status": "done", "message": message})).await;
    assert!(!reported.is_error(), "{}", reported.text());
    reported["report"].clone()
}

#[tokio::test]
async fn a_report_ends_the_parents_wait() {
    let company = Company::new();
    let root = company.root().await;
    root.spawn_with(sh("read x"), json!({"name": "worker"})).await;
    let child = company.child("c1").await;
    let wait = root.call("timer_wait", json!({"timeout_ms": 20_000}));
    let (woke, _) = tokio::join!(wait, report(&child, "all done"));
    woke.woke("report");
    let report = &woke["reports"][0];
    assert_eq!([&report["from"], &report["name"], &report["status"]], ["c1", "worker", "done"]);
    assert_eq!(report["message"], "all done");
}

#[tokio::test]
async fn a_report_that_waits_already_ends_the_next_wait_at_once_and_only_that() {
    let company = Company::new();
    let root = company.root().await;
    root.spawn(sh("read x")).await;
    let child = company.child("c1").await;
    report(&child, "one").await;
    report(&child, "two").await;
    let listed = root.call("list_children", json!({})).await;
    assert_eq!(listed["unread_reports"]["count"], 2);
    assert_eq!(listed["unread_reports"]["newest"][0], "c1 (sh) done: two");
    let woke = root.call("timer_wait", json!({"timeout_ms": 20_000})).await;
    assert_eq!(woke.woke("report")["reports"].as_array().unwrap().len(), 2);
    root.call("timer_wait", json!({"timeout_ms": 1})).await.woke("timer");
    let again = root.call("read_reports", json!({"after": 0})).await;
    assert_eq!([&again["reports"][1]["message"], &again["next"]], [&json!("two"), &json!(2)]);
}

#[tokio::test]
async fn one_report_ends_one_of_two_waits() {
    let company = Company::new();
    let root = company.root().await;
    root.spawn(sh("read x")).await;
    let child = company.child("c1").await;
    let wait = || root.call("timer_wait", json!({"timeout_ms": 20_000}));
    let (mut first, mut second) = (Box::pin(wait()), Box::pin(wait()));
    let told = async {
        report(&child, "only one").await;
        std::future::pending::<()>().await;
    };
    let (woke, other) = tokio::select! {
        woke = &mut first => (woke, &mut second),
        woke = &mut second => (woke, &mut first),
        () = told => unreachable!(),
    };
    assert_eq!(woke.woke("report")["reports"][0]["message"], "only one");
    let (woke, _) = tokio::join!(other, report(&child, "another"));
    assert_eq!(woke.woke("report")["reports"][0]["message"], "another");
}

#[tokio::test]
async fn a_cancelled_wait_takes_no_report_and_the_others_go_on() {
    let company = Company::new();
    let root = company.root().await;
    root.spawn(sh("read x")).await;
    let child = company.child("c1").await;
    let mut cancelled = Box::pin(root.call("timer_wait", json!({"timeout_ms": 20_000})));
    let mut going_on = Box::pin(root.call("timer_wait", json!({"timeout_ms": 20_000})));
    // Both are with the server once a later call was answered.
    tokio::select! {
        biased;
        _ = &mut cancelled => panic!("nothing to wake for"),
        _ = &mut going_on => panic!("nothing to wake for"),
        _ = root.call("list_children", json!({})) => {}
    }
    drop(cancelled);
    root.call("list_children", json!({})).await;
    let (woke, _) = tokio::join!(going_on, report(&child, "hello"));
    assert_eq!(woke.woke("report")["reports"][0]["message"], "hello");
}

#[tokio::test]
async fn idle_after_a_message_is_idle_after_what_it_asked_for() {
    let company = Company::new();
    let root = company.root().await;
    let bash = root.bash().await;
    let fifo = company.work().join("go");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
    root.say(&bash, "cat go; echo do''ne").await;
    let idle = root.wait(json!({"child": bash, "is": "idle"}));
    let go = async {
        // Opening blocks until the child reads, so the child is at work by then.
        tokio::task::spawn_blocking(move || std::fs::write(fifo, "")).await.unwrap().unwrap();
    };
    let (woke, ()) = tokio::join!(idle, go);
    woke.woke("idle");
    assert!(root.all(&bash).await.contains("\ndone\n"));
}

#[tokio::test]
async fn an_exit_ends_any_wait_for_that_child() {
    let company = Company::new();
    let root = company.root().await;
    for until in [
        json!({"is": "exited"}),
        json!({"is": "idle"}),
        json!({"is": "needs_input"}),
        json!({"matches": "never"}),
    ] {
        let bash = root.bash().await;
        let mut until = until;
        until["child"] = bash.clone().into();
        root.say(&bash, "read x; exit 4").await;
        let (woke, _) = tokio::join!(root.wait(until.clone()), root.say(&bash, "go"));
        assert_eq!(woke.woke("exited")["state"], "exited (exit code 4)", "{until}");
        let again = root.wait(until.clone()).await;
        again.woke("exited");
    }
}

#[tokio::test]
async fn a_line_is_found_on_the_screen_now_and_later_and_since_an_offset() {
    let company = Company::new();
    let root = company.root().await;
    let child = root.spawn(sh("stty -echo; echo ready 1; read x; echo ready 2; read x")).await;
    root.line(&child, "^ready 1$").await;
    let now = root.wait(json!({"child": child, "matches": "^ready [0-9]$"})).await;
    assert_eq!(now.woke("match")["line"], "ready 1");
    let later = root.wait(json!({"child": child, "matches": "^ready 2$"}));
    let (later, offset) = tokio::join!(later, root.say(&child, "go"));
    assert_eq!(later.woke("match")["line"], "ready 2");
    let since = root.wait(json!({"child": child, "matches": "^ready", "since": offset})).await;
    assert_eq!(since.woke("match")["line"], "ready 2");
}

#[tokio::test]
async fn the_last_line_before_the_end_is_found() {
    let company = Company::new();
    let root = company.root().await;
    for _ in 0..10 {
        let child = root.spawn(sh("seq 1000; printf 'last word'")).await;
        assert_eq!(root.line(&child, "last").await, "last word");
        root.exit(&child).await;
        assert_eq!(root.line(&child, "^500$").await, "500");
    }
}

#[tokio::test]
async fn the_time_ends_a_wait_and_an_empty_list_waits_it_out() {
    let company = Company::new();
    let root = company.root().await;
    for until in [json!([]), json!([{"report": true}])] {
        let began = Instant::now();
        root.call("timer_wait", json!({"timeout_ms": 120, "until": until})).await.woke("timer");
        assert!(began.elapsed() >= Duration::from_millis(120));
    }
}

#[tokio::test]
async fn what_cannot_be_waited_for_is_refused_in_words() {
    let company = Company::new();
    let root = company.root().await;
    let plain = root.spawn(json!(["sleep", "1000"])).await;
    for (arguments, words) in [
        (json!({}), "neither timeout_ms nor wait_id was given. Give timeout_ms"),
        (
            json!({"timeout_ms": 1, "until": [{}]}),
            "a condition of until says too little or too much. Give {\"report\": true}",
        ),
        (json!({"timeout_ms": 1, "until": [{"report": true, "child": "c1"}]}), "too little or too much"),
        (json!({"timeout_ms": 1, "until": [{"child": plain}]}), "too little or too much"),
        (
            json!({"timeout_ms": 1, "until": [{"child": plain, "matches": "a(b"}]}),
            "matches is no regular expression",
        ),
        (
            json!({"timeout_ms": 1, "until": [{"child": plain, "is": "idle"}]}),
            "nothing shows when c1 is idle: no preset describes sleep. Wait for a pattern",
        ),
        (
            json!({"timeout_ms": 1, "until": [{"child": "c9", "is": "exited"}]}),
            "there is no child c9. There is c1 (sleep)",
        ),
        (
            json!({"timeout_ms": 1, "until": vec![json!({"report": true}); 65]}),
            "65 conditions, and 64 are the most",
        ),
        (json!({"wait_id": "w7"}), "there is no wait w7. It is over; start a new one"),
        (json!({"wait_id": "w7", "until": []}), "until cannot be changed while a wait goes on"),
    ] {
        root.call("timer_wait", arguments).await.says(words);
    }
}

#[tokio::test]
async fn a_wait_of_a_year_is_taken_and_ends_by_what_it_waits_for() {
    let company = Company::new();
    let root = company.root().await;
    let child = root.spawn(sh("exit 0")).await;
    for year in [31_536_000_000u64, u64::MAX] {
        let wait = json!({"timeout_ms": year, "until": [{"child": child, "is": "exited"}]});
        root.call("timer_wait", wait).await.woke("exited");
    }
}

#[tokio::test]
async fn a_wait_that_was_cut_short_goes_on_without_a_gap() {
    let company = Company::new();
    let root = company.root().await;
    let child = root.spawn(sh("stty -echo; echo ready; read x; echo one; read x; echo two; read x")).await;
    root.line(&child, "^ready$").await;
    let registry = company.registry();
    let found = registry.family(Caller::Person).pop().unwrap();
    let caller = found.node.parent;
    let until = Until::Match { child: found.child, pattern: "^(one|two)$".parse().unwrap(), from: None };
    let wait = Wait { until: vec![until], deadline: Instant::now() + Duration::from_secs(20) };
    let cut = registry.wait(caller, wait, None, Duration::from_millis(1)).await.unwrap();
    let Woke::StillWaiting(id) = cut else { panic!("{cut:?}") };
    // What is written between the two calls counts.
    root.say(&child, "go").await;
    root.line(&child, "^one$").await;
    root.say(&child, "go").await;
    root.line(&child, "^two$").await;
    assert!(registry.resume_wait(Caller::Person, id).is_none(), "it is another's");
    let woke = root.call("timer_wait", json!({"wait_id": format!("w{}", id.0)})).await;
    assert_eq!(woke.woke("match")["line"], "one");
    root.call("timer_wait", json!({"wait_id": format!("w{}", id.0)})).await.says("there is no wait");
}

#[tokio::test]
async fn a_wait_cut_short_again_and_again_keeps_its_id_and_its_end() {
    let company = Company::new();
    let registry = company.registry();
    let deadline = Instant::now() + Duration::from_millis(100);
    let mut wait = Wait { until: vec![Until::Report], deadline };
    let mut known = None;
    let cuts = loop {
        match registry.wait(Caller::Person, wait, known, Duration::from_millis(10)).await.unwrap() {
            Woke::StillWaiting(id) => {
                assert!(known.is_none_or(|known| known == id));
                known = Some(id);
                wait = registry.resume_wait(Caller::Person, id).unwrap();
            }
            woke => break woke,
        }
    };
    assert_eq!(cuts, Woke::Timer);
    assert!(known.is_some() && Instant::now() >= deadline);
}

#[tokio::test]
async fn a_connection_that_ends_ends_its_waits() {
    let company = Company::new();
    let root = company.root().await;
    root.spawn(sh("read x")).await;
    let child = company.child("c1").await;
    let (other, gone) = (company.root().await, Instant::now());
    {
        let mut wait = Box::pin(other.call("timer_wait", json!({"timeout_ms": 20_000})));
        tokio::select! {
            biased;
            _ = &mut wait => panic!("nothing to wake for"),
            _ = root.call("list_children", json!({})) => {}
        }
    }
    other.close().await;
    report(&child, "for whoever is left").await;
    assert_eq!(root.call("read_reports", json!({})).await["reports"].as_array().unwrap().len(), 1);
    assert!(gone.elapsed() < Duration::from_secs(4));
}

/// Time stands still here but for what is waited for, so that minutes take none.
#[tokio::test(start_paused = true)]
async fn a_long_wait_tells_of_progress_and_comes_back_before_the_hosts_patience_is_over() {
    let company = Company::new();
    let root = company.root().await;
    let began = tokio::time::Instant::now();
    let hour = Duration::from_secs(3600);
    let first = root.call_within(hour, "timer_wait", json!({"timeout_ms": 80_000})).await;
    first.woke("still_waiting");
    assert_eq!(began.elapsed().as_secs(), 50, "a client nobody knows bears 60 s");
    assert_eq!(root.progress(), 6, "every 8 s");
    let goes_on = json!({"wait_id": first["wait_id"]});
    root.call_within(hour, "timer_wait", goes_on.clone()).await.woke("timer");
    assert_eq!(began.elapsed().as_secs(), 80);
    assert!(root.refused("timer_wait", goes_on).await.contains("there is no wait w1"));
}

#[tokio::test]
async fn reports_read_for_an_answer_that_does_not_come_about_are_unread_again() {
    let company = Company::new();
    let (host, root) = (company.root().await, Caller::Root(RootId(1)));
    let child = host.spawn(sh("read x")).await;
    report(&company.child(&child).await, "one").await;

    // A wait that goes on is over before it is answered, which takes a moment; and then nobody is there any more.
    let patience = Duration::from_secs(60);
    let wait = Wait { until: vec![Until::Report], deadline: Instant::now() + patience };
    let waiting = company.registry().wait(root, wait, Some(WaitId(1)), patience);
    assert!(waiting.now_or_never().is_none());
    assert_eq!(company.registry().unread(root, 0).0, 1);
    let read = host.call("read_reports", json!({})).await;
    assert_eq!(read["reports"][0]["message"], "one");
}

#[tokio::test]
async fn reports_read_after_the_connection_has_ended_are_unread_again() {
    let company = Company::new();
    let (host, root) = (company.root().await, Caller::Root(RootId(1)));
    let child = host.spawn(sh("read x")).await;
    report(&company.child(&child).await, "one").await;
    let late = company.left(root).await;
    late.call("read_reports", json!({})).await;
    assert_eq!(company.registry().unread(root, 0).0, 1);
    let read = host.call("read_reports", json!({})).await;
    assert_eq!([&read["reports"][0]["message"], &read["reports"][0]["again"]], [&json!("one"), &json!(true)]);
}
