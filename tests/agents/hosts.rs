//! Real agents as hosts: compere is added to each by the README's own line, is found by it, and is used by it to run
//! other real agents, two generations deep.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    bench::Bench,
    cells::{Cell, Try},
    judge::Verdict,
    model::Event,
    programs::{PROGRAMS, Program},
    stage::Stage,
};

/// A whole chain takes no longer.
const CHAIN: Duration = Duration::from_secs(150);
/// A host starts, asks its model twice and ends.
const RUN: Duration = Duration::from_secs(60);

/// What is tried.
pub(crate) const CELLS: [Cell; 5] = [
    Cell { name: "host: added by the README's line", fits: is_host, run: added },
    Cell { name: "chain: headless, two helpers", fits: orchestrates, run: two_helpers },
    Cell { name: "chain: in a terminal, two helpers", fits: orchestrates, run: two_helpers_in_a_terminal },
    Cell { name: "chain: two generations", fits: orchestrates, run: two_generations },
    Cell { name: "chain: a report is typed to who does not wait", fits: orchestrates, run: typed_report },
];

fn is_host(program: Program) -> bool {
    !program.host.is_empty()
}

fn orchestrates(program: Program) -> bool {
    ["claude", "codex"].contains(&program.name)
}

/// What the README says to a user of this program: a command, or something for a file of it.
fn readme(program: Program) -> Result<String, String> {
    let readme = include_str!("../../README.md");
    let name = match program.name {
        "claude" => "Claude Code",
        "codex" => "Codex",
        "gemini" => "Gemini CLI",
        "qwen" => "Qwen Code",
        other => other,
    };
    let row = readme.lines().find_map(|line| line.strip_prefix(&format!("| {name} | ")));
    let row = row.ok_or_else(|| format!("the README's table has no {name}"))?;
    // A command, or what stands after the name of a file.
    let quoted: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
    let line = quoted.iter().find(|line| line.contains(' ')).ok_or("the README's line has no command")?;
    Ok((*line).to_owned())
}

/// Adds compere to the program, as the README says.
fn add(stage: &Stage, program: Program) -> Result<(), String> {
    let line = readme(program)?;
    if line.starts_with('{') {
        let file =
            if program.name == "qwen" { ".qwen/settings.json" } else { ".config/opencode/opencode.json" };
        let file = stage.home().join(file);
        let text = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
        let mut config: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let more: Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
        for (name, value) in more.as_object().into_iter().flatten() {
            config[name] = value.clone();
        }
        return std::fs::write(file, config.to_string()).map_err(|error| error.to_string());
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut command = stage.command(words[0]);
    command.args(&words[1..]);
    run(command, RUN).map(drop).map_err(|why| format!("{line}: {why}"))
}

/// Runs a command to its end; answers its output, or that and how it failed.
fn run(mut command: Command, within: Duration) -> Result<String, String> {
    let output = tempfile::tempfile().map_err(|error| error.to_string())?;
    let also = output.try_clone().map_err(|error| error.to_string())?;
    command.stdin(Stdio::null()).stdout(output.try_clone().map_err(|error| error.to_string())?).stderr(also);
    let mut process = command.spawn().map_err(|error| error.to_string())?;
    let deadline = std::time::Instant::now() + within;
    let status = loop {
        match process.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break Some(status),
            None if std::time::Instant::now() > deadline => {
                let _ = process.kill();
                let _ = process.wait();
                break None;
            }
            None => std::thread::park_timeout(Duration::from_millis(50)),
        }
    };
    let text = {
        use std::io::{Read, Seek};
        let mut text = Vec::new();
        let mut output = output;
        let _ = output.rewind();
        let _ = output.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    };
    match status {
        Some(status) if status.success() => Ok(text),
        Some(status) => Err(format!("{status}: {text}")),
        None => Err(format!("not within {within:?}: {text}")),
    }
}

/// A message that tells the model this.
fn tell(mark: &str, steps: &[String]) -> String {
    format!("{mark} [[{}]]", steps.join(" ;; "))
}

fn call(tool: &str, arguments: &Value) -> String {
    format!("call {tool} {arguments}")
}

/// Runs the program as a host without a terminal, with this prompt.
fn headless(bench: &mut Bench, stage: &Stage, prompt: &str, within: Duration) -> Result<String, String> {
    let words = bench.program.host;
    let mut command = stage.command(words[0]);
    command.args(&words[1..]).arg(prompt);
    let output = run(command, within);
    bench.note(format!("its output: {output:?}"));
    output
}

/// All that tools have answered to this program.
fn results(bench: &Bench, stage: &Stage, program: &str, from: usize) -> Vec<String> {
    let who = stage.who(program);
    let results = bench.stage.model.all(from, |event| event.is(&who, "result"));
    results.into_iter().map(|event| event.text).collect()
}

