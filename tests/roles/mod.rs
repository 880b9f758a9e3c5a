//! Who may do what, for whoever comes with SQL.

mod own;
mod rule;
mod setup;
mod statements;
mod upgrade;

use sqlx::PgConnection;

/// The readers' roles, which are Supabase's.
const READERS: [&str; 2] = ["service_role", "authenticated"];
const WRITER: &str = "vtid_ledger_writer";
const PROJECTOR: &str = "vtid_ledger_projector";

/// The code of a refusal for want of a right.
const NO_RIGHT: &str = "42501";

/// Everything that the ledger's tables hold, in few words.
async fn fingerprint(owner: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar(
        r#"select 'event ' || md5(string_agg(e::text, '' order by e.position)) from ledger.event e
           union all select 'rows ' || md5(string_agg(t::text, '' order by t.vtid)) from "VtidLedger" t
           union all select 'identity ' || string_agg(i::text, '') from ledger.identity i
           union all select 'losses ' || count(*) from ledger.accepted_loss
           union all select 'hold ' || count(*) from ledger.hold
           union all select 'snapshots ' || count(*) from ledger.snapshot
           union all select 'progress ' || max(position) from ledger.progress
           union all select 'projection ' || string_agg(p::text, '') from ledger.projection p
           union all select 'leases ' || count(*) from ledger.lease"#,
    )
    .fetch_all(owner)
    .await
    .unwrap()
}
