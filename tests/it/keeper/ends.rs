//! How children and keepers end, and what is left of them.

use super::*;

#[test]
fn without_anyone_connected_it_ends_as_well_and_leaves_its_record() {
    let kept = Kept::sh("echo hello; exit 3");
    let child = kept.child;
    let record = kept.ended();
    assert_eq!((record.exit, record.child_pid), (Some(Exit::Code(3)), child.as_raw_nonzero().get()));
    assert_eq!(record.read(Offset(0), 100).unwrap(), (Offset(0), b"hello\r\n".to_vec()));
}

#[test]
fn a_signal_that_ended_it_is_told() {
    let kept = Kept::sh("read x; kill -KILL $$");
    let mut client = kept.client();
    client.type_in("\n");
    assert_eq!(client.exited(), Exit::Signal(9));
    assert_eq!(kept.ended().exit, Some(Exit::Signal(9)));
}

#[test]
fn the_end_of_every_listener_is_not_the_childs() {
    let kept = Kept::sh("echo ready; read x; echo got $x; exit 5");
    let mut follower = kept.follower();
    follower.sees("ready");
    drop(follower);
    for signal in [Signal::HUP, Signal::INT, Signal::TERM, Signal::PIPE, Signal::QUIT, Signal::USR1] {
        rustix::process::kill_process(kept.keeper, signal).unwrap();
    }
    let mut follower = kept.follower();
    follower.client.type_in("this\n");
    assert_eq!(follower.exited(), Exit::Code(5));
    assert!(follower.text().contains("got this"));
}

#[test]
fn the_exit_is_known_while_a_grandchild_holds_the_terminal() {
    for grandchild in ["setsid sh -c 'echo up; exec sleep 1000'", "(trap '' HUP; echo up; exec sleep 1000)"] {
        let kept = Kept::sh(&format!("{grandchild} & read x; echo started; exit 3"));
        let mut follower = kept.follower();
        follower.sees("up");
        follower.client.type_in("\n");
        assert_eq!(follower.exited(), Exit::Code(3));
        assert!(follower.text().contains("started"));
        let left = kept.client().processes();
        assert_eq!(left.len(), 1, "{grandchild}");
        assert!(!left.contains(&kept.child.as_raw_nonzero().get()));

        // Who comes later is told as well, after the output.
        let mut late = kept.follower();
        assert_eq!(late.exited(), Exit::Code(3));
        assert!(late.text().contains("started"));
        late.client.type_in("x");
        late.client.until(|event| match event {
            Event::Refused { id: 99, reason } => {
                assert_eq!(reason, "child is gone");
                Some(())
            }
            _ => None,
        });

        follower.client.send(&Request::Signal { signal: 9, whom: Whom::Tree });
        assert!(follower.client.find(|_| None::<()>).is_none());
        assert!(!runs(Pid::from_raw(left[0]).unwrap()));
        assert_eq!(kept.ended().exit, Some(Exit::Code(3)));
    }
}

#[test]
fn a_kill_of_the_tree_leaves_nothing_of_it() {
    let fork = "setsid sh -c 'while :; do setsid sleep 1000 & setsid sleep 0.01; done'";
    let kept = Kept::sh(&format!("{fork} & {fork} & echo started; exec sleep 1000"));
    let mut follower = kept.follower();
    follower.sees("started");
    eventually(|| kept.client().processes().len() > 20);
    let before = kept.client().processes();
    follower.client.send(&Request::Signal { signal: 9, whom: Whom::Tree });
    assert_eq!(follower.exited(), Exit::Signal(9));
    follower.eof();
    assert_eq!(kept.ended().exit, Some(Exit::Signal(9)));
    assert!(before.into_iter().all(|pid| !runs(Pid::from_raw(pid).unwrap())));
}

#[test]
fn a_group_is_signalled_with_those_in_the_foreground() {
    let kept = Kept::sh("trap 'echo caught; exit 7' TERM; echo ready; while :; do sleep 1000 & wait; done");
    let mut follower = kept.follower();
    follower.sees("ready");
    // No signals of such numbers; nobody is hurt.
    follower.client.send(&Request::Signal { signal: 0, whom: Whom::Group });
    follower.client.send(&Request::Signal { signal: -9, whom: Whom::Tree });
    follower.client.send(&Request::Signal { signal: 15, whom: Whom::Group });
    assert_eq!(follower.exited(), Exit::Code(7));
    assert!(follower.text().contains("caught"));
}

#[test]
fn what_a_killed_keeper_held_is_read_from_its_file() {
    let mut kept = Kept::sh("seq 1 300000; echo end; read x");
    let all = lines(300_000) + "end\r\n";
    let mut client = kept.client();
    eventually(|| client.end() == Offset(all.len() as u64));
    assert!(Ring::is_kept(&kept.ring()).unwrap());
    kept.process.kill().unwrap();
    assert_eq!(kept.process.wait().unwrap().signal(), Some(9));

    assert!(!Ring::is_kept(&kept.ring()).unwrap());
    let record = Ring::open(&kept.ring()).unwrap();
    assert_eq!((record.exit, record.eof), (None, false));
    assert_eq!(record.child_pid, kept.child.as_raw_nonzero().get());
    let (from, bytes) = record.read(Offset(0), usize::MAX).unwrap();
    assert!(bytes.len() == 1 << 20 && bytes == all.as_bytes()[from.0 as usize..]);
    eventually(|| !runs(kept.child));
}

#[test]
fn a_keeper_killed_while_it_writes_leaves_a_whole_ring() {
    let mut kept = Kept::sh("seq 1 100000000");
    let mut client = kept.client();
    eventually(|| client.end().0 > 3 << 20);
    kept.process.kill().unwrap();
    kept.process.wait().unwrap();
    let record = Ring::open(&kept.ring()).unwrap();
    let (from, bytes) = record.read(Offset(0), usize::MAX).unwrap();
    assert_eq!((from, bytes.len()), (record.start, 1 << 20));
    let text = String::from_utf8(bytes).unwrap();
    let mut numbers = text.split("\r\n").skip(1).peekable();
    while let (Some(one), Some(next)) = (numbers.next(), numbers.peek()) {
        let expected = (one.parse::<u32>().unwrap() + 1).to_string();
        // The last may be cut.
        assert!(*next == expected || expected.starts_with(next.trim_end()), "{one} {next}");
    }
}