/// What each of these words lacks among the results.
fn missing(results: &[String], wanted: &[(&str, String)]) -> Vec<String> {
    let lacks = |(_, words): &&(&str, String)| !results.iter().any(|result| result.contains(words.as_str()));
    wanted.iter().filter(lacks).map(|(what, _)| (*what).to_owned()).collect()
}

/// Ends the stage; what that finds out is worth as much as what was tried on it.
fn judged(bench: &mut Bench, stage: Stage, problems: Vec<String>) -> Try {
    if !problems.is_empty() {
        let log = stage.person(&["log"]);
        let list = stage.person(&["ls"]);
        bench.note(format!("log:\n{}\n{}", log.unwrap_or_default(), list.unwrap_or_default()));
    }
    let ended = stage.end();
    if !problems.is_empty() {
        return Ok(Verdict::Wrong(problems.join("; ")));
    }
    ended.map(|()| Verdict::Arrived)
}

/// The host knows all tools, and can use one.
fn added(bench: &mut Bench) -> Try {
    let (model, program) = (bench.stage.model, bench.program);
    let stage = Stage::new(model, &[program])?;
    add(&stage, program)?;
    let (mark, from, who) = (bench.mark(), model.now(), stage.who(program.name));
    let prompt = tell(&mark, &[call("list_children", &json!({})), "say seen".into()]);
    let ran = headless(bench, &stage, &prompt, RUN);
    let told: Vec<Event> = model.all(from, |event| event.is(&who, "tools"));
    bench.note(format!("tools: {told:?}"));
    let names: Vec<&String> = told.iter().flat_map(|event| &event.names).collect();
    let known = |tool: &str| names.iter().any(|name| name.ends_with(tool));
    let all = compere::tools::list();
    let hidden: Vec<&str> = all.iter().map(|tool| &*tool.name).filter(|tool| !known(tool)).collect();
    let results = results(bench, &stage, program.name, from);
    bench.note(format!("results: {results:?}"));
    let mut problems = Vec::new();
    if !hidden.is_empty() {
        problems.push(format!(
            "{} of its tools are not told to the model: {}",
            hidden.len(),
            hidden.join(", ")
        ));
    }
    if !missing(&results, &[("the answer", "spawns_per_minute".into())]).is_empty() {
        problems.push("list_children was not answered".into());
    }
    problems.extend(ran.err());
    judged(bench, stage, problems)
}

/// What an orchestrator is to do with two helpers.
fn with_two_helpers(mark: &str) -> String {
    let helper = |name: &str, preset: &str| {
        let report =
            call("report_to_parent", &json!({"status": "done", "message": format!("{name} {mark} done")}));
        let message = tell(&format!("{mark} {name}"), &[report, format!("say {name} has told")]);
        call("spawn", &json!({"preset": preset, "name": name, "message": message}))
    };
    let wait = |name: &str| {
        let until = json!([{"child": name, "matches": format!("{name} has told")}]);
        call("timer_wait", &json!({"timeout_ms": 60_000, "until": until}))
    };
    let steps = [
        helper("left", "codex"),
        helper("right", "opencode"),
        // The first report, or both.
        call("timer_wait", &json!({"timeout_ms": 90_000})),
        wait("left"),
        wait("right"),
        call("read_reports", &json!({})),
        call("read_output", &json!({"child": "left"})),
        call("read_output", &json!({"child": "right"})),
        call("stop", &json!({"child": "left"})),
        call("stop", &json!({"child": "right"})),
        "say all is done".into(),
    ];
    tell(mark, &steps)
}

/// Whether an orchestrator has seen all that of them.
fn has_seen_two_helpers(results: &[String], mark: &str) -> Vec<String> {
    let mut problems = missing(
        results,
        &[
            ("left's report", format!("left {mark} done")),
            ("right's report", format!("right {mark} done")),
            ("left's screen", "left has told".into()),
            ("right's screen", "right has told".into()),
        ],
    );
    if !results.iter().any(|result| result.contains("\"woke\"") && result.contains("report")) {
        problems.push("a wait that ends with a report".into());
    }
    let stopped = results.iter().filter(|result| {
        let words: String = result.chars().filter(|c| !c.is_whitespace() && *c != '\\').collect();
        words.contains("\"left\":[]")
    });
    if stopped.count() < 2 {
        problems.push("two children that were stopped and left nothing".into());
    }
    if problems.is_empty() { problems } else { vec![format!("it has not seen: {}", problems.join(", "))] }
}

/// The program as a host outside of everything, with two other programs as its children.
fn two_helpers(bench: &mut Bench) -> Try {
    let (model, program) = (bench.stage.model, bench.program);
    let stage = Stage::new(model, &PROGRAMS)?;
    add(&stage, program)?;
    let (mark, from) = (bench.mark(), model.now());
    let ran = headless(bench, &stage, &with_two_helpers(&mark), CHAIN);
    let results = results(bench, &stage, program.name, from);
    bench.note(format!("results: {results:#?}"));
    let mut problems = has_seen_two_helpers(&results, &mark);
    problems.extend(ran.err());
    judged(bench, stage, problems)
}

