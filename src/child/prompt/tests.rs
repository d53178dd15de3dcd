//! Questions as programs draw them.

use super::*;

fn prompt(text: &str) -> Prompt {
    Prompt::read(&Place { screen: text, at: (0, text.len()), ..Place::default() })
}

/// The choices in a line each: `>` for the selected one, its key, its text.
fn choices(prompt: &Prompt) -> String {
    let line = |choice: &Choice| {
        let mark = if choice.selected { ">" } else { " " };
        format!("{mark}{} {}", choice.key.as_deref().unwrap_or("-"), choice.text)
    };
    prompt.choices.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let found = choices(&prompt(text));
    assert_eq!(found, expected.join("\n"), "{text}");
}

#[test]
fn choices_are_recognised_as_programs_write_them() {
    check("Go on?\n 1. Yes\n 2. No", &[" 1 Yes", " 2 No"]);
    check(
        "Go on?\n❯ 1. Yes\n  2. No, and tell it why\n     in a word (esc)",
        &[">1 Yes", " 2 No, and tell it why in a word (esc)"],
    );
    check("│ › 1. Yes, proceed (y)   │\n│   3. No   │\n press enter", &[">1 Yes, proceed (y)", " 3 No"]);
    check(
        "(checked) 1. Allow once\n2. Allow for this session\n3. No",
        &[">1 Allow once", " 2 Allow for this session", " 3 No"],
    );
    check("Do it?\n● Yes\n○ No", &[">- Yes", " - No"]);
    check("Do it?\n\n  Yes\n❯ No\n\nenter confirms", &[" - Yes", ">- No"]);
    check("y. Yes, I trust it\nn. No, exit\nEnter y/n:", &[" y Yes, I trust it", " n No, exit"]);
    check("Overwrite? [y/N] ", &[" y yes", ">n no"]);
    check("Overwrite (yes/no)?", &[" yes yes", " no no"]);
    check("Continue? (Y/n) _", &[">y yes", " n no"]);
    // The last list is the choices; an earlier one is what it is about.
    check("It will:\n1. copy\n2. delete\n\n1) Yes\n2) No", &[" 1 Yes", " 2 No"]);
    // No choices.
    check("Enter the password:", &[]);
    check("and/or maybe either/or", &[]);
    check("› Ask anything", &[]);
    check("version\n 2. is out", &[]);
}

/// Backgrounds of whole pieces of a text.
fn shades(text: &str, pieces: &[(&str, u16)]) -> Vec<Shade> {
    let (mut shades, mut at) = (Vec::new(), 0);
    for (piece, ground) in pieces {
        let begin = at + text[at..].find(piece).unwrap();
        shades.push(Shade { at: at..begin, ground: 0 });
        shades.push(Shade { at: begin..begin + piece.len(), ground: *ground });
        at = begin + piece.len();
    }
    shades.push(Shade { at: at..text.len(), ground: 0 });
    shades
}

#[test]
fn the_selected_choice_is_the_one_on_another_background() {
    let row = "   Allow once   Allow always   Reject";
    let text = format!("Permission\n{row}    select");
    let from = text.find(row).unwrap();
    let read = |pieces: &[(&str, u16)]| {
        let shades = shades(&text, pieces);
        let row = Some((from, from + row.len()));
        Prompt::read(&Place { screen: &text, at: (0, text.len()), row, shades: &shades, says: None })
    };
    let (first, last) = (read(&[(" Allow once ", 7)]), read(&[(" Reject ", 7)]));
    assert_eq!(choices(&first), ">- Allow once\n - Allow always\n - Reject");
    assert_eq!(choices(&last), " - Allow once\n - Allow always\n>- Reject");
    assert_eq!(first.text, last.text);
    assert_ne!(first.hash, last.hash, "Enter would answer something else");
    let two = "Sure?\n  Yes\n  No\n";
    let listed = |selected| {
        let shades = shades(two, &[(selected, 7)]);
        let at = (0, two.len());
        let row = Some((two.find("  Yes").unwrap(), two.len()));
        choices(&Prompt::read(&Place { screen: two, at, row, shades: &shades, says: None }))
    };
    assert_eq!(listed("Yes"), ">- Yes\n - No");
    assert_eq!(listed("No"), " - Yes\n>- No");
}

