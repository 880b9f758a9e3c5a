//! The README's subscriber, run as its users would.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::eventually;

/// A running subscriber, with its state in a folder of its own; killed when dropped.
pub(crate) struct Subscriber {
    nats: String,
    folder: TempDir,
    child: Child,
    /// The position of each line that it has printed since it was last started.
    handled: Arc<Mutex<Vec<u64>>>,
    /// It handles the events after this position.
    after: u64,
}

impl Subscriber {
    /// Starts it, from the stream's first message on.
    pub(crate) fn start(nats: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (child, handled) = spawn(nats, folder.path(), None);
        Self { nats: nats.to_owned(), folder, child, handled, after: 0 }
    }

    /// Starts it again after it ended, back at a position.
    pub(crate) fn start_again_from(&mut self, position: &str) {
        (self.child, self.handled) = spawn(&self.nats, self.folder.path(), Some(position));
        self.after = position.parse().unwrap();
    }

    /// Waits until it has handled every event up to `last`, and asserts that it handled each once, in order.
    pub(crate) async fn has_handled(&mut self, last: usize) {
        let last = last as u64;
        eventually(&format!("the subscriber to handle position {last}"), async || {
            assert!(self.child.try_wait().unwrap().is_none(), "it ended: {}", self.error());
            (self.handled.lock().unwrap().last() >= Some(&last)).then_some(())
        })
        .await;
        let handled = self.handled.lock().unwrap().clone();
        let wrong = handled.iter().zip(self.after + 1..).find(|(handled, expected)| *handled != expected);
        assert_eq!(wrong, None, "the position that it handled, and the one that came next");
    }

    /// Waits until it gives up by itself; gives what it said.
    pub(crate) async fn ended(&mut self) -> String {
        let child = &mut self.child;
        let status = eventually("the subscriber to end", async || child.try_wait().unwrap()).await;
        assert!(!status.success());
        self.error()
    }

    fn error(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_string(&mut text).unwrap();
        }
        text
    }
}

fn spawn(nats: &str, folder: &Path, back_to: Option<&str>) -> (Child, Arc<Mutex<Vec<u64>>>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join(".tools/nats-current/bin/python");
    assert!(python.exists(), "{} is missing: run `make test-deps`", python.display());
    let mut command = Command::new(python);
    command.arg(root.join("examples/subscriber.py")).arg(folder.join("state.json")).args(back_to);
    command.env_clear().env("NATS_URL", nats);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let handled: Arc<Mutex<Vec<u64>>> = Arc::default();
    let kept = Arc::clone(&handled);
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let position = line.split(' ').next().unwrap().parse().unwrap();
            kept.lock().unwrap().push(position);
        }
    });
    (child, handled)
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
