//! What the demo plays: each act calls tools as a host would, shows what they answer, and checks it.

use std::{process::Stdio, time::Duration};

use serde_json::{Value, json};

use super::{stage::Stage, teller::Teller};
use crate::cli::{
    client::{Answer, Client},
    fail::Fail,
    out::word,
};

/// The terminals' size.
const ROWS: u16 = 10;
const COLS: u16 = 66;
/// For every wait; far more than is needed.
const TIMEOUT_MS: u64 = 20_000;
/// What a server may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(3);

/// All of it, in order.
pub(super) async fn play(stage: &Stage, teller: &mut Teller) -> Result<(), Fail> {
    teller.step("An MCP host starts compere, and asks which tools there are")?;
    let mut server = stage.compere().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (Some(from), Some(to)) = (server.stdout.take(), server.stdin.take()) else {
        return Err(Fail::Said("the server was started without standard streams".into()));
    };
    let played = Host { client: Client::host(from, to).await?, stage, teller }.play().await;
    // It ends with its standard input; if not, it is killed here.
    let _ = tokio::time::timeout(ENDS_WITHIN, server.wait()).await;
    played
}

struct Host<'a> {
    client: Client,
    stage: &'a Stage,
    teller: &'a mut Teller,
}

impl Host<'_> {
    async fn play(mut self) -> Result<(), Fail> {
        let played = self.acts().await;
        self.client.close().await;
        played
    }

    async fn acts(&mut self) -> Result<(), Fail> {
        self.tools().await?;
        let shell = self.shell().await?;
        let screen = self.full_screen().await?;
        let nested = self.report().await?;
        self.person(&[&shell, &screen, &nested]).await?;
        let flood = self.flood().await?;
        self.stop(&[&shell, &screen, &nested, &flood]).await
    }

    async fn tools(&mut self) -> Result<(), Fail> {
        let tools = self.client.tools().await?;
        self.teller.note(&tools.join(", "))?;
        let all = crate::tools::list();
        expect(tools.len() == all.len(), "every tool is there", &tools.join(", "))
    }

    async fn shell(&mut self) -> Result<String, Fail> {
        self.teller.step("It spawns a shell, in a terminal of its own")?;
        let shell = self.spawn(json!({"command": ["sh"], "name": "shell", "env": {"PS1": "$ "}})).await?;

        self.teller.step("It types into it, waits until it is done, and reads the screen")?;
        let receipt = self
            .call("send_message_to", json!({"to": "shell", "message": "echo the answer is $((6 * 7))"}))
            .await?;
        let receipt = receipt.into_record();
        self.teller.note(&format!(
            "{}, what it writes is after offset {}",
            word(&receipt, "status"),
            receipt["offset"]
        ))?;
        expect(word(&receipt, "status") == "typed", "the message is typed", &receipt.to_string())?;
        let woke = self.wait(json!([{"child": "shell", "is": "idle"}])).await?;
        self.teller.note(&format!("idle after {} ms ({})", woke["waited_ms"], word(&woke, "why")))?;
        expect(word(&woke, "woke") == "idle", "it becomes idle", &woke.to_string())?;
        self.screen("shell", "the answer is 42").await?;
        Ok(shell)
    }

    async fn full_screen(&mut self) -> Result<String, Fail> {
        self.teller.step("It spawns a full-screen program, looks, presses a key, and looks again")?;
        let child =
            self.spawn(json!({"command": [self.stage.exe(), "demo-screen"], "name": "screen"})).await?;
        let drawn = json!([{"child": "screen", "matches": "keys pressed: 0"}]);
        let woke = self.wait(drawn).await?;
        expect(word(&woke, "woke") == "match", "it draws its box", &woke.to_string())?;
        self.screen("screen", "keys pressed: 0").await?;
        self.call("send_keys", json!({"to": "screen", "keys": ["x"]})).await?;
        let woke = self.wait(json!([{"child": "screen", "matches": "keys pressed: 1"}])).await?;
        expect(word(&woke, "woke") == "match", "it sees the key", &woke.to_string())?;
        self.screen("screen", "the last: 'x'").await?;
        Ok(child)
    }

    async fn report(&mut self) -> Result<String, Fail> {
        self.teller
            .step("A child works on its own and reports; the report ends the wait of whoever spawned it")?;
        let nested = self.spawn(json!({"command": ["sh"], "name": "worker", "env": {"PS1": "$ "}})).await?;
        let says = "12 of 12 checks pass";
        let exe = self.stage.exe().display().to_string().replace('\'', r"'\''");
        let message = format!("'{exe}' report done '{says}'");
        self.teller.call(
            "timer_wait",
            "{\"until\": [{\"report\": true}]}   (and meanwhile, in the worker: compere report done …)",
        )?;
        let wait = json!({"timeout_ms": TIMEOUT_MS, "until": [{"report": true}]});
        let (woke, sent) = tokio::join!(
            self.client.ask("timer_wait", wait),
            self.client.ask("send_message_to", json!({"to": "worker", "message": message})),
        );
        sent?;
        let woke = woke?.into_record();
        let report = &woke["reports"][0];
        self.teller.note(&format!(
            "{} from {} {} ended the wait after {} ms: {} \"{}\"",
            word(&woke, "woke"),
            word(report, "from"),
            word(report, "name"),
            woke["waited_ms"],
            word(report, "status"),
            word(report, "message"),
        ))?;
        let told = word(report, "message") == says && word(report, "status") == "done";
        expect(told && word(report, "from") == nested, "the report ends the wait", &woke.to_string())?;
        Ok(nested)
    }

    async fn person(&mut self, children: &[&str]) -> Result<(), Fail> {
        self.teller.step("A person looks at the same company from another terminal: compere ls")?;
        let output = self.stage.compere().arg("ls").output().await?;
        let list = String::from_utf8_lossy(&output.stdout).into_owned();
        self.teller.note(list.trim_end())?;
        let all = children.iter().all(|child| list.contains(child));
        expect(output.status.success() && all, "everyone is listed", &String::from_utf8_lossy(&output.stderr))
    }

    async fn flood(&mut self) -> Result<String, Fail> {
        self.teller
            .step("A child writes more than is kept; what is lost is told, and the rest is read by offset")?;
        let lines = 250_000;
        let flood = self.spawn(json!({"command": ["seq", lines.to_string()], "name": "flood"})).await?;
        let woke = self.wait(json!([{"child": "flood", "is": "exited"}])).await?;
        expect(word(&woke, "woke") == "exited", "it ends", &woke.to_string())?;
        let read = self
            .call("read_output", json!({"child": "flood", "mode": "stream", "since": 0, "max_bytes": 60}))
            .await?;
        let (dropped, next) = (figure(&read, "dropped"), figure(&read, "next"));
        self.teller.note(&read.text())?;
        expect(dropped > 0, "bytes were dropped", &read.text())?;
        let read = self
            .call("read_output", json!({"child": "flood", "mode": "stream", "since": next, "max_bytes": 30}))
            .await?;
        self.teller.note(&read.text())?;
        expect(figure(&read, "from") == next, "reading goes on where it ended", &read.text())?;
        let read =
            self.call("read_output", json!({"child": "flood", "mode": "stream", "since": -24})).await?;
        self.teller.note(&read.text())?;
        expect(read.text().contains(&lines.to_string()), "the end is there", &read.text())?;
        Ok(flood)
    }

    async fn stop(&mut self, children: &[&str]) -> Result<(), Fail> {
        self.teller.step("It stops them all, with everything they started")?;
        for child in children {
            let stopped = self.call("stop", json!({"child": child, "grace_ms": 300})).await?.into_record();
            self.teller.note(&format!("ended: {}, left: {}", stopped["exit"], stopped["left"]))?;
            expect(stopped["left"] == json!([]), "nothing of it is left", &stopped.to_string())?;
        }
        let list = self.client.ask("list_children", json!({})).await?.into_record();
        let live = &list["limits"]["all"]["live"];
        expect(*live == json!(0), "nobody lives", &list.to_string())
    }

    async fn spawn(&mut self, mut wish: Value) -> Result<String, Fail> {
        self.teller.call("spawn", &wish.to_string())?;
        wish["rows"] = ROWS.into();
        wish["cols"] = COLS.into();
        let child = self.client.ask("spawn", wish).await?.into_record();
        self.teller.note(&format!(
            "{} {}, process {}",
            word(&child, "child"),
            word(&child, "name"),
            child["pid"]
        ))?;
        Ok(word(&child, "child").to_owned())
    }

    /// Calls a tool, and shows the call.
    async fn call(&mut self, tool: &str, arguments: Value) -> Result<Answer, Fail> {
        self.teller.call(tool, &arguments.to_string())?;
        self.client.ask(tool, arguments).await
    }

    async fn wait(&mut self, until: Value) -> Result<Value, Fail> {
        self.teller.call("timer_wait", &json!({"until": until}).to_string())?;
        let wait = json!({"timeout_ms": TIMEOUT_MS, "until": until});
        Ok(self.client.ask("timer_wait", wait).await?.into_record())
    }

    /// Shows a child's screen, which must have this on it.
    async fn screen(&mut self, child: &str, shows: &str) -> Result<(), Fail> {
        let read = self.call("read_output", json!({"child": child})).await?;
        let read = read.text();
        // The first line has the figures.
        let lines: Vec<&str> = read.lines().skip(1).collect();
        self.teller.screen(child, &lines, COLS.into())?;
        expect(lines.iter().any(|line| line.contains(shows)), &format!("the screen shows {shows:?}"), &read)
    }
}

/// A figure of a long answer.
fn figure(result: &Answer, name: &str) -> u64 {
    result.figure(name).unwrap_or(0)
}

fn expect(met: bool, what: &str, instead: &str) -> Result<(), Fail> {
    if met { Ok(()) } else { Err(Fail::Said(format!("the demo expected that {what}; instead: {instead}"))) }
}
