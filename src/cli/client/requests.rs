//! JSON-RPC's requests on one connection, any number at a time: each line out has a number, and the line that comes back
//! with it is its answer. Knows no method.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_util::task::AbortOnDropHandle;

/// The connection.
#[derive(Debug)]
pub(super) struct Requests {
    last: AtomicU64,
    waiting: Waiting,
    /// Lines that are to be written. A task of its own writes them: a caller may leave at any moment, half a line must not.
    to: mpsc::UnboundedSender<Vec<u8>>,
    writer: JoinHandle<()>,
    _reader: AbortOnDropHandle<()>,
}

/// Who waits for which answer; nobody can any more when the connection has ended.
type Waiting = Arc<Mutex<Option<HashMap<u64, oneshot::Sender<Result<Value, String>>>>>>;

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// The other side said no, and why.
    Refused(String),
    /// The connection has ended.
    Over,
}

impl Requests {
    /// Requests go to the one, answers come from the other.
    pub(super) fn over(
        from: Box<dyn AsyncRead + Send + Unpin>,
        to: Box<dyn AsyncWrite + Send + Unpin>,
    ) -> Self {
        let waiting: Waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        let (sender, lines) = mpsc::unbounded_channel();
        let reader = tokio::spawn(hear(from, waiting.clone()));
        let writer = tokio::spawn(say(to, lines));
        let _reader = AbortOnDropHandle::new(reader);
        Requests { last: AtomicU64::new(0), waiting, to: sender, writer, _reader }
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask(&self, method: &str, params: Value) -> Result<Value, Failed> {
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, answer) = oneshot::channel();
        match &mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(waiting) => waiting.insert(id, sender),
            None => return Err(Failed::Over),
        };
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        answer.await.map_err(|_| Failed::Over)?.map_err(Failed::Refused)
    }

    /// Says what wants no answer.
    pub(super) fn tell(&self, method: &str) {
        self.send(&json!({"jsonrpc": "2.0", "method": method}));
    }

    /// Ends it: all that was said has gone.
    pub(super) async fn end(self) {
        drop(self.to);
        // It cannot have panicked, and if it had, there would be nothing to be done.
        let _ = self.writer.await;
    }

    fn send(&self, message: &Value) {
        // Where nobody writes any more, nobody reads: that ends all that waits.
        let _ = self.to.send(format!("{message}\n").into_bytes());
    }
}

async fn say(mut to: Box<dyn AsyncWrite + Send + Unpin>, mut lines: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(line) = lines.recv().await {
        if to.write_all(&line).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
    // It may have gone already.
    let _ = to.shutdown().await;
}

async fn hear(from: Box<dyn AsyncRead + Send + Unpin>, waiting: Waiting) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).await.is_ok_and(|bytes| bytes > 0) {
        if let Ok(mut message) = serde_json::from_slice::<Value>(&line)
            && message.get("method").is_none()
            && let Some(id) = message["id"].as_u64()
            && let Some(asked) = waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .as_mut()
                .and_then(|waiting| waiting.remove(&id))
        {
            let answer = match message.get("error") {
                Some(error) => Err(error["message"].as_str().unwrap_or("it did not say why").to_owned()),
                None => Ok(message["result"].take()),
            };
            // Whoever asked may have left.
            let _ = asked.send(answer);
        }
        line.clear();
    }
    // Nobody waits for what will not come.
    waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, split};

    use super::*;

    fn pair() -> (Requests, BufReader<DuplexStream>) {
        let (ours, theirs) = tokio::io::duplex(1024);
        let (from, to) = split(ours);
        (Requests::over(Box::new(from), Box::new(to)), BufReader::new(theirs))
    }

    async fn heard(theirs: &mut BufReader<DuplexStream>) -> Value {
        let mut line = String::new();
        theirs.read_line(&mut line).await.unwrap();
        serde_json::from_str(&line).unwrap()
    }

    #[tokio::test]
    async fn each_gets_its_own_answer_whatever_else_is_said() {
        let (requests, mut theirs) = pair();
        let serve = async {
            let (first, second) = (heard(&mut theirs).await, heard(&mut theirs).await);
            assert_eq!(
                (&first["method"], &first["params"], &second["method"]),
                (&"a".into(), &json!([1]), &"b".into())
            );
            let lines = [
                "no JSON\n".to_owned(),
                "{\"jsonrpc\": \"2.0\", \"method\": \"notifications/progress\"}\n".to_owned(),
                format!("{}\n", json!({"id": first["id"], "method": "a request of theirs"})),
                format!("{}\n", json!({"id": 99, "result": "nobody's"})),
                format!("{}\n", json!({"id": second["id"], "error": {"code": 1, "message": "no"}})),
                format!("{}\n", json!({"id": first["id"], "result": {"x": 1}})),
            ];
            theirs.write_all(lines.concat().as_bytes()).await.unwrap();
        };
        let (first, second, ()) =
            tokio::join!(requests.ask("a", json!([1])), requests.ask("b", json!({})), serve);
        assert_eq!((first, second), (Ok(json!({"x": 1})), Err(Failed::Refused("no".into()))));
        requests.tell("bye");
        requests.end().await;
        assert_eq!(heard(&mut theirs).await, json!({"jsonrpc": "2.0", "method": "bye"}));
        let mut rest = String::new();
        assert_eq!(theirs.read_line(&mut rest).await.unwrap(), 0, "the other side is told that it is over");
    }

    #[tokio::test]
    async fn nobody_waits_for_an_answer_of_a_connection_that_has_ended() {
        let (requests, mut theirs) = pair();
        let serve = async {
            heard(&mut theirs).await;
            drop(theirs);
        };
        let (asked, ()) = tokio::join!(requests.ask("a", json!({})), serve);
        assert_eq!(asked, Err(Failed::Over));
        assert_eq!(requests.ask("b", json!({})).await, Err(Failed::Over));
    }

    #[tokio::test]
    async fn who_leaves_leaves_no_half_line() {
        let (requests, mut theirs) = pair();
        // More than fits: it is half written when its caller leaves.
        let long = "x".repeat(5000);
        {
            let asking = requests.ask("a", json!(long));
            tokio::pin!(asking);
            let head = theirs.fill_buf();
            tokio::select! {
                _ = &mut asking => panic!("nobody answered"),
                head = head => assert!(!head.unwrap().is_empty()),
            }
        }
        let serve = async {
            assert_eq!(heard(&mut theirs).await["params"], json!(long));
            let second = heard(&mut theirs).await;
            theirs
                .write_all(format!("{}\n", json!({"id": second["id"], "result": 2})).as_bytes())
                .await
                .unwrap();
        };
        let (second, ()) = tokio::join!(requests.ask("b", json!({})), serve);
        assert_eq!(second, Ok(json!(2)));
    }
}