#[test]
fn a_hash_stays_as_long_as_the_question_does() {
    let same = |one: &str, other: &str| assert_eq!(prompt(one).hash, prompt(other).hash, "{one:?} {other:?}");
    same("⠋ Run it?\n1. Yes", "⠹ Run it?\n1. Yes");
    same("Run it? ▌\n1. Yes", "Run it?\n1. Yes");
    same("Name: _", "Name: ");
    same(
        "Run it?\n1. Yes\n◐ waiting (esc to cancel, 3s)",
        "Run it?\n1. Yes\n◓ waiting (esc to cancel, 1m 20s)",
    );
    same("Run it?                12:00:01\n1. Yes", "Run it?                12:00:59\n1. Yes");
    same("Run it?\n1. Yes\n  (4s)", "Run it?\n1. Yes\n  (15s)");
    same("╭────╮\n│ Run it? │\n╰────╯", "Run it?");
    same("Run  it?\n\n\n1. Yes", " Run it?\n 1. Yes");
}

#[test]
fn another_question_has_another_hash() {
    let differ =
        |one: &str, other: &str| assert_ne!(prompt(one).hash, prompt(other).hash, "{one:?} {other:?}");
    differ("Run it?\n❯ 1. Yes\n  2. No", "Run it?\n  1. Yes\n❯ 2. No");
    differ("Run it?\n1. Yes\n2. No", "Run it?\n1. Yes\n2. Never");
    for (one, other) in [
        ("rm -rf /", "rm -rf"),
        ("rm -rf .", "rm -rf /"),
        ("sleep 5s", "sleep 6s"),
        ("sleep   5s", "sleep   6s"),
        ("at 12:00", "at 13:00"),
        ("touch a_", "touch a"),
        ("a | b", "a \\ b"),
        ("kill -9 12", "kill -9 13"),
    ] {
        differ(&format!("Run it?\n  {one}\n1. Yes"), &format!("Run it?\n  {other}\n1. Yes"));
    }
    let says =
        |says| Prompt::read(&Place { screen: "Go?", at: (0, 3), says: Some(says), ..Place::default() });
    assert_ne!(says("approve Bash: ls").hash, says("approve Bash: rm").hash);
}

#[test]
fn the_text_is_the_questions_own_and_bounded() {
    let framed =
        "\n╭──────────╮\n│ Run this?  │\n│            │\n│            │\n│   $ ls     │\n╰──────────╯\n";
    assert_eq!(prompt(framed).text, "Run this?\n\n  $ ls");
    let says =
        Place { screen: "Run?\n1. Yes", at: (0, 11), says: Some("approve Bash: ls"), ..Place::default() };
    assert_eq!(Prompt::read(&says).text, "approve Bash: ls\n\nRun?\n1. Yes");
    let long = format!("first\n{}\n1. Yes\n2. No", "é".repeat(9000));
    let read = prompt(&long);
    assert_eq!(read.text.chars().count(), Prompt::MAX);
    assert!(read.text.starts_with("first\n") && read.text.ends_with("1. Yes\n2. No"));
    assert!(read.text.contains("\n[…]\n"));
    assert_ne!(read.hash, prompt(&long.replacen("éé", "e", 1)).hash, "all of it counts");
    assert_eq!(prompt("").text, "");
    let many = (1..90).map(|n| format!("{n}. x\n")).collect::<String>();
    assert!(prompt(&many).choices.len() <= 20);
}

#[test]
fn only_its_place_on_the_screen_is_read() {
    let screen = "1. an answer\n2. of a model\nRun?\n1. Yes\n2. No\n$";
    let at = (screen.find("Run").unwrap(), screen.find("\n$").unwrap());
    let read = Prompt::read(&Place { screen, at, ..Place::default() });
    assert_eq!(read.text, "Run?\n1. Yes\n2. No");
    assert_eq!(choices(&read), " 1 Yes\n 2 No");
    assert_eq!(
        Prompt::read(&Place { screen, at: (3, 900), ..Place::default() }).text,
        "",
        "and never beyond it"
    );
}
