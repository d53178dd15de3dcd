//! What the stand-in does, key by key; the time is told.

use super::*;

/// An agent with these ways, past its start.
fn agent(ways: Ways) -> (Agent, Instant) {
    let now = Instant::now();
    let mut agent = Agent::new(Ways { work: 1000, ..ways }, now);
    agent.tick(now);
    (agent, now)
}

fn paste(agent: &mut Agent, text: &str, now: Instant) {
    agent.key(Key::Paste(text.into()), now);
    agent.key(Key::Enter, now);
}

/// What the log has so far.
fn logged(agent: &mut Agent) -> Vec<Value> {
    let log = |effect| match effect {
        Effect::Log(line) => Some(line),
        Effect::Print(_) | Effect::Report { .. } => None,
    };
    agent.effects().into_iter().filter_map(log).collect()
}

const LATER: Duration = Duration::from_secs(1);

#[test]
fn it_works_and_answers_what_it_got() {
    let (mut agent, now) = agent(Ways::default());
    paste(&mut agent, "a\nb", now);
    assert_eq!(agent.effects(), [Effect::Print("> a\n  b".into()), Effect::Log(json!({"message": "a\nb"}))]);
    agent.tick(now + LATER / 2);
    assert!(matches!(agent.phase(), Phase::Working { .. }));
    agent.tick(now + LATER);
    assert_eq!(agent.phase(), &Phase::Idle { turns: true });
    assert_eq!(agent.effects(), [Effect::Print("● a\n  b".into())]);
}

#[test]
fn what_is_typed_before_the_prompt_is_lost() {
    let now = Instant::now();
    let mut agent = Agent::new(Ways { start: 1000, trust: true, ..Ways::default() }, now);
    paste(&mut agent, "early", now);
    agent.tick(now + LATER);
    assert_eq!(logged(&mut agent), [] as [Value; 0]);
    assert!(agent.composer().is_empty());
    assert!(matches!(agent.phase(), Phase::Asking { .. }));
}

#[test]
fn enter_at_a_question_answers_it_and_the_message_is_lost() {
    let (mut agent, now) = agent(Ways { trust: true, ask: true, ..Ways::default() });
    paste(&mut agent, "hello", now);
    assert_eq!(logged(&mut agent), [json!({"asked": "trust", "answer": "Yes, I trust this folder"})]);
    assert_eq!(agent.phase(), &Phase::Idle { turns: false });
    paste(&mut agent, "do it", now);
    agent.tick(now + LATER);
    agent.key(Key::Escape, now + LATER);
    assert_eq!(
        logged(&mut agent),
        [
            json!({"message": "do it"}),
            json!({"asked": "permission", "answer": "No, and tell it what to do instead"})
        ]
    );
    paste(&mut agent, "again", now);
    agent.tick(now + LATER);
    agent.key(Key::Enter, now + LATER);
    assert!(matches!(agent.phase(), Phase::Working { allowed: true, .. }));
    agent.tick(now + 2 * LATER);
    assert_eq!(agent.phase(), &Phase::Idle { turns: true });
}

#[test]
fn who_is_not_trusted_leaves() {
    let (mut agent, now) = agent(Ways { trust: true, ..Ways::default() });
    agent.key(Key::Text("2".into()), now);
    assert_eq!(agent.phase(), &Phase::Gone(1));
}

#[test]
fn an_eaten_enter_leaves_the_text_where_it_is() {
    let (mut agent, now) = agent(Ways { eat_enter: 2, draft: Some("I was ".into()), ..Ways::default() });
    agent.key(Key::Text("here".into()), now);
    agent.key(Key::Enter, now);
    agent.key(Key::Enter, now);
    assert_eq!((agent.composer().shown().as_str(), logged(&mut agent).len()), ("I was here", 0));
    agent.key(Key::Enter, now);
    assert_eq!(logged(&mut agent), [json!({"message": "I was here"})]);
}

#[test]
fn while_it_works_a_message_waits_or_cuts_the_work_short() {
    for (while_busy, log) in [
        (WhileBusy::Queue, vec![json!({"message": "one"}), json!({"message": "two"})]),
        (
            WhileBusy::Interrupt,
            vec![json!({"message": "one"}), json!({"message": "two"}), json!({"interrupted": "one"})],
        ),
    ] {
        let (mut agent, now) = agent(Ways { while_busy, ..Ways::default() });
        paste(&mut agent, "one", now);
        paste(&mut agent, "two", now);
        assert_eq!(logged(&mut agent), log);
        let on = if while_busy == WhileBusy::Queue { "one" } else { "two" };
        assert!(matches!(agent.phase(), Phase::Working { text, .. } if text == on));
    }
    let (mut agent, now) = agent(Ways::default());
    paste(&mut agent, "one", now);
    agent.key(Key::Escape, now);
    assert_eq!(agent.phase(), &Phase::Idle { turns: true });
}

#[test]
fn it_dies_when_it_was_told_to() {
    let (mut agent, now) = agent(Ways { die: Some(2), code: 7, ..Ways::default() });
    paste(&mut agent, "one", now);
    agent.tick(now + LATER);
    paste(&mut agent, "two", now);
    assert_eq!(agent.phase(), &Phase::Gone(7));
    assert_eq!(logged(&mut agent), [json!({"message": "one"}), json!({"message": "two"})]);
}

#[test]
fn commands_are_not_messages_where_it_has_them() {
    for (text, commands, line) in [
        ("/clear", true, json!({"command": "/clear"})),
        ("!ls", true, json!({"command": "!ls"})),
        (" !ls", true, json!({"message": " !ls"})),
        ("/clear", false, json!({"message": "/clear"})),
        ("a\\", false, json!({"message": "a\\"})),
    ] {
        let (mut agent, now) = agent(Ways { commands, ..Ways::default() });
        paste(&mut agent, text, now);
        assert_eq!(logged(&mut agent), [line]);
    }
    let (mut agent, now) = agent(Ways { commands: true, ..Ways::default() });
    paste(&mut agent, "a\\", now);
    assert_eq!((logged(&mut agent).len(), agent.composer().text().as_str()), (0, "a\n"));
}

#[test]
fn a_report_is_made_of_a_message_that_says_so() {
    for (message, found) in [
        ("report: all done", Some(("done", "all done"))),
        ("report blocked: which\none?", Some(("blocked", "which\none?"))),
        ("report to me: x", None),
        ("reports are: x", None),
        ("a report: x", None),
        ("report", None),
    ] {
        assert_eq!(report(message), found, "{message}");
    }
    let (mut agent, now) = agent(Ways { report: true, ..Ways::default() });
    paste(&mut agent, "report: x", now);
    agent.effects();
    agent.tick(now + LATER);
    assert_eq!(agent.effects(), [Effect::Report { status: "done".into(), text: "x".into() }]);
}

#[test]
fn keys_that_end_it_end_it_only_from_an_empty_prompt() {
    let (mut agent, now) = agent(Ways::default());
    for key in [Key::Text("x".into()), Key::End, Key::Interrupt] {
        agent.key(key, now);
        assert_eq!(agent.phase(), &Phase::Idle { turns: false });
    }
    agent.key(Key::End, now);
    assert_eq!(agent.phase(), &Phase::Gone(0));
}

#[test]
fn a_long_text_is_answered_with_its_length() {
    assert_eq!(bounded("short"), "short");
    let long = format!("{}\nend", "x".repeat(5000));
    assert_eq!(bounded(&long), format!("{}…\n5004 bytes, 2 lines in all", "x".repeat(200)));
}
