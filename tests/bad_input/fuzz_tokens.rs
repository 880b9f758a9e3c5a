//! Tokens that were genuine, and then changed: none is accepted, whatever was changed.

use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;
use vtid_ledger::auth::Auth;
use vtid_ledger::auth::jwks::Patience;
use vtid_ledger::auth::settings::AuthSettings;
use vtid_ledger::auth::verify::Expectations;
use vtid_ledger::clock::Clock;

use super::mutate::{cases, mutated_text};
use crate::support::tokens::{SECRET, authenticated};

const BASE64URL: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn auth() -> Auth {
    let settings = AuthSettings::Tokens {
        secret: Some(SECRET.into()),
        jwks_url: None,
        expectations: Expectations::default(),
    };
    Auth::start(settings, Clock::system(), CancellationToken::new()).unwrap().0
}

/// Changes on the whole, and of its three parts: put together in another way, or with a header of the caller's own.
fn tokens(genuine: &str) -> BoxedStrategy<String> {
    let parts: Vec<String> = genuine.split('.').map(str::to_owned).collect();
    let headers = [
        "eyJhbGciOiJub25lIn0",                                      // {"alg":"none"}
        "eyJhbGciOiJIUzI1NiIsImFsZyI6Im5vbmUifQ",                   // {"alg":"HS256","alg":"none"}
        "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9",                     // {"alg":"RS256","typ":"JWT"}
        "eyJhbGciOiJIUzM4NCJ9",                                     // {"alg":"HS384"}
        "eyJhbGciOiJIUzI1NiIsImNyaXQiOlsiYjY0Il0sImI2NCI6ZmFsc2V9", // {"alg":"HS256","crit":["b64"],"b64":false}
        "eyJhbGciOiJIUzI1NiJ9", // {"alg":"HS256"}, which is not how it was signed
        "",
    ];
    let part = prop_oneof![
        proptest::sample::select(parts.clone()),
        proptest::sample::select(headers.to_vec()).prop_map(str::to_owned),
        "[A-Za-z0-9_-]{0,60}",
    ];
    prop_oneof![
        6 => mutated_text(Just(genuine.to_owned()), 3),
        2 => proptest::collection::vec(part, 0..5).prop_map(|parts| parts.join(".")),
        1 => any::<String>(),
        1 => (0usize..9_000).prop_map(|count| "a".repeat(count)),
    ]
    .boxed()
}

#[test]
fn fuzz_changed_tokens() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let (auth, genuine) = (auth(), authenticated("ann", "acme"));
    let accepted = |token: &str| runtime.block_on(auth.caller(Ok(token), Patience::None)).is_ok();
    // Also while the genuine one is remembered.
    assert!(accepted(&genuine));
    let outcome = TestRunner::new(cases(10_000)).run(&tokens(&genuine), |token| {
        if accepted(&token) == (token == genuine) { Ok(()) } else { Err(TestCaseError::fail("accepted")) }
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

/// The last character of each part has bits that mean nothing: they must be as they are.
#[test]
fn fuzz_every_change_of_one_character_of_a_token() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let (auth, genuine) = (auth(), authenticated("ann", "acme"));
    for (at, was) in genuine.char_indices() {
        for other in BASE64URL.chars().chain(['.', '=', '+', '/']).filter(|other| *other != was) {
            let mut token = genuine.clone();
            token.replace_range(at..=at, &other.to_string());
            assert!(runtime.block_on(auth.caller(Ok(&token), Patience::None)).is_err(), "{token}");
        }
    }
}
