//! `vtid-ledger token`: mints a token.

use clap::Args;

use crate::auth::settings::{AuthSettingError, Secret, given};
use crate::auth::token::{TokenRequest, mint};
use crate::clock::Clock;
use crate::domain::origin::Role;
use crate::domain::text::{ActorId, Tenant};

/// A year, in seconds: nobody should have a longer one.
const TTL_SECONDS_MAX: u32 = 366 * 86_400;

/// Mint a token for a ledger that checks tokens with a secret; it is printed on one line
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// The secret, as the ledger has it
    #[arg(long, env = "JWT_SECRET", hide_env_values = true, value_name = "SECRET")]
    jwt_secret: Secret,
    /// What the caller may do
    #[arg(long, value_parser = parse_role, value_name = "service_role|admin|authenticated")]
    role: Role,
    /// The tenant whose tasks an authenticated caller may patch
    #[arg(long, value_parser = parse_tenant)]
    tenant: Option<Tenant>,
    /// Who calls: the actor of every event [default: the role's name]
    #[arg(long, value_parser = parse_subject)]
    sub: Option<ActorId>,
    /// How long it is valid, such as 90s, 15m, 12h or 30d
    #[arg(long, default_value = "1h", value_parser = parse_ttl, value_name = "TIME")]
    ttl: u32,
    /// The issuer that it names (iss)
    #[arg(long, env = "JWT_ISSUER", value_name = "TEXT")]
    jwt_issuer: Option<String>,
    /// The audience that it names (aud)
    #[arg(long, env = "JWT_AUDIENCE", value_name = "TEXT")]
    jwt_audience: Option<String>,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenFailure {
    /// The secret.
    #[error(transparent)]
    Secret(#[from] AuthSettingError),
    /// It can't be signed.
    #[error("the token can't be signed: {0}")]
    Signing(#[from] jsonwebtoken::errors::Error),
}

/// Prints a token.
///
/// # Errors
/// [`TokenFailure`]
pub fn run(args: TokenArgs, clock: &Clock) -> Result<(), TokenFailure> {
    args.jwt_secret.check()?;
    let request = TokenRequest {
        role: args.role,
        subject: args.sub,
        tenant: args.tenant,
        ttl_seconds: args.ttl,
        issuer: given(args.jwt_issuer.as_ref()).cloned(),
        audience: given(args.jwt_audience.as_ref()).cloned(),
    };
    println!("{}", mint(&request, &args.jwt_secret, clock.now())?);
    Ok(())
}

fn parse_role(text: &str) -> Result<Role, String> {
    let names = Role::ALL.map(Role::as_str).join(", ");
    Role::parse(text).ok_or_else(|| format!("must be one of {names}"))
}

fn parse_tenant(text: &str) -> Result<Tenant, String> {
    Tenant::parse(text).map_err(|fault| fault.to_string())
}

fn parse_subject(text: &str) -> Result<ActorId, String> {
    let told = |faults: Vec<_>| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    ActorId::parse(text).map_err(told)
}

/// A whole number and its unit, in seconds.
fn parse_ttl(text: &str) -> Result<u32, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text.strip_prefix(digits) {
        Some("" | "s") => Some(1),
        Some("m") => Some(60),
        Some("h") => Some(3_600),
        Some("d") => Some(86_400),
        _ => None,
    };
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.parse::<u32>().ok().filter(|_| plain);
    let seconds = number.zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
    let fits = seconds.filter(|seconds| (1..=TTL_SECONDS_MAX).contains(seconds));
    fits.ok_or_else(|| "must be a whole number and s, m, h or d, from 1s to 366d".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times() {
        for (text, seconds) in
            [("90s", 90), ("90", 90), ("15m", 900), ("12h", 43_200), ("366d", 366 * 86_400)]
        {
            assert_eq!(parse_ttl(text), Ok(seconds), "{text}");
        }
        for text in ["", "h", "0s", "-1s", "+1s", "1.5h", "1 h", "1w", "367d", "1hh", "99999999999d", "1H"] {
            assert!(parse_ttl(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn fuzz_times(text in prop_oneof!["[0-9]{0,11}[smhdw]{0,2}", "[0-9+. smhd-]{0,5}", any::<String>()]) {
            if let Ok(seconds) = parse_ttl(&text) {
                prop_assert!((1..=TTL_SECONDS_MAX).contains(&seconds));
                prop_assert_eq!(parse_ttl(&format!("{seconds}s")), Ok(seconds));
                prop_assert!(text.is_ascii() && text.starts_with(|c: char| c.is_ascii_digit()), "{}", text);
            }
        }
    }
}
