//! What it costs to ask callers for their tokens.

use std::time::Duration;

use vtid_ledger::auth::token::{self, TokenRequest};
use vtid_ledger::clock::Clock;
use vtid_ledger::domain::origin::Role;
use vtid_ledger::domain::text::{ActorId, Tenant};

use crate::report::Report;
use crate::row::{Goal, Runs};
use crate::service::Service;
use crate::stand::Stand;
use crate::{Bench, BenchError, MANY};

const SECRET: &str = "known to nobody but this benchmark";
const TASKS: u64 = 1_000;

/// Callers with a token each. Processes that ask for tokens and processes that don't take turns.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<(), BenchError> {
    let tokens = mint()?;
    let mut runs = Runs::default();
    let stand = Stand::new(bench, "tokens", TASKS).await?;
    let tasks = stand.tasks;
    let mut ledger = stand.stop().await?;
    for _ in 0..bench.settings.rounds {
        for (secret, tokens, figures) in
            [(Some(SECRET), tokens.as_slice(), &mut runs.ledger), (None, &[], &mut runs.yardstick)]
        {
            let service = Service::start(&bench.servers, &ledger, secret).await?;
            let stand = Stand { ledger, service, tasks };
            stand.creates_by(tokens, MANY, Duration::from_secs(1)).await?;
            figures.push(stand.creates_by(tokens, MANY, bench.settings.run).await?);
            ledger = stand.stop().await?;
        }
    }
    report.row(runs.rates("creates of 200 callers with tokens, 64", "HS256", "AUTH=off", Goal::None)?);
    ledger.end(&bench.servers).await
}

fn mint() -> Result<Vec<String>, BenchError> {
    let now = Clock::system().now();
    let token = |number: u32| {
        let request = TokenRequest {
            role: Role::Authenticated,
            subject: ActorId::parse(&format!("caller-{number}")).ok(),
            tenant: Tenant::parse("system").ok(),
            ttl_seconds: 3_600,
            issuer: None,
            audience: None,
        };
        token::mint(&request, &SECRET.into(), now)
    };
    Ok((0..200).map(token).collect::<Result<_, _>>()?)
}
