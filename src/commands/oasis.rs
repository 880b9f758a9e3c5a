//! `vtid-ledger oasis …`: the OASIS events on `JetStream`.
#![expect(
    clippy::doc_markdown,
    reason = "some of these comments are also the text of --help, which shows no Markdown"
)]

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::dev::Endpoints;
use crate::oasis::tail::{self, TailArgs, TailError};

/// What can be done with the OASIS events.
#[derive(Debug, Subcommand)]
pub enum OasisCommand {
    /// Print OASIS events as they come
    Tail(TailCommand),
}

/// `tail`, and where to look for NATS when it is not told.
#[derive(Debug, Args)]
pub struct TailCommand {
    #[command(flatten)]
    tail: TailArgs,
    /// The folder of a running `vtid-ledger dev`, whose NATS is used where NATS_URL is not set
    #[arg(long, value_name = "FOLDER", default_value = ".vtid")]
    data: PathBuf,
}

/// Runs it.
///
/// # Errors
/// [`TailError`].
pub async fn run(command: OasisCommand) -> Result<(), TailError> {
    let OasisCommand::Tail(TailCommand { mut tail, data }) = command;
    if tail.nats.url.is_none() {
        tail.nats.url = Endpoints::read(&data).map(|endpoints| endpoints.nats);
    }
    tail::run(&tail, &mut std::io::stdout()).await
}
