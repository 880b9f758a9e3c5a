//! Reads while the database is away; what they answer when it is there is the client tests' subject.

use super::support::*;

#[tokio::test]
async fn reads_say_that_they_can_be_tried_again() {
    let server = start().await;
    for path in [
        "/vtid/VTID-2026-0001",
        "/vtid/VTID-2025-0000",
        "/vtid/list",
        "/vtid/list?status=active&limit=5",
        "/vtid/list?parentVtid=VTID-2025-0000",
    ] {
        let response = server.request("GET", path).header("ledger-min-position", "0").send().await.unwrap();
        error(response, 503, "Unavailable", "unavailable").await;
    }
}

#[tokio::test]
async fn readiness_is_what_the_process_says() {
    let server = start().await;
    let response = server.request("GET", "/readyz").send().await.unwrap();
    let detail = error(response, 503, "Unavailable", "unavailable").await;
    assert_eq!(detail["reason"], "starting");
}
