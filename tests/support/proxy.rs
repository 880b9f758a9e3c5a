//! A proxy between a process of the ledger and `PostgreSQL`, which cuts the connection of a chosen append.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// What stands in an append's Bind message, and in no other: the record.
const RECORD: &[u8] = br#""specversion":"1.0""#;

/// What becomes of the chosen append.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Cut {
    /// Nothing of it reaches the server.
    Before,
    /// A part of it does.
    During,
    /// All of it does; its answer is lost.
    After,
    /// The client is cut off, and all of it reaches the server so much later.
    Late(Duration),
    /// All but its Sync reaches the server, which does not notice that the client is gone: it holds what it has locked.
    Vanish,
}

/// A running proxy; gone when dropped.
pub(crate) struct Proxy {
    port: u16,
    plan: Arc<Plan>,
    accepting: AbortHandle,
}

#[derive(Default)]
struct Plan {
    armed: Mutex<Option<(Vec<u8>, Cut)>>,
    /// Cuts that came to pass.
    fired: AtomicU64,
    /// Those after which the server has done what it does with what it got, and has answered or closed.
    settled: AtomicU64,
    /// How long each message takes, either way.
    latency_ms: AtomicU64,
}

impl Proxy {
    /// Starts one in front of the server of `database`.
    pub(crate) async fn start(database: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (plan, upstream) = (Arc::<Plan>::default(), port_of(database));
        let shared = Arc::clone(&plan);
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(connection(client, upstream, Arc::clone(&shared)));
            }
        });
        Self { port, plan, accepting: accepting.abort_handle() }
    }

    /// The database's address, by way of the proxy.
    pub(crate) fn url(&self, database: &str) -> String {
        database.replace(&format!(":{}/", port_of(database)), &format!(":{}/", self.port))
    }

    /// The next append that holds `marker` is cut.
    pub(crate) fn arm(&self, marker: &str, cut: Cut) {
        *self.plan.armed.lock().unwrap() = Some((marker.as_bytes().to_vec(), cut));
    }

    /// Every message takes so much longer from now on, either way.
    pub(crate) fn slow_down(&self, latency: Duration) {
        self.plan.latency_ms.store(u64::try_from(latency.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// How many cuts came to pass.
    pub(crate) fn fired(&self) -> u64 {
        self.plan.fired.load(Ordering::SeqCst)
    }

    /// After how many of them the server has answered, or closed.
    pub(crate) fn settled(&self) -> u64 {
        self.plan.settled.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn port_of(database: &str) -> u16 {
    let after_host = database.rsplit('@').next().unwrap().split(':').nth(1).unwrap();
    after_host.split('/').next().unwrap().parse().unwrap()
}

async fn connection(client: TcpStream, upstream: u16, plan: Arc<Plan>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)).await else { return };
    // Messages are passed one by one: none waits for the next.
    if client.set_nodelay(true).and(server.set_nodelay(true)).is_err() {
        return;
    }
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let chosen = CancellationToken::new();
    let answers = tokio::spawn(pass_answers(from_server, to_client, Arc::clone(&plan), chosen.clone()));
    let asked = pass_requests(from_client, to_server, &plan).await;
    let Some(Chosen { cut, append, mut to_server }) = asked else {
        answers.abort();
        return;
    };
    plan.fired.fetch_add(1, Ordering::SeqCst);
    // The client's side is closed at once: its reading half is gone already.
    chosen.cancel();
    let Answers { mut from_server, to_client } = answers.await.unwrap();
    drop(to_client);
    match cut {
        Cut::Before => {}
        Cut::During => to_server.write_all(&append[..append.len() / 2]).await.unwrap(),
        Cut::After => {
            to_server.write_all(&append).await.unwrap();
            answered(&mut from_server).await;
        }
        Cut::Late(delay) => {
            tokio::time::sleep(delay).await;
            to_server.write_all(&append).await.unwrap();
            answered(&mut from_server).await;
        }
        Cut::Vanish => {
            to_server.write_all(&append[..append.len() - SYNC_BYTES]).await.unwrap();
            // Until the server ends the session.
            let mut rest = Vec::new();
            let _ = from_server.read_to_end(&mut rest).await;
        }
    }
    plan.settled.fetch_add(1, Ordering::SeqCst);
}

/// An append that was to be cut, from its Bind message to its Sync, none of which was passed on.
struct Chosen {
    cut: Cut,
    append: Vec<u8>,
    to_server: OwnedWriteHalf,
}

const SYNC_BYTES: usize = 5;

/// Passes the client's messages on, one by one, until it closes, or its append is the chosen one.
async fn pass_requests(mut client: OwnedReadHalf, mut server: OwnedWriteHalf, plan: &Plan) -> Option<Chosen> {
    // The first messages have no type: perhaps a request for TLS, which is refused, and the start-up.
    let mut begun = false;
    let mut append: Option<(Cut, Vec<u8>)> = None;
    loop {
        let message = read_message(&mut client, begun).await?;
        begun |= message.len() > 8;
        if append.is_none() && message[0] == b'B' {
            append = plan.chosen(&message).map(|cut| (cut, Vec::new()));
        }
        let Some((cut, held)) = &mut append else {
            plan.delay().await;
            server.write_all(&message).await.ok()?;
            continue;
        };
        let ends = message[0] == b'S';
        held.extend(message);
        if ends {
            return Some(Chosen { cut: *cut, append: std::mem::take(held), to_server: server });
        }
    }
}

impl Plan {
    fn chosen(&self, bind: &[u8]) -> Option<Cut> {
        let holds = |part: &[u8]| bind.windows(part.len()).any(|window| window == part);
        let mut armed = self.armed.lock().unwrap();
        armed.take_if(|(marker, _)| holds(marker) && holds(RECORD)).map(|(_, cut)| cut)
    }

    async fn delay(&self) {
        let latency = self.latency_ms.load(Ordering::SeqCst);
        if latency > 0 {
            tokio::time::sleep(Duration::from_millis(latency)).await;
        }
    }
}

/// A whole message; none once the sender has closed.
async fn read_message(from: &mut OwnedReadHalf, typed: bool) -> Option<Vec<u8>> {
    let head = if typed { 5 } else { 4 };
    let mut message = vec![0; head];
    from.read_exact(&mut message).await.ok()?;
    let length = u32::from_be_bytes(message[head - 4..].try_into().unwrap());
    message.resize(head - 4 + usize::try_from(length).unwrap(), 0);
    from.read_exact(&mut message[head..]).await.ok()?;
    Some(message)
}

/// Both halves of the way back.
struct Answers {
    from_server: OwnedReadHalf,
    to_client: OwnedWriteHalf,
}

/// Passes what the server says until either side closes, or an append was chosen.
async fn pass_answers(
    mut from_server: OwnedReadHalf,
    mut to_client: OwnedWriteHalf,
    plan: Arc<Plan>,
    chosen: CancellationToken,
) -> Answers {
    let mut bytes = vec![0; 16 << 10];
    while let Some(Ok(count @ 1..)) = chosen.run_until_cancelled(from_server.read(&mut bytes)).await {
        plan.delay().await;
        if to_client.write_all(&bytes[..count]).await.is_err() {
            break;
        }
    }
    Answers { from_server, to_client }
}

/// Waits until the server says that it is ready for the next, or closes.
async fn answered(from_server: &mut OwnedReadHalf) {
    while let Some(message) = read_message(from_server, true).await {
        if message[0] == b'Z' {
            return;
        }
    }
}
