//! What a ledger takes on disk.

use sqlx::PgConnection;
use vtid_ledger::oasis::stream::DEFAULT_NAME;

use crate::BenchError;
use crate::figures::as_f64;
use crate::report::put;
use crate::servers::Ledger;

/// A table or an index, or the stream.
pub(crate) struct Size {
    pub(crate) name: String,
    pub(crate) bytes: u64,
}

/// Everything that grows.
pub(crate) struct Sizes {
    pub(crate) parts: Vec<Size>,
    /// Where the write-ahead log stands.
    pub(crate) wal: u64,
}

impl Sizes {
    /// Of a ledger whose followers have caught up.
    pub(crate) async fn of(ledger: &Ledger) -> Result<Self, BenchError> {
        let mut connection = ledger.connect().await?;
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "select c.relname::text, case c.relkind when 'i' then pg_relation_size(c.oid) else pg_table_size(c.oid) end
             from pg_class c left join pg_index i on i.indexrelid = c.oid
             where c.relkind in ('r', 'i') and coalesce(i.indrelid, c.oid) in (
                 'ledger.event'::regclass, 'public.\"VtidLedger\"'::regclass, 'ledger.snapshot'::regclass,
                 'ledger.progress'::regclass)
             order by coalesce(i.indrelid, c.oid), c.relkind desc, c.relname",
        )
        .fetch_all(&mut connection)
        .await?;
        let mut parts: Vec<Size> = rows
            .into_iter()
            .map(|(name, bytes)| Size { name, bytes: u64::try_from(bytes).unwrap_or(0) })
            .collect();
        let wal = wal(&mut connection).await?;
        sqlx::Connection::close(connection).await?;
        parts.push(Size { name: "NATS stream".to_owned(), bytes: stream(ledger).await? });
        Ok(Self { parts, wal })
    }

    /// Of all but the stream.
    pub(crate) fn bytes(&self, is_meant: impl Fn(&str) -> bool) -> u64 {
        self.parts.iter().filter(|part| is_meant(&part.name)).map(|part| part.bytes).sum()
    }

    /// A table of what so many events take, by the million.
    pub(crate) fn by_million(&self, events: u64) -> String {
        let mut table = String::from("| table, index or stream | MB a million events |\n|---|--:|\n");
        for Size { name, bytes } in &self.parts {
            let million = as_f64(*bytes) / as_f64(events.max(1));
            put(&mut table, format_args!("| {name} | {million:.1} |\n"));
        }
        table
    }
}

async fn wal(connection: &mut PgConnection) -> Result<u64, BenchError> {
    let at: i64 = sqlx::query_scalar("select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint")
        .fetch_one(connection)
        .await?;
    Ok(u64::try_from(at).unwrap_or(0))
}

async fn stream(ledger: &Ledger) -> Result<u64, BenchError> {
    let client = async_nats::connect(ledger.nats_url()).await;
    let client = client.map_err(|error| BenchError::Nats(error.into()))?;
    let stream = async_nats::jetstream::new(client).get_stream(DEFAULT_NAME).await;
    let stream = stream.map_err(|error| BenchError::Nats(error.into()))?;
    Ok(stream.cached_info().state.bytes)
}
