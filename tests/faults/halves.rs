//! Clients that send half a request and go.

use std::time::Duration;

use fastrand::Rng;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::service::some_task;

/// Sends some of them, one after another; gives how many.
pub(crate) async fn send(base: &str, random: &mut Rng) -> usize {
    let address = base.strip_prefix("http://").unwrap();
    let body = some_task("half of it");
    let whole = format!(
        "POST /vtid/create HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         x-request-id: half\r\nidempotency-key: half\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let count = random.usize(20..60);
    for _ in 0..count {
        // It may be that the ledger was struck as well.
        let Ok(mut connection) = TcpStream::connect(address).await else { continue };
        let part = &whole.as_bytes()[..random.usize(1..whole.len())];
        let _ = connection.write_all(part).await;
        tokio::time::sleep(Duration::from_millis(random.u64(..30))).await;
    }
    count
}
