//! A network between a process of the ledger and `PostgreSQL` that does harm when told to: it cuts the connection of the
//! writer before, during and after an append, lets its bytes through late, or leaves the server with half a
//! conversation, as a power cut or a frozen client does.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::database_messages::{Frontend, Kind, Message};
use super::eventually;

/// How much later than sent the bytes of [`Cut::Late`] arrive.
pub(crate) const LATE: Duration = Duration::from_secs(3);
/// The server is ready for the next query: its answer is whole.
const READY_FOR_QUERY: &[u8] = b"Z\0\0\0\x05";

/// What becomes of an append and its connection. The client finds its side closed at once, whichever.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Cut {
    /// Nothing of it reaches the server.
    Before,
    /// The server gets half a message.
    During,
    /// The server gets all of it, and its answer is lost.
    After,
    /// The server gets all of it [`LATE`].
    Late,
    /// The server gets all but the end of the round trip, and does not notice that the client is gone.
    Vanish,
    /// The same, and the client can't connect again before the proxy is opened.
    VanishForGood,
    /// The server gets all but the end of the round trip, and the client's side stays open until the server gives it up.
    Hold,
    /// The same, but that the server gets nothing of it.
    HoldBefore,
}

/// A cut that was made.
#[derive(Clone, Debug)]
pub(crate) struct Fired {
    pub(crate) at: Instant,
    /// What the server said to it, once it has.
    pub(crate) answer: Option<String>,
    request: String,
    cut: Cut,
}

#[derive(Default)]
struct State {
    armed: Vec<(String, Cut)>,
    fired: Vec<Fired>,
    /// The parameters of every append that a client sent.
    appends: Vec<Vec<u8>>,
    closed: bool,
}

struct Shared {
    server: String,
    latency: Duration,
    state: Mutex<State>,
}

/// A running proxy; it ends, and with it every connection, when dropped.
pub(crate) struct Proxy {
    url: String,
    shared: Arc<Shared>,
    _accepting: AbortOnDropHandle<()>,
}

impl Proxy {
    /// Starts one in front of the server that `database_url` names.
    pub(crate) async fn start(database_url: &str) -> Self {
        Self::with_latency(database_url, Duration::ZERO).await
    }

    /// Starts one that takes `latency` each way.
    pub(crate) async fn with_latency(database_url: &str, latency: Duration) -> Self {
        let (before, rest) = database_url.split_once('@').unwrap();
        let (server, database) = rest.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{before}@{}/{database}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared { server: server.to_owned(), latency, state: Mutex::default() });
        let accepting = AbortOnDropHandle::new(tokio::spawn(accept(listener, Arc::clone(&shared))));
        Self { url, shared, _accepting: accepting }
    }

    /// The database's address by way of the proxy.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The next append that holds the event of `request` (an `X-Request-Id`) is cut; armed twice, so is the one after it.
    pub(crate) fn arm(&self, cut: Cut, request: &str) {
        self.shared.state.lock().unwrap().armed.push((request.to_owned(), cut));
    }

    /// New connections fail from now on, or succeed again; those that are open stay.
    pub(crate) fn close(&self, closed: bool) {
        self.shared.state.lock().unwrap().closed = closed;
    }

    /// The cut that was made to an append of `request`; none as long as it was not.
    pub(crate) fn fired(&self, cut: Cut, request: &str) -> Option<Fired> {
        let state = self.shared.state.lock().unwrap();
        state.fired.iter().find(|fired| fired.cut == cut && fired.request == request).cloned()
    }

    /// Waits until an append of `request` was cut.
    pub(crate) async fn until_cut(&self, cut: Cut, request: &str) -> Fired {
        eventually(&format!("{cut:?} of {request}"), async || self.fired(cut, request)).await
    }

    /// Waits until the server has said something to the append of `request` that was cut; gives what.
    pub(crate) async fn answer(&self, cut: Cut, request: &str) -> String {
        eventually(&format!("the server answers {cut:?} of {request}"), async || {
            self.fired(cut, request)?.answer
        })
        .await
    }

    /// How many appends of the event of `request` were sent.
    pub(crate) fn appends_of(&self, request: &str) -> usize {
        let state = self.shared.state.lock().unwrap();
        state.appends.iter().filter(|append| holds(append, request)).count()
    }
}

