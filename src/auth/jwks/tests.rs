//! Requests that need keys, and an issuer over real HTTP.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// Serves what is put into it, as often as it is asked.
struct Issuer {
    url: Url,
    answer: Arc<Mutex<String>>,
    fetches: Arc<AtomicUsize>,
}

async fn issuer(answer: &str) -> Issuer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/keys", listener.local_addr().unwrap())).unwrap();
    let answer = Arc::new(Mutex::new(answer.to_owned()));
    let fetches = Arc::new(AtomicUsize::new(0));
    let issuer = Issuer { url, answer: Arc::clone(&answer), fetches: Arc::clone(&fetches) };
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            fetches.fetch_add(1, Ordering::SeqCst);
            let answer = answer.lock().unwrap().clone();
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    issuer
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn set(ids: &[&str]) -> String {
    let coordinate = "A".repeat(43);
    let key =
        |id| format!(r#"{{"kty":"EC","crv":"P-256","kid":"{id}","x":"{coordinate}","y":"{coordinate}"}}"#);
    let keys: Vec<String> = ids.iter().map(key).collect();
    ok(&format!(r#"{{"keys":[{}]}}"#, keys.join(",")))
}

async fn find(jwks: &Jwks, id: &str) -> &'static str {
    match jwks.find(Some(id), Algorithm::ES256, Patience::Some).await {
        Lookup::Found(_) => "found",
        Lookup::Unknown => "unknown",
        Lookup::Away => "away",
    }
}

/// Lets the clock of timers, which stands still else, pass by so much.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_thousand_requests_with_a_new_key_have_the_set_fetched_once() {
    let issuer = issuer(&set(&["old"])).await;
    let (jwks, _task) = Jwks::start(issuer.url.clone(), CancellationToken::new()).unwrap();
    assert_eq!(find(&jwks, "old").await, "found", "the first request waits for the first fetch");
    *issuer.answer.lock().unwrap() = set(&["old", "new"]);
    assert_eq!(find(&jwks, "new").await, "unknown", "the set is not a minute old");
    assert_eq!(issuer.fetches.load(Ordering::SeqCst), 1);
    pass(Duration::from_secs(61)).await;
    let found = futures::future::join_all((0..60).map(|_| find(&jwks, "new"))).await;
    assert!(found.iter().all(|found| *found == "found"), "{found:?}");
    assert_eq!(issuer.fetches.load(Ordering::SeqCst), 2);
    // And the next minute, for a key that is nowhere.
    pass(Duration::from_secs(61)).await;
    let found = futures::future::join_all((0..60).map(|_| find(&jwks, "nowhere"))).await;
    assert!(found.iter().all(|found| *found == "unknown"), "{found:?}");
    assert_eq!(issuer.fetches.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_set_is_fetched_again_by_itself_so_that_withdrawn_keys_go() {
    let issuer = issuer(&set(&["a", "b"])).await;
    let (jwks, _task) = Jwks::start(issuer.url.clone(), CancellationToken::new()).unwrap();
    assert_eq!(find(&jwks, "a").await, "found");
    let generation = jwks.generation();
    *issuer.answer.lock().unwrap() = set(&["b"]);
    pass(Duration::from_mins(11)).await;
    let mut known = jwks.known.clone();
    known.wait_for(|known| known.generation > generation).await.unwrap();
    assert_eq!((find(&jwks, "a").await, find(&jwks, "b").await), ("unknown", "found"));
}

#[tokio::test]
async fn while_the_address_is_away_known_keys_are_good_and_new_ones_uncertain() {
    let issuer = issuer(&set(&["a"])).await;
    let (jwks, _task) = Jwks::start(issuer.url.clone(), CancellationToken::new()).unwrap();
    assert_eq!(find(&jwks, "a").await, "found");
    // A redirection is no answer either.
    for away in ["HTTP/1.1 502 Bad Gateway\r\n", "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\n"] {
        *issuer.answer.lock().unwrap() = format!("{away}content-length: 0\r\nconnection: close\r\n\r\n");
        pass(Duration::from_secs(61)).await;
        assert_eq!((find(&jwks, "b").await, find(&jwks, "a").await), ("away", "found"));
        assert!(jwks.watch().trouble().is_some());
    }
    *issuer.answer.lock().unwrap() = set(&["a", "b"]);
    pass(Duration::from_secs(61)).await;
    assert_eq!(find(&jwks, "b").await, "found");
    assert_eq!(jwks.watch().trouble(), None);
}

/// Whoever watches the process does not wait, nor do more requests than there are places.
#[tokio::test]
async fn few_wait_for_an_address_that_does_not_answer() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/keys", silent.local_addr().unwrap())).unwrap();
    let (jwks, _task) = Jwks::start(url, CancellationToken::new()).unwrap();
    let now = jwks.find(Some("a"), Algorithm::ES256, Patience::None).await;
    assert!(matches!(now, Lookup::Away));
    let jwks = Arc::new(jwks);
    let waiting: Vec<_> = (0..WAITING_MAX)
        .map(|_| {
            let jwks = Arc::clone(&jwks);
            tokio::spawn(async move { find(&jwks, "a").await })
        })
        .collect();
    while jwks.waiting.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(find(&jwks, "a").await, "away", "at once");
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap(), "away");
    }
}

/// A token that was found right is remembered, but not beyond its key.
#[tokio::test]
async fn a_remembered_token_goes_with_its_key() {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
    use jsonwebtoken::jwk::Jwk;
    use jsonwebtoken::{EncodingKey, Header};

    use crate::auth::settings::AuthSettings;
    use crate::auth::verify::{Expectations, TokenFault};
    use crate::auth::{Auth, AuthError};
    use crate::clock::Clock;

    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let private = EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref());
    let mut public = Jwk::from_encoding_key(&private, Algorithm::ES256).unwrap();
    public.common.key_id = Some("a".to_owned());
    let issuer = issuer(&ok(&serde_json::json!({"keys": [public]}).to_string())).await;
    let header = Header { kid: Some("a".to_owned()), ..Header::new(Algorithm::ES256) };
    let claims = serde_json::json!({"role": "admin", "exp": 4_000_000_000_u64});
    let token = jsonwebtoken::encode(&header, &claims, &private).unwrap();

    let jwks_url = Some(issuer.url.clone());
    let settings = AuthSettings::Tokens { secret: None, jwks_url, expectations: Expectations::default() };
    let (auth, _task) = Auth::start(settings, Clock::system(), CancellationToken::new()).unwrap();
    for _ in 0..2 {
        assert!(auth.caller(Ok(&token), Patience::Some).await.is_ok());
    }
    *issuer.answer.lock().unwrap() = set(&["b"]);
    pass(Duration::from_mins(11)).await;
    let mut known = auth.keys().unwrap().0;
    known.wait_for(|known| known.generation > 1).await.unwrap();
    let refused = auth.caller(Ok(&token), Patience::Some).await;
    assert_eq!(refused, Err(AuthError::Token(TokenFault::UnknownKey)));
}
