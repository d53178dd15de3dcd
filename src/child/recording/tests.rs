//! Recordings, good and bad, line by line.

use super::*;

const V2: &str = "{\"version\": 2, \"width\": 80, \"height\": 24}\n";
const V3: &str = "{\"version\": 3, \"term\": {\"cols\": 80, \"rows\": 24}, \"command\": \"sh\"}\n";

fn read(text: &[u8]) -> Result<Vec<Moment>, BadRecording> {
    let mut recording = Recording::new(text)?;
    let mut moments = Vec::new();
    while let Some(moment) = recording.moment()? {
        moments.push(moment);
    }
    Ok(moments)
}

fn moment(ms: u64, what: Happened) -> Moment {
    Moment { at: Duration::from_millis(ms), what }
}

#[test]
fn both_versions_are_read() {
    let events =
        "[0.5, \"o\", \"a\"]\n\n[1.5, \"i\", \"b\"]\n[1.5, \"r\", \"100x50\"]\n[2, \"m\", \"mark\"]\n";
    let what = || {
        let size = Size { rows: 50, cols: 100 };
        [Happened::Output("a".into()), Happened::Input("b".into()), Happened::Resized(size), Happened::Other]
    };
    let moments = read(format!("{V2}{events}").as_bytes()).unwrap();
    let at = [500, 1500, 1500, 2000];
    assert_eq!(moments, at.into_iter().zip(what()).map(|(at, what)| moment(at, what)).collect::<Vec<_>>());
    let moments = read(format!("{V3}# a comment\n{events}[0.25, \"x\", \"3\"]").as_bytes()).unwrap();
    let at = [500, 2000, 3500, 5500, 5750];
    let what = what().into_iter().chain([Happened::Exited(3)]);
    assert_eq!(moments, at.into_iter().zip(what).map(|(at, what)| moment(at, what)).collect::<Vec<_>>());
    let recording = Recording::new(V3.as_bytes()).unwrap();
    assert_eq!((recording.size(), recording.command()), (Size { rows: 24, cols: 80 }, Some("sh")));
    assert_eq!(read(V2.as_bytes()).unwrap(), []);
}

#[track_caller]
fn refused(text: &[u8], line: usize, why: &str) {
    let error = read(text).unwrap_err();
    assert!(error.line == line && error.to_string().contains(why), "{error}");
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    refused(b"", 1, "not the header of an asciicast");
    refused(b"hello\n", 1, "not the header of an asciicast");
    refused(b"{\"version\": 1, \"width\": 80, \"height\": 24}\n", 1, "version 1 is neither 2 nor 3");
    refused(b"{\"version\": 2}\n", 1, "it has no size");
    refused(b"{\"version\": 2, \"width\": -1, \"height\": 24}\n", 1, "not the header");
    refused(b"\xff\xfe\n", 1, "not UTF-8");
    let after = |line: &[u8]| [V2.as_bytes(), b"[1, \"o\", \"x\"]\n", line].concat();
    refused(&after(b"[2, \"o\"]"), 3, "it is not an event");
    refused(&after(b"[2, \"o\", \"a\\ud800\"]"), 3, "it is not an event");
    refused(&after(b"[2, \"o\", {}]"), 3, "no text");
    refused(&after(b"[0.5, \"o\", \"x\"]"), 3, "back in time");
    refused(&after(b"[-1, \"o\", \"x\"]"), 3, "-1 is no time");
    refused(&after(b"[1e300, \"o\", \"x\"]"), 3, "is no time");
    refused(&after(b"[1e9, \"o\", \"x\"]"), 3, "is no time");
    refused(&after(b"[2, \"r\", \"80\"]"), 3, "\"80\" is no size");
    refused(&after(b"[2, \"x\", \"nine\"]"), 3, "no exit code");
    refused(&after(b"[2, \"o\", \"cut of"), 3, "it is not an event");
    refused(&after("[2, \"o\", \"é".as_bytes()), 3, "it is not an event");
    refused(&after(&vec![b' '; LINE + 1]), 3, "longer than 4194304 bytes");
    let nested = "[".repeat(100_000);
    refused(&after(nested.as_bytes()), 3, "it is not an event");
}

#[test]
fn no_size_is_beyond_what_a_terminal_has() {
    let header = "{\"version\": 2, \"width\": 99999999999, \"height\": 0}\n";
    assert_eq!(Recording::new(header.as_bytes()).unwrap().size(), Size { rows: 1, cols: 1000 });
}