/// Whether the parameters of an append hold the event of `request`.
fn holds(append: &[u8], request: &str) -> bool {
    let marker = format!(r#""correlationid":"{request}""#);
    append.windows(marker.len()).any(|part| part == marker.as_bytes())
}

impl Shared {
    /// Takes note of an append; what is to become of it, if something is.
    fn seen(&self, append: &[u8]) -> Option<(String, Cut)> {
        let mut state = self.state.lock().unwrap();
        state.appends.push(append.to_vec());
        let armed = state.armed.iter().position(|(request, _)| holds(append, request))?;
        Some(state.armed.remove(armed))
    }

    fn fired(&self, cut: Cut, request: String) -> usize {
        let mut state = self.state.lock().unwrap();
        state.closed |= cut == Cut::VanishForGood;
        state.fired.push(Fired { at: Instant::now(), answer: None, request, cut });
        state.fired.len() - 1
    }

    fn answered(&self, fired: usize, answer: &[u8]) {
        let answer = String::from_utf8_lossy(answer).into_owned();
        self.state.lock().unwrap().fired[fired].answer = Some(answer);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut links = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        if shared.state.lock().unwrap().closed {
            continue;
        }
        let shared = Arc::clone(&shared);
        links.spawn(async move {
            let server = TcpStream::connect(&shared.server).await?;
            client.set_nodelay(true)?;
            server.set_nodelay(true)?;
            Link { client, server, shared, frontend: Frontend::default() }.run().await
        });
        // Those that have ended are of no interest: a connection that breaks is the client's to notice.
        while links.try_join_next().is_some() {}
    }
}

enum Came {
    FromClient(Vec<u8>),
    FromServer(Vec<u8>),
    End,
}

struct Link {
    client: TcpStream,
    server: TcpStream,
    shared: Arc<Shared>,
    frontend: Frontend,
}

impl Link {
    async fn run(mut self) -> std::io::Result<()> {
        // What is to be cut, and its messages until the last of them has come.
        let mut armed: Option<(String, Cut)> = None;
        let mut held: Vec<Message> = Vec::new();
        loop {
            let came = self.next().await?;
            tokio::time::sleep(self.shared.latency).await;
            let bytes = match came {
                Came::FromClient(bytes) => bytes,
                Came::FromServer(bytes) => {
                    self.client.write_all(&bytes).await?;
                    continue;
                }
                Came::End => return Ok(()),
            };
            for message in self.frontend.feed(&bytes) {
                if message.kind == Kind::Append && armed.is_none() {
                    armed = self.shared.seen(&message.bytes);
                }
                if armed.is_none() {
                    self.server.write_all(&message.bytes).await?;
                    continue;
                }
                let last = message.kind == Kind::Sync;
                held.push(message);
                if last && let Some((request, cut)) = armed {
                    return self.cut(cut, request, &held).await;
                }
            }
        }
    }

    async fn next(&mut self) -> std::io::Result<Came> {
        let (mut from_client, mut from_server) = (Vec::with_capacity(1 << 16), Vec::with_capacity(1 << 16));
        let (count, came) = tokio::select! {
            count = self.client.read_buf(&mut from_client) => (count?, Came::FromClient(from_client)),
            count = self.server.read_buf(&mut from_server) => (count?, Came::FromServer(from_server)),
        };
        Ok(if count == 0 { Came::End } else { came })
    }

    async fn cut(self, cut: Cut, request: String, messages: &[Message]) -> std::io::Result<()> {
        let Self { client, mut server, shared, .. } = self;
        let parameters = &messages[0].bytes;
        let (last, others) = messages.split_last().unwrap();
        let others: Vec<u8> = others.iter().flat_map(|message| message.bytes.iter().copied()).collect();
        match cut {
            Cut::Before => drop(shared.fired(cut, request)),
            Cut::During => {
                server.write_all(&parameters[..parameters.len() / 2]).await?;
                shared.fired(cut, request);
            }
            Cut::After | Cut::Late => {
                drop(client);
                let fired = shared.fired(cut, request);
                tokio::time::sleep(if cut == Cut::Late { LATE } else { Duration::ZERO }).await;
                server.write_all(&[others.as_slice(), &last.bytes].concat()).await?;
                shared.answered(fired, &answer(&mut server).await?);
            }
            Cut::Vanish | Cut::VanishForGood | Cut::Hold | Cut::HoldBefore => {
                if cut != Cut::HoldBefore {
                    server.write_all(&others).await?;
                }
                shared.fired(cut, request);
                // It would find out at once; who is held does not.
                let _held = matches!(cut, Cut::Hold | Cut::HoldBefore).then_some(client);
                // Held open until the server gives it up.
                while server.read(&mut [0; 1024]).await? > 0 {}
            }
        }
        Ok(())
    }
}

/// What the server says up to the end of its answer.
pub(crate) async fn answer(server: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    while !answer.windows(READY_FOR_QUERY.len()).any(|part| part == READY_FOR_QUERY) {
        if server.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    Ok(answer)
}
