//! The command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use vtid_ledger::clock::Clock;
use vtid_ledger::commands::{
    audit, dev, keygen, migrate, oasis, openapi, projection, run, serve, token, witness,
};
use vtid_ledger::dev::{GuardArgs, guard_main};

/// A fifth of the service's time went to the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The VTID ledger: numbered tasks, an immutable event log in PostgreSQL, OASIS events on NATS JetStream
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Dev(dev::DevArgs),
    Serve(serve::ServeArgs),
    Migrate(migrate::MigrateArgs),
    Token(token::TokenArgs),
    Keygen(keygen::KeygenArgs),
    Projection(projection::ProjectionCommand),
    #[command(name = "openapi")]
    OpenApi(openapi::OpenApiArgs),
    /// Look at the OASIS events on JetStream, compare them with the ledger, put back what one of them lost
    #[command(subcommand)]
    Oasis(oasis::OasisCommand),
    /// Check the ledger's past, as an auditor
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    Witness(witness::WitnessArgs),
    /// Watches over a private server of `dev`; not for use by hand
    #[command(hide = true)]
    Guard(GuardArgs),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Dev(args) => run(dev::run(args)),
        Command::Serve(args) => run(serve::run(args)),
        Command::Migrate(args) => run(migrate::run(args)),
        Command::Token(args) => run(async { token::run(args, &Clock::system()) }),
        Command::Keygen(args) => run(std::future::ready(keygen::run(args))),
        Command::Projection(command) => run(projection::run(command)),
        Command::OpenApi(args) => run(std::future::ready(openapi::run(&args))),
        Command::Oasis(command) => run(oasis::run(command)),
        Command::Audit(command) => run(async { audit::run(command) }),
        Command::Witness(args) => run(witness::run(args)),
        Command::Guard(args) => guard_main(&args),
    }
}
