//! Subject wildcards and look-alikes in `tenant`, which is a part of subjects.

use super::ledger::{Ledger, create_with, encoded, payload, query, quoted};
use crate::support::eventually;

#[tokio::test]
async fn tenants_that_are_no_subject_token() {
    let ledger = Ledger::start().await;
    let too_long = "t".repeat(64);
    for tenant in [
        "",
        " ",
        "*",
        ">",
        "t.",
        ".t",
        "a.b",
        "a*",
        "*a",
        "a>",
        "oasis.>",
        "a b",
        " a",
        "a ",
        "a\t",
        "a\n",
        "\na",
        "a\r\n",
        "A",
        "aB",
        "SYSTEM",
        "-a",
        "_a",
        "$SYS",
        "a$",
        "a/b",
        "a\\b",
        "a%",
        "a'b",
        "a\"b",
        "a;b",
        "a,b",
        "a:b",
        "a@b",
        // Cyrillic а, Greek ο, full-width, Turkish dotless ı, a ligature, an accent of its own, Arabic and full-width digits.
        "\u{430}cme",
        "\u{3bf}asis",
        "\u{ff41}cme",
        "s\u{131}stem",
        "\u{fb01}x",
        "acme\u{301}",
        "é",
        "٣",
        "１",
        // Zero-width, soft hyphen, byte order mark, right-to-left override, no-break space, hyphens that are none.
        "a\u{200b}",
        "\u{200d}a",
        "a\u{2060}b",
        "a\u{ad}b",
        "\u{feff}a",
        "a\u{202e}b",
        "a\u{a0}b",
        "a\u{2010}b",
        "a\u{2013}b",
        "🚀",
        "a\u{7f}",
        "a\u{85}",
        "null\u{0}",
        &too_long,
    ] {
        let body = create_with(&[("tenant", &quoted(tenant))]);
        ledger.refuses(ledger.post(body), &payload(&["tenant"]), tenant).await;
        let path = format!("/vtid/list?tenant={}", encoded(tenant));
        ledger.refuses(ledger.get(&path), &query(&["tenant"]), &path).await;
    }
    // A patch has no tenant at all.
    let moved = "{\"tenant\":\"other\",\"status\":\"active\"}";
    ledger.refuses(ledger.patch(moved), &payload(&["tenant"]), moved).await;
}

/// What looks odd and is allowed stands as it is in the subject.
#[tokio::test]
async fn odd_tenants_that_are_a_subject_token() {
    let ledger = Ledger::start().await;
    let tenants = ["0", "a", "a-", "a_", "0-_-0", "null", "oasis", "vtid-ledger", &"t".repeat(63)];
    let client = async_nats::connect(ledger.platform.nats.url()).await.unwrap();
    let stream = async_nats::jetstream::new(client).get_stream("OASIS_VTID_LEDGER").await.unwrap();
    for tenant in tenants {
        let taken = ledger.takes(ledger.post(create_with(&[("tenant", &quoted(tenant))]))).await;
        assert_eq!(taken.body["data"]["tenant"], tenant);
        let message =
            eventually("its message", async || stream.get_raw_message(taken.position()).await.ok()).await;
        assert_eq!(message.subject.as_str(), format!("oasis.{tenant}.vtid-ledger.vtid-created"));
        let listed = ledger.service.get(&format!("/vtid/list?tenant={tenant}")).await.expect(200);
        assert_eq!(listed.body["data"][0]["vtid"], taken.vtid());
    }
}
