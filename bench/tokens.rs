//! What it costs to ask callers for their tokens.

use std::time::Duration;

use vtid_ledger::auth::token::{self, TokenRequest};
use vtid_ledger::clock::Clock;
use vtid_ledger::domain::origin::Role;
use vtid_ledger::domain::text::{ActorId, Tenant};

use crate::servers::{Servers, Service};
use crate::table::Line;
use crate::{BenchError, MANY, Settings, Subject, line, told};

/// Callers with a token each. Processes that ask for tokens and processes that don't take turns.
pub(crate) async fn compare(
    settings: &Settings,
    servers: &Servers,
    tasks: (&str, u32),
) -> Result<Line, BenchError> {
    const SECRET: &str = "known to nobody but this benchmark";
    let database = servers.ledger_url();
    let tokens = mint(SECRET)?;
    let (mut asked, mut open) = (Vec::new(), Vec::new());
    for _ in 0..settings.rounds {
        for (secret, tokens, figures) in
            [(Some(SECRET), tokens.as_slice(), &mut asked), (None, &[], &mut open)]
        {
            let service = Service::start(servers, secret).await?;
            let subject = Subject { service: &service, database: &database, tasks, tokens };
            subject.creates(MANY, Duration::from_secs(1)).await?;
            let what = if secret.is_some() { "creates with tokens" } else { "creates without" };
            figures.push(told(what, subject.creates(MANY, settings.run).await?));
            service.stop().await?;
        }
    }
    line("creates, 64 connections, 200 callers with tokens", &asked, "AUTH=off", &open)
}

fn mint(secret: &str) -> Result<Vec<String>, BenchError> {
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
        token::mint(&request, &secret.into(), now)
    };
    Ok((0..200).map(token).collect::<Result<_, _>>()?)
}
