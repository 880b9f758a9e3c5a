//! The connection to NATS: made in the background, and again without end.

use std::path::PathBuf;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use percent_encoding::percent_decode_str;
use tokio::sync::watch;

/// A first connection, or one after a break, is tried for this long at a time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A dead peer is noticed after two of these.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// The longest pause between two tries.
const RETRY_MOST: Duration = Duration::from_secs(2);

/// Where NATS is, and who we are to it.
#[derive(Debug, Clone, clap::Args)]
pub struct NatsArgs {
    /// NATS servers, separated by commas; tls:// asks for TLS
    #[arg(long = "nats-url", env = "NATS_URL", hide_env_values = true, value_name = "URL")]
    pub url: Option<String>,
    /// The credentials file of a NATS user
    #[arg(long = "nats-credentials", env = "NATS_CREDENTIALS", value_name = "FILE")]
    pub credentials: Option<PathBuf>,
    /// A PEM file of certificate authorities for TLS, instead of the system's
    #[arg(long = "nats-ca", env = "NATS_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

impl NatsArgs {
    /// A server without credentials.
    #[must_use]
    pub fn plain(url: &str) -> Self {
        Self { url: Some(url.to_owned()), credentials: None, ca: None }
    }
}

/// A setting by which no connection can ever be made.
#[derive(Debug, thiserror::Error)]
pub enum NatsSettingError {
    /// No address was given.
    #[error("NATS_URL is not set")]
    Missing,
    /// Not a list of NATS URLs. The text is not repeated: it may hold a password.
    #[error("NATS_URL: address {0} of the list is not one of a NATS server, such as nats://127.0.0.1:4222")]
    Url(usize),
    /// The credentials can't be read.
    #[error("NATS_CREDENTIALS: {path}: {error}")]
    Credentials {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The certificates can't be read.
    #[error("NATS_CA: {path}: {error}")]
    Ca {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The client refuses the settings.
    #[error("NATS: {0}")]
    Client(#[from] async_nats::ConnectError),
}

/// How the connection stands. A change of the count tells of a break even if it was over at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Link {
    /// Whether the connection is there.
    pub up: bool,
    /// How often it was made.
    pub connections: u64,
}

/// A client that connects, and reconnects, in the background; cheap to clone.
#[derive(Debug, Clone)]
pub struct Nats {
    /// The client. What is published while the connection is away waits in memory.
    pub client: Client,
    /// How the connection stands.
    pub link: watch::Receiver<Link>,
}

impl Nats {
    /// Begins to connect and returns at once, whether NATS is there or not. `name` is what NATS shows of us.
    ///
    /// # Errors
    /// [`NatsSettingError`], for what no retry can mend.
    pub async fn connect(args: &NatsArgs, name: &str) -> Result<Self, NatsSettingError> {
        let (sender, link) = watch::channel(Link::default());
        let client = options(args, name)
            .await?
            .retry_on_initial_connect()
            .event_callback(move |event| {
                observe(&sender, &event);
                std::future::ready(())
            })
            .connect(servers(args)?)
            .await?;
        Ok(Self { client, link })
    }

    /// Connects for a command: fails where NATS is not there.
    ///
    /// # Errors
    /// [`NatsSettingError`].
    pub async fn connect_now(args: &NatsArgs, name: &str) -> Result<Client, NatsSettingError> {
        Ok(options(args, name).await?.connect(servers(args)?).await?)
    }
}

fn observe(link: &watch::Sender<Link>, event: &Event) {
    match event {
        Event::Connected => link.send_modify(|link| {
            *link = Link { up: true, connections: link.connections + 1 };
        }),
        Event::Disconnected | Event::Closed => link.send_modify(|link| link.up = false),
        other => tracing::warn!(event = %other, "NATS"),
    }
}

async fn options(args: &NatsArgs, name: &str) -> Result<ConnectOptions, NatsSettingError> {
    let mut options = ConnectOptions::new()
        .name(name)
        .connection_timeout(CONNECT_TIMEOUT)
        .ping_interval(PING_INTERVAL)
        .max_reconnects(None)
        .reconnect_delay_callback(|attempts| {
            let doubled = Duration::from_millis(50 << attempts.min(6));
            doubled.min(RETRY_MOST)
        });
    options = match url_login(&servers(args)?) {
        Some((user, Some(password))) => options.user_and_password(user, password),
        Some((token, None)) => options.token(token),
        None => options,
    };
    if let Some(path) = &args.ca {
        let ca = |error| NatsSettingError::Ca { path: path.clone(), error };
        tokio::fs::File::open(path).await.map_err(ca)?;
        options = options.add_root_certificates(path.clone()).require_tls(true);
    }
    if let Some(path) = &args.credentials {
        let credentials = |error| NatsSettingError::Credentials { path: path.clone(), error };
        options = options.credentials_file(path).await.map_err(credentials)?;
    }
    Ok(options)
}

/// Who the first address of the list that names somebody says we are: a user and a password, or a token alone. The client
/// itself does not look at it.
fn url_login(servers: &[ServerAddr]) -> Option<(String, Option<String>)> {
    let login = servers.iter().find_map(|server| Some((server.username()?, server.password())));
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    login.map(|(user, password)| (decoded(user), password.map(decoded)))
}

fn servers(args: &NatsArgs) -> Result<Vec<ServerAddr>, NatsSettingError> {
    let urls = args.url.as_deref().filter(|urls| !urls.trim().is_empty()).ok_or(NatsSettingError::Missing)?;
    let parse = |(index, url): (usize, &str)| {
        let url = Some(url.trim()).filter(|url| !url.is_empty());
        let server: Option<ServerAddr> = url.and_then(|url| url.parse().ok());
        // `nats://` alone passes for an address with the client, and can never be reached.
        server.filter(|server| !server.host().is_empty()).ok_or(NatsSettingError::Url(index + 1))
    };
    urls.split(',').enumerate().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_or_several() {
        assert_eq!(servers(&NatsArgs::plain("nats://127.0.0.1:4222")).unwrap().len(), 1);
        assert_eq!(servers(&NatsArgs::plain("nats://a:4222, tls://b:4223,c")).unwrap().len(), 3);
        for wrong in ["", "nats://a,,nats://b", "nats://a:port", "nats://", "nats://a,tls://"] {
            assert!(servers(&NatsArgs::plain(wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_login_in_the_address_counts() {
        let login = |urls| url_login(&servers(&NatsArgs::plain(urls)).unwrap());
        let told = |user: &str, password: Option<&str>| Some((user.to_owned(), password.map(str::to_owned)));
        assert_eq!(login("nats://a,nats://b:4222"), None);
        assert_eq!(login("nats://u:p%40ss@a"), told("u", Some("p@ss")));
        assert_eq!(login("nats://a,nats://t0ken@b"), told("t0ken", None));
    }

    #[test]
    fn a_break_shows_even_when_it_is_over() {
        let (sender, mut link) = watch::channel(Link::default());
        observe(&sender, &Event::Connected);
        assert_eq!(*link.borrow_and_update(), Link { up: true, connections: 1 });
        observe(&sender, &Event::Disconnected);
        observe(&sender, &Event::Connected);
        assert_eq!(*link.borrow_and_update(), Link { up: true, connections: 2 });
    }
}
