//! The servers of one address, of which one takes writes: which one that is may change at any time. Every connection of
//! the program is made here.
//!
//! A server that is in recovery is not the primary. Of two that are not, the one with the higher timeline is: each promotion
//! begins a new one, and a server that was frozen or cut off meanwhile still takes itself for the primary of the old one.
//! Once a process has seen a timeline it goes back to no older one; connections of an older one are given up.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};
use tokio::sync::watch;
use tokio::time::timeout;

use super::hosts::{HostsError, Wanted, split};
pub use super::kept::Kept;
use super::session;

/// How long a connection may take to be made, where there is one server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The same for each of several: the others are waited for, too.
pub(super) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// In recovery: a standby.
const STANDBY: &str = "it is a standby, which takes no writes";

/// How far promotions have come; zero where that is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timeline(u32);

/// How to reach them: cheap to clone, and what is known of them is shared by all clones.
#[derive(Clone)]
pub struct Servers {
    pub(super) each: Vec<PgConnectOptions>,
    wanted: Wanted,
    pub(super) known: Arc<Known>,
}

/// Whether a session's settings are told once more when it is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Settings {
    Told,
    Untold,
}

pub(super) struct Known {
    /// The one to try first.
    pub(super) preferred: AtomicUsize,
    /// The highest that was seen.
    timeline: watch::Sender<Timeline>,
}

impl Servers {
    /// Of an address with one host or several.
    ///
    /// # Errors
    /// The address is none. It is not repeated: it may hold a password.
    pub fn parse(url: &str, wanted: Wanted) -> Result<Self, sqlx::Error> {
        let urls =
            split(url, wanted).map_err(|error: HostsError| sqlx::Error::Configuration(error.into()))?;
        let each = urls.iter().map(|url| options(url)).collect::<Result<_, _>>()?;
        let known = Known { preferred: AtomicUsize::new(0), timeline: watch::Sender::default() };
        Ok(Self { each, wanted, known: Arc::new(known) })
    }

    fn map(&self, change: impl Fn(PgConnectOptions) -> PgConnectOptions) -> Self {
        Self { each: self.each.iter().cloned().map(change).collect(), ..self.clone() }
    }

    /// With these settings of the session.
    #[must_use]
    pub fn options<const N: usize>(&self, settings: [(&str, &str); N]) -> Self {
        self.map(|options| options.options(settings))
    }

    /// Under this name.
    #[must_use]
    pub fn application_name(&self, name: &str) -> Self {
        self.map(|options| options.application_name(name))
    }

    /// Without a line in this program's log for each statement.
    #[must_use]
    pub fn disable_statement_logging(&self) -> Self {
        self.map(PgConnectOptions::disable_statement_logging)
    }

    /// Whether there is a choice.
    #[must_use]
    pub fn are_several(&self) -> bool {
        self.each.len() > 1
    }

    /// The highest timeline that was seen: a connection of a lower one is of no use any more.
    #[must_use]
    pub fn timeline(&self) -> Timeline {
        *self.known.timeline.borrow()
    }

    /// Changes when another server has become the primary.
    #[must_use]
    pub fn moved(&self) -> watch::Receiver<Timeline> {
        self.known.timeline.subscribe()
    }

    /// A connection to the first that is what is wanted, and the timeline that it is of.
    ///
    /// # Errors
    /// What the driver says, or a time-out; of several, what each said.
    pub async fn connect(&self) -> Result<(PgConnection, Timeline), sqlx::Error> {
        Box::pin(self.first(Settings::Told)).await.map(|(connection, timeline, _)| (connection, timeline))
    }

