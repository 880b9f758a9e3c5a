//! `vtid-ledger audit …`: what an auditor does.

mod verify_proof;

use clap::Subcommand;

pub use verify_proof::{Proven, VerifyProofArgs, VerifyProofFailure};

/// What an auditor can do.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check that a record is in the ledger, by a proof that was downloaded: /vtid/VTID/proof or /events/POSITION/proof
    VerifyProof(VerifyProofArgs),
}

/// Runs it.
///
/// # Errors
/// What was found, or stands in the way.
pub fn run(command: AuditCommand) -> Result<(), VerifyProofFailure> {
    match command {
        AuditCommand::VerifyProof(args) => verify_proof::run(&args),
    }
}
