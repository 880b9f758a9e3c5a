//! The command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use vtid_ledger::dev::{GuardArgs, guard_main};

/// The VTID ledger
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watches over a private server of `dev`; not for use by hand
    #[command(hide = true)]
    Guard(GuardArgs),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Guard(args) => guard_main(&args),
    }
}
