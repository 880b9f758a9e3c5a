//! Settings, by flag and by environment; `--help` names every default.
#![expect(
    clippy::doc_markdown,
    reason = "these comments are also the text of --help, which shows no Markdown"
)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;

use crate::auth::settings::AuthSettingError;
use crate::http::{MalformedOrigin, RateLimit, WebOrigin};
use crate::projections::memory::MemoryLimits;
use crate::telemetry::LogFormat;

/// A setting is missing or can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not given.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// Who may call.
    #[error(transparent)]
    Auth(#[from] AuthSettingError),
}

/// How to reach `PostgreSQL`.
#[derive(Debug, Clone, Args)]
pub struct DatabaseArgs {
    /// PostgreSQL's address, such as postgres://user:password@host:5432/database
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: Option<String>,
    /// The same under Supabase's name; DATABASE_URL goes first
    #[arg(long, env = "SUPABASE_DB_URL", hide_env_values = true, value_name = "URL")]
    pub supabase_db_url: Option<String>,
}

impl DatabaseArgs {
    /// The address.
    ///
    /// # Errors
    /// [`ConfigError::Missing`].
    pub fn url(&self) -> Result<&str, ConfigError> {
        let given = [&self.database_url, &self.supabase_db_url].into_iter().flatten();
        let mut given = given.map(String::as_str).filter(|url| !url.trim().is_empty());
        given.next().ok_or(ConfigError::Missing("DATABASE_URL (or SUPABASE_DB_URL)"))
    }
}

/// Where to listen.
#[derive(Debug, Clone, Args)]
pub struct ListenArgs {
    /// The address to serve HTTP on; goes before PORT
    #[arg(long, env = "LISTEN", value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// The port to serve HTTP on, on every address of the machine
    #[arg(long, env = "PORT", default_value_t = 8080)]
    pub port: u16,
}

impl ListenArgs {
    /// The address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listen.unwrap_or_else(|| SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), self.port))
    }
}

/// What may stay as it is.
#[derive(Debug, Clone, Args)]
pub struct TuningArgs {
    /// PostgreSQL's address for GET and list, of standbys say: what they can't show yet is read from the primary
    /// [default: everything is read from the primary]
    #[arg(long, env = "DATABASE_READ_URL", hide_env_values = true, value_name = "URL")]
    pub database_read_url: Option<String>,
    /// Connections to PostgreSQL for reads (the writer, the projector and LISTEN have one each besides)
    #[arg(long, env = "READ_CONNECTIONS", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub read_connections: u32,
    /// Connections to PostgreSQL for reads of the past: events, and tasks as they were
    #[arg(long, env = "HISTORY_CONNECTIONS", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub history_connections: u32,
    /// MiB of task states kept in memory, from which one task is read without asking PostgreSQL; 0: none
    #[arg(long, env = "READ_MEMORY_MIB", default_value_t = 32, value_parser = clap::value_parser!(u32).range(0..=65_536))]
    pub read_memory_mib: u32,
    /// How long a write may take, in milliseconds, before its caller gets 503
    #[arg(long, env = "WRITE_DEADLINE_MS", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    pub write_deadline_ms: u64,
    /// How long one statement of the writer may take, in milliseconds, before its connection is given up
    #[arg(long, env = "DATABASE_TIMEOUT_MS", default_value_t = 3_000, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    pub database_timeout_ms: u64,
    /// How many seconds an event's time may lie ahead of PostgreSQL's clock
    #[arg(long, env = "CLOCK_AHEAD_MAX_S", default_value_t = 60)]
    pub clock_ahead_max_s: u64,
    /// How many commands may wait for the writer
    #[arg(long, env = "QUEUE_COMMANDS", default_value_t = 4_096, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub queue_commands: u32,
    /// How many connections HTTP callers may have open
    #[arg(long, env = "HTTP_CONNECTIONS", default_value_t = 4_096, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub http_connections: u32,
    /// How many requests may be under way
    #[arg(long, env = "HTTP_REQUESTS", default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub http_requests: u32,
    /// How many requests a second one caller may make, in this process: a token's sub, or without tokens an address
    /// [default: any number]
    #[arg(long, env = "RATE_LIMIT_PER_S", value_name = "REQUESTS")]
    pub rate_limit_per_s: Option<NonZeroU32>,
    /// How many requests a caller may make at once after a rest [default: as many as in a second]
    #[arg(long, env = "RATE_LIMIT_BURST", value_name = "REQUESTS", requires = "rate_limit_per_s")]
    pub rate_limit_burst: Option<NonZeroU32>,
    /// The address to serve /metrics on, for Prometheus: without a token, and nothing else [default: none]
    #[arg(long, env = "METRICS_LISTEN", value_name = "ADDRESS:PORT")]
    pub metrics_listen: Option<SocketAddr>,
    /// The origins whose pages may read answers (CORS), such as https://app.example.org,http://localhost:3000
    /// [default: none]
    #[arg(long, env = "CORS_ORIGINS", value_name = "ORIGINS")]
    pub cors_origins: Option<String>,
}

impl TuningArgs {
    /// Where reads may go besides the primary.
    #[must_use]
    pub fn read_url(&self) -> Option<&str> {
        self.database_read_url.as_deref().filter(|url| !url.trim().is_empty())
    }

    /// The writer's deadline.
    #[must_use]
    pub fn write_deadline(&self) -> Duration {
        Duration::from_millis(self.write_deadline_ms)
    }

    /// For each of the writer's statements.
    #[must_use]
    pub fn database_timeout(&self) -> Duration {
        Duration::from_millis(self.database_timeout_ms)
    }

    /// How much is remembered for reads of one task; none where nothing is.
    #[must_use]
    pub fn read_memory(&self) -> Option<MemoryLimits> {
        let state_bytes = usize::try_from(self.read_memory_mib).unwrap_or(usize::MAX).saturating_mul(1 << 20);
        (state_bytes > 0).then(|| MemoryLimits { state_bytes, ..MemoryLimits::default() })
    }

    /// How often one caller may ask, if that is limited.
    #[must_use]
    pub fn rate_limit(&self) -> Option<RateLimit> {
        let per_second = self.rate_limit_per_s?;
        Some(RateLimit { per_second, burst: self.rate_limit_burst.unwrap_or(per_second) })
    }

    /// The origins whose pages may read answers.
    ///
    /// # Errors
    /// [`MalformedOrigin`]
    pub fn origins(&self) -> Result<Vec<WebOrigin>, MalformedOrigin> {
        let listed = self.cors_origins.as_deref().unwrap_or_default();
        listed.split(',').map(str::trim).filter(|origin| !origin.is_empty()).map(WebOrigin::parse).collect()
    }

    /// How far ahead of the database's clock an event's time may lie.
    #[must_use]
    pub fn clock_ahead_max(&self) -> Duration {
        Duration::from_secs(self.clock_ahead_max_s)
    }
}

/// What is logged, and how.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// What is logged, such as info, warn, or info,vtid_ledger=debug
    #[arg(long = "log", env = "LOG", default_value = "info", value_name = "FILTER")]
    pub filter: String,
    /// How a log line looks [default: json under serve, else pretty]
    #[arg(long = "log-format", env = "LOG_FORMAT", value_enum)]
    pub format: Option<LogFormat>,
}