    /// The same, told none of the session's settings, as it may turn out to be another client's; and how to reach that server.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn connect_untold(&self) -> Result<(PgConnection, PgConnectOptions), sqlx::Error> {
        let (connection, _, index) = Box::pin(self.first(Settings::Untold)).await?;
        Ok((connection, self.each[index].clone()))
    }

    /// How to reach the first that is what is wanted, for whoever makes its own connections.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn one(&self) -> Result<PgConnectOptions, sqlx::Error> {
        Box::pin(self.first(Settings::Untold)).await.map(|(_, _, index)| self.each[index].clone())
    }

    async fn first(&self, settings: Settings) -> Result<(PgConnection, Timeline, usize), sqlx::Error> {
        let (count, preferred) = (self.each.len(), self.known.preferred.load(Ordering::Relaxed));
        let mut refusals = Vec::with_capacity(count);
        for index in (preferred..count).chain(0..preferred) {
            match self.attempt(index, settings).await {
                Ok((connection, timeline)) => {
                    self.known.preferred.store(index, Ordering::Relaxed);
                    return Ok((connection, timeline, index));
                }
                Err(error) => refusals.push((index, error)),
            }
        }
        Err(self.refusal(refusals))
    }

    /// One error for all: what a server answered, if all that could be reached did so.
    fn refusal(&self, mut refusals: Vec<(usize, sqlx::Error)>) -> sqlx::Error {
        if refusals.len() == 1 || refusals.iter().all(|(_, error)| matches!(error, sqlx::Error::Database(_)))
        {
            return refusals.pop().map_or(sqlx::Error::PoolClosed, |(_, error)| error);
        }
        let told: Vec<String> =
            refusals.iter().map(|(index, error)| format!("{}: {error}", self.name(*index))).collect();
        sqlx::Error::Io(std::io::Error::other(told.join("; ")))
    }

    fn name(&self, index: usize) -> String {
        let options = &self.each[index];
        format!("{}:{}", options.get_host(), options.get_port())
    }

    async fn attempt(
        &self,
        index: usize,
        settings: Settings,
    ) -> Result<(PgConnection, Timeline), sqlx::Error> {
        let limit = if self.are_several() { ATTEMPT_TIMEOUT } else { CONNECT_TIMEOUT };
        let attempt = async {
            let mut connection = self.each[index].connect().await?;
            let timeline = match self.wanted {
                Wanted::Primary => self.check(&mut connection).await?,
                Wanted::Any => Timeline::default(),
            };
            if settings == Settings::Told {
                session::tell(&mut connection, &session::settings(&self.each[index])).await?;
            }
            Ok((connection, timeline))
        };
        timeout(limit, attempt).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    /// Refuses a server that is not the primary.
    async fn check(&self, connection: &mut PgConnection) -> Result<Timeline, sqlx::Error> {
        let refuse = |why: String| Err(sqlx::Error::Io(std::io::Error::other(why)));
        let Some(timeline) = self.timeline_of(connection).await? else { return refuse(STANDBY.to_owned()) };
        let highest = self.saw(timeline);
        if timeline < highest && timeline != Timeline::default() {
            let (old, new) = (timeline.0, highest.0);
            return refuse(format!(
                "it is an old primary: of timeline {old}, and {new} was seen since this program started"
            ));
        }
        Ok(timeline)
    }

    /// The timeline that a server writes, zero where it does not tell; none if it is a standby.
    pub(super) async fn timeline_of(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Option<Timeline>, sqlx::Error> {
        if self.are_several() {
            let wal = "select case when pg_is_in_recovery() then null else pg_walfile_name(pg_current_wal_lsn()) end";
            match scalar::<Option<String>>(connection, wal).await {
                Ok(file) => return Ok(file.map(|file| timeline_of_file(&file))),
                // Whoever offers PostgreSQL as a service may have taken these functions away.
                Err(sqlx::Error::Database(error)) => tracing::debug!(%error, "the timeline is not told"),
                Err(error) => return Err(error),
            }
        }
        let in_recovery: bool = scalar(connection, "select pg_is_in_recovery()").await?;
        Ok((!in_recovery).then(Timeline::default))
    }

    /// Remembers it, if it is the highest; gives the highest.
    pub(super) fn saw(&self, timeline: Timeline) -> Timeline {
        let higher = self.known.timeline.send_if_modified(|highest| {
            let higher = timeline > *highest;
            *highest = timeline.max(*highest);
            higher
        });
        if higher {
            tracing::info!(timeline = timeline.0, "the primary's timeline");
        }
        self.timeline()
    }
}

/// Of one server.
fn options(url: &str) -> Result<PgConnectOptions, sqlx::Error> {
    // The driver's own parameter of that name is one that poolers refuse.
    Ok(PgConnectOptions::from_str(url)?.extra_float_digits(None))
}

/// One value, in one round trip.
async fn scalar<T>(connection: &mut PgConnection, sql: &'static str) -> Result<T, sqlx::Error>
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    use sqlx::{Executor, Row};
    connection.fetch_one(sqlx::raw_sql(sql)).await?.try_get(0)
}

/// The first eight digits of a WAL file's name.
fn timeline_of_file(file: &str) -> Timeline {
    Timeline(file.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wal_file_names_its_timeline() {
        assert_eq!(timeline_of_file("000000020000000000000003"), Timeline(2));
        assert_eq!(timeline_of_file("0000001F0000000A00000003"), Timeline(31));
        assert_eq!(timeline_of_file("?"), Timeline(0));
    }
}
