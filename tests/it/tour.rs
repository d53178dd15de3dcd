//! docs/TOUR.md, followed word for word by a person at a real terminal.

use crate::support::{COMPERE, Real, terminal::Terminal};

const TOUR: &str = include_str!("../../docs/TOUR.md");

/// What the page tells its reader.
#[derive(Debug, PartialEq)]
enum Step<'a> {
    Command(&'a str),
    Press(&'a str),
    Type(&'a str),
    Shown(&'a str),
}

/// All that is in code on the page, by what is said before it. What is only talked about is in code, too.
fn steps(page: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    for line in page.lines() {
        if let Some(command) = line.strip_prefix("    ") {
            steps.push(Step::Command(command));
            continue;
        }
        let parts: Vec<&str> = line.split('`').collect();
        let mut verb = "";
        for pair in parts.chunks_exact(2) {
            let (before, code) = (pair[0].trim(), pair[1]);
            // Several keys in a row have one word before them.
            if !before.is_empty() {
                verb = before.rsplit(' ').next().unwrap_or_default();
            }
            match verb {
                "Press" => steps.push(Step::Press(code)),
                "Type" => steps.push(Step::Type(code)),
                "Shown:" => steps.push(Step::Shown(code)),
                _ => {}
            }
        }
    }
    steps
}

#[test]
fn a_page_is_read_as_a_person_reads_it() {
    let page = "Do `this`:\n\n    ls -l\n\nPress `C-]` `d`. Shown: `left`. You may `not`.\nType `x y`. Press `Enter`.";
    let read = [
        Step::Command("ls -l"),
        Step::Press("C-]"),
        Step::Press("d"),
        Step::Shown("left"),
        Step::Type("x y"),
        Step::Press("Enter"),
    ];
    assert_eq!(steps(page), read);
}

#[tokio::test]
async fn the_tour_is_as_it_is_told() {
    let real = Real::new();
    let bin = real.home().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(COMPERE, bin.join("compere")).unwrap();
    let terminal = Terminal::new(&real, 100, 28).await;
    terminal.enters(&format!("PATH={}:$PATH; PS1='$ '; clear", bin.display()));
    terminal.shows(|shown| shown == "$").await;
    let steps = steps(TOUR);
    assert!(steps.len() > 30, "{steps:?}");
    for step in steps {
        match step {
            Step::Command(line) => {
                terminal.enters(line);
            }
            Step::Press(key) | Step::Type(key) => terminal.keys(key),
            Step::Shown(text) => drop(terminal.has(text).await),
        }
    }
}
