//! `vtid-ledger oasis tail`: an ordinary `JetStream` consumer that prints each event.

use std::io::Write as _;

use async_nats::jetstream::consumer::{self, DeliverPolicy, pull};
use async_nats::jetstream::{self, ErrorCode};
use futures::StreamExt as _;

use super::connect::{Nats, NatsArgs, NatsSettingError};
use super::stream::{self, StreamName};

/// Without `--from`, so many of the newest events come first.
const LAST: u64 = 10;

/// Prints OASIS events as they come, from the stream that every subscriber reads
#[derive(Debug, Clone, clap::Args)]
pub struct TailArgs {
    /// Begins at this sequence, which is the ledger's position; without it, at the last ten
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub from: Option<u64>,
    /// Only events on subjects that match, such as oasis.acme.vtid-ledger.vtid-completed
    #[arg(long, value_name = "SUBJECT", default_value = stream::SUBJECTS)]
    pub subject: String,
    /// Ends after this many events; without it, at Ctrl-C
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Prints the events' bodies alone, one JSON object a line
    #[arg(long)]
    pub json: bool,
    /// The JetStream stream that holds the ledger's events
    #[arg(long, env = "OASIS_STREAM", value_name = "NAME", default_value = stream::DEFAULT_NAME)]
    pub stream: StreamName,
    /// Where NATS is.
    #[command(flatten)]
    pub nats: NatsArgs,
}

/// Why nothing can be printed (any more).
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// NATS can't be reached.
    #[error(transparent)]
    Nats(#[from] NatsSettingError),
    /// No such stream.
    #[error("the stream {0} does not exist: the ledger makes it when it first reaches NATS")]
    NoStream(StreamName),
    /// `JetStream` refuses, or does not answer.
    #[error("JetStream: {0}")]
    JetStream(async_nats::Error),
    /// The output is closed, or full.
    #[error("can't print: {0}")]
    Output(#[from] std::io::Error),
}

/// Prints events until there were `--count` of them, or Ctrl-C.
///
/// # Errors
/// [`TailError`].
pub async fn run(args: &TailArgs, out: &mut (dyn std::io::Write + Send)) -> Result<(), TailError> {
    let client = Nats::connect_now(&args.nats, "vtid-ledger oasis tail").await?;
    let mut messages = consume(args, client).await?;
    let mut printed = 0;
    while args.count.is_none_or(|count| printed < count) {
        let message = tokio::select! {
            message = messages.next() => message,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        let Some(message) = message else { return Ok(()) };
        let message = message.map_err(|error| TailError::JetStream(error.into()))?;
        match print(args, &message, out) {
            // Whoever read it has seen enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            printed => printed?,
        }
        printed += 1;
    }
    Ok(())
}

async fn consume(args: &TailArgs, client: async_nats::Client) -> Result<pull::Ordered, TailError> {
    let context = stream::context(client);
    let stream = context.get_stream(args.stream.to_string()).await.map_err(|error| match error.kind() {
        jetstream::context::GetStreamErrorKind::JetStream(told)
            if told.error_code() == ErrorCode::STREAM_NOT_FOUND =>
        {
            TailError::NoStream(args.stream.clone())
        }
        _ => TailError::JetStream(error.into()),
    })?;
    let last = stream.cached_info().state.last_sequence;
    let start_sequence = args.from.unwrap_or_else(|| last.saturating_sub(LAST) + 1);
    let config = pull::OrderedConfig {
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence },
        filter_subject: args.subject.clone(),
        ..pull::OrderedConfig::default()
    };
    let consumer: consumer::Consumer<pull::OrderedConfig> =
        stream.create_consumer(config).await.map_err(|error| TailError::JetStream(error.into()))?;
    consumer.messages().await.map_err(|error| TailError::JetStream(error.into()))
}

fn print(
    args: &TailArgs,
    message: &jetstream::Message,
    out: &mut (dyn std::io::Write + Send),
) -> std::io::Result<()> {
    let mut line = Vec::with_capacity(message.payload.len() + 128);
    if !args.json {
        let sequence = message.info().map(|info| info.stream_sequence).unwrap_or_default();
        write!(line, "{sequence}  {}  ", message.subject)?;
    }
    line.extend_from_slice(&message.payload);
    line.push(b'\n');
    out.write_all(&line)?;
    out.flush()
}