/// The same in a terminal: as a child, of which compere takes care.
fn two_helpers_in_a_terminal(bench: &mut Bench) -> Try {
    let mark = bench.mark();
    in_a_terminal(bench, &with_two_helpers(&mark), |results| has_seen_two_helpers(results, &mark))
}

/// The program, its child and that one's child, each another program where that is possible.
fn two_generations(bench: &mut Bench) -> Try {
    let mark = bench.mark();
    let (child, grandchild) =
        if bench.program.name == "claude" { ("codex", "opencode") } else { ("claude", "codex") };
    let report = |who: &str| {
        call("report_to_parent", &json!({"status": "done", "message": format!("{who} {mark} done")}))
    };
    let deepest = tell(&format!("{mark} deepest"), &[report("deepest"), "say deepest has told".into()]);
    let middle = [
        call("spawn", &json!({"preset": grandchild, "name": "deepest", "message": deepest})),
        call("timer_wait", &json!({"timeout_ms": 90_000})),
        call("stop", &json!({"child": "deepest"})),
        report("middle"),
        "say middle has told".into(),
    ];
    let middle = tell(&format!("{mark} middle"), &middle);
    let steps = [
        call("spawn", &json!({"preset": child, "name": "middle", "message": middle})),
        call("timer_wait", &json!({"timeout_ms": 120_000})),
        call("list_children", &json!({})),
        call("stop", &json!({"child": "middle"})),
        "say all is done".into(),
    ];
    let seen = |results: &[String]| {
        let lacks = missing(results, &[("the report of its child", format!("middle {mark} done"))]);
        lacks.into_iter().map(|what| format!("it has not seen: {what}")).collect()
    };
    in_a_terminal(bench, &tell(&mark, &steps), seen)
}

/// Runs the program by its preset, gives it this message, and judges what its tools have answered it when it is idle.
fn in_a_terminal(bench: &mut Bench, prompt: &str, seen: impl Fn(&[String]) -> Vec<String>) -> Try {
    let (model, program) = (bench.stage.model, bench.program);
    let stage = Stage::new(model, &PROGRAMS)?;
    let from = model.now();
    let child = stage.spawn(&json!({"preset": program.name, "rows": 40, "cols": 120, "message": prompt}))?;
    let who = stage.who(program.name);
    let deadline = std::time::Instant::now() + CHAIN;
    let mut problems = Vec::new();
    let mut results = results(bench, &stage, program.name, from);
    while !seen(&results).is_empty() && std::time::Instant::now() < deadline {
        model.first(model.now(), Duration::from_secs(1), |event| event.is(&who, "result"));
        results = self::results(bench, &stage, program.name, from);
    }
    problems.extend(seen(&results));
    if problems.is_empty() {
        problems.extend(stage.becomes(&child, "idle", RUN).err());
    }
    bench.note(format!("results: {results:#?}"));
    if !problems.is_empty() {
        for row in ["1", "2", "3"] {
            bench.note(format!("the screen of c{row}:\n{}", stage.screen(&format!("c{row}"))));
        }
    }
    problems.extend(stage.stop(&child).err());
    judged(bench, stage, problems)
}

/// The program does not wait in a call: its child's report is typed to it, once, as a turn of its own.
fn typed_report(bench: &mut Bench) -> Try {
    let (model, program, mark) = (bench.stage.model, bench.program, bench.mark());
    let stage = Stage::new(model, &PROGRAMS)?;
    let (from, who) = (model.now(), stage.who(program.name));
    let report = call("report_to_parent", &json!({"status": "done", "message": format!("left {mark} done")}));
    let message = tell(&format!("{mark} left"), &[report, "say left has told".into()]);
    let steps = [
        call("spawn", &json!({"preset": "codex", "name": "left", "message": message})),
        call("timer_wait", &json!({"timeout_ms": 90_000, "wake": "typed"})),
        "say my turn ends".into(),
    ];
    let prompt = tell(&mark, &steps);
    let child = stage.spawn(&json!({"preset": program.name, "rows": 40, "cols": 120, "message": prompt}))?;
    let words = format!("done: left {mark} done");
    let typed = |event: &Event| event.is(&who, "heard") && event.text.contains(&words);
    let first = model.first(from, CHAIN, typed);
    let mut problems = Vec::new();
    problems.extend(stage.becomes(&child, "idle", RUN).err());
    let times = model.all(from, typed).len();
    if first.is_none() || times != 1 {
        problems.push(format!("its child's report was heard {times} times"));
        bench.note(format!("its screen:\n{}", stage.screen(&child)));
    }
    problems.extend(stage.stop(&child).err());
    judged(bench, stage, problems)
}
