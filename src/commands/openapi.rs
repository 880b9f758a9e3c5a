//! `vtid-ledger openapi`: the API's document, without a running ledger.

use std::io::Write;

use clap::Args;

/// Print the API's OpenAPI document
#[derive(Debug, Args)]
pub struct OpenApiArgs {
    /// Of a ledger that asks its callers for tokens
    #[arg(long)]
    tokens: bool,
}

/// Prints it.
///
/// # Errors
/// Standard output can't be written to.
pub fn run(args: &OpenApiArgs) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(&crate::http::openapi::text(args.tokens))?;
    out.write_all(b"\n")
}
