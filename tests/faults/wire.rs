//! The network between the ledger and its database: the address stays the same whatever becomes of the server, and what
//! goes over it can be cut, held back and slowed down.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use crate::support::database_messages::{Frontend, Kind};
use crate::support::database_proxy::answer;
use crate::support::eventually;

/// Bytes that are passed on at once.
const CHUNK: usize = 1 << 16;
/// A server that says nothing to what came late is not waited for any longer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);

/// What becomes of the next append that any connection sends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cut {
    /// The server gets nothing of it.
    Before,
    /// The server gets such a part of its bytes, which is less than all.
    During(f64),
    /// The server gets all of it and commits; of its answer the client gets so many bytes, which are too few.
    BeforeAnswer(usize),
    /// The server gets it so much later, whether or not the client is still there.
    Held(Duration),
}

/// So much later and so many bytes a second, each way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slow {
    pub(crate) latency: Duration,
    pub(crate) bytes_per_s: f64,
}

#[derive(Default)]
struct State {
    server: String,
    armed: Vec<Cut>,
    /// How many were ever armed, and how many of them are over.
    ordered: usize,
    fired: usize,
    slow: Option<Slow>,
}

type Shared = Arc<Mutex<State>>;

/// A running network; it ends, and with it every connection, when dropped.
pub(crate) struct Wire {
    address: String,
    shared: Shared,
    _accepting: AbortOnDropHandle<()>,
}

impl Wire {
    /// Starts one that leads nowhere yet.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Shared::default();
        let accepting = AbortOnDropHandle::new(tokio::spawn(accept(listener, Arc::clone(&shared))));
        Self { address, shared, _accepting: accepting }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// New connections lead to this server from now on.
    pub(crate) fn lead_to(&self, server: String) {
        self.shared.lock().unwrap().server = server;
    }

    /// One of the next appends is treated so.
    pub(crate) fn arm(&self, cut: Cut) {
        let mut state = self.shared.lock().unwrap();
        state.armed.push(cut);
        state.ordered += 1;
    }

    /// Waits until every cut that was armed has been made.
    pub(crate) async fn until_fired(&self) {
        eventually("the appends that are to be cut are sent", async || {
            let state = self.shared.lock().unwrap();
            (state.fired == state.ordered).then_some(())
        })
        .await;
    }

    /// Slows everything down, or lets it run again.
    pub(crate) fn slow(&self, slow: Option<Slow>) {
        self.shared.lock().unwrap().slow = slow;
    }
}

async fn accept(listener: TcpListener, shared: Shared) {
    let mut links = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        links.spawn(async move {
            let server = shared.lock().unwrap().server.clone();
            let server = TcpStream::connect(server).await?;
            client.set_nodelay(true)?;
            server.set_nodelay(true)?;
            Link { client, server, shared, frontend: Frontend::default() }.run().await
        });
        // Those that have ended are of no interest: a connection that breaks is the client's to notice.
        while links.try_join_next().is_some() {}
    }
}

struct Link {
    client: TcpStream,
    server: TcpStream,
    shared: Shared,
    frontend: Frontend,
}

impl Link {
    async fn run(mut self) -> std::io::Result<()> {
        // What is to be cut, and its messages until the last of them has come.
        let mut armed: Option<Cut> = None;
        let mut held: Vec<u8> = Vec::new();
        loop {
            let (mut up, mut down) = (Vec::with_capacity(CHUNK), Vec::with_capacity(CHUNK));
            let count = tokio::select! {
                count = self.client.read_buf(&mut up) => count?,
                count = self.server.read_buf(&mut down) => count?,
            };
            if count == 0 {
                return Ok(());
            }
            self.take_time(count).await;
            self.client.write_all(&down).await?;
            for message in self.frontend.feed(&up) {
                if message.kind == Kind::Append && armed.is_none() {
                    armed = self.shared.lock().unwrap().armed.pop();
                }
                let Some(cut) = armed else {
                    self.server.write_all(&message.bytes).await?;
                    continue;
                };
                held.extend(message.bytes);
                if message.kind == Kind::Sync {
                    let goes_on = self.cut(cut, &std::mem::take(&mut held)).await?;
                    armed = None;
                    if !goes_on {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn take_time(&self, count: usize) {
        let slow = self.shared.lock().unwrap().slow;
        if let Some(Slow { latency, bytes_per_s }) = slow {
            let count = f64::from(u32::try_from(count).unwrap());
            tokio::time::sleep(latency + Duration::from_secs_f64(count / bytes_per_s)).await;
        }
    }

    /// Tells whether the connection is still there.
    async fn cut(&mut self, cut: Cut, append: &[u8]) -> std::io::Result<bool> {
        let fired = || self.shared.lock().unwrap().fired += 1;
        match cut {
            Cut::Before => fired(),
            Cut::During(part) => {
                let length = f64::from(u32::try_from(append.len()).unwrap());
                // Less than all of it, so the numbers are small and whole.
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
                let count = ((length * part) as usize).clamp(1, append.len() - 1);
                self.server.write_all(&append[..count]).await?;
                fired();
            }
            Cut::BeforeAnswer(count) => {
                self.server.write_all(append).await?;
                let answer = answer(&mut self.server).await?;
                self.client.write_all(&answer[..count.min(answer.len().saturating_sub(1))]).await?;
                fired();
            }
            Cut::Held(late) => {
                tokio::time::sleep(late).await;
                self.server.write_all(append).await?;
                fired();
                let answer = tokio::time::timeout(ANSWER_PATIENCE, answer(&mut self.server)).await;
                let Ok(Ok(answer)) = answer else { return Ok(false) };
                return Ok(self.client.write_all(&answer).await.is_ok());
            }
        }
        Ok(false)
    }
}
