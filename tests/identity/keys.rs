//! Keys on the network: fetched, kept, fetched again, each used with its own algorithm.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::service::{Answer, Service, platform, some_task};
use crate::support::tokens::{Issuer, SECRET, SigningKey, claims, signed, token};

async fn list(service: &Service, token: &str) -> Answer {
    service.send(service.request(reqwest::Method::GET, "/vtid/list").bearer_auth(token)).await
}

fn admin() -> Value {
    json!({"role": "admin", "sub": "boss"})
}

fn with_keys(issuer: &Issuer) -> [&str; 4] {
    ["--auth", "", "--jwks-url", &issuer.url]
}

#[tokio::test]
async fn each_key_is_used_with_its_own_algorithm() {
    let platform = platform().await;
    let (curve, rsa, stranger) = (SigningKey::es256("c1"), SigningKey::rs256("r1"), SigningKey::es256("c1"));
    let issuer = Issuer::start(&[&curve, &rsa]).await;
    let service = platform.serve_with(&with_keys(&issuer)).await;
    list(&service, &curve.token(&admin())).await.expect(200);
    list(&service, &rsa.token(&admin())).await.expect(200);
    // A token that names no key: there is only one for the algorithm.
    list(&service, &signed(&Header::new(Algorithm::ES256), &claims(&admin()), &curve.private))
        .await
        .expect(200);

    refuses_the_public_key_as_a_secret(&service, &rsa, "the token's algorithm is not accepted").await;
    // The right name, another key; the right key, another algorithm.
    let told = list(&service, &stranger.token(&admin())).await.expect(401);
    assert_eq!(told.body["detail"], "the token's signature is wrong");
    let header = Header { kid: Some("r1".to_owned()), ..Header::new(Algorithm::RS512) };
    let told = list(&service, &signed(&header, &claims(&admin()), &rsa.private)).await.expect(401);
    assert_eq!(told.body["detail"], "the token's algorithm is not accepted");
    let header = Header { kid: Some("c1".to_owned()), ..Header::new(Algorithm::RS256) };
    let told = list(&service, &signed(&header, &claims(&admin()), &rsa.private)).await.expect(401);
    assert_eq!(told.body["detail"], "the token's key is unknown");
    // The secret of another ledger does not open one that has none.
    list(&service, &token(&admin())).await.expect(401);
    assert_eq!(list(&service, &curve.token(&admin())).await.expect(200).position(), 0, "nothing was written");
}

#[tokio::test]
async fn a_secret_and_keys_may_stand_side_by_side() {
    let platform = platform().await;
    let (curve, rsa) = (SigningKey::es256("c1"), SigningKey::rs256("r1"));
    let issuer = Issuer::start(&[&curve, &rsa]).await;
    let service = platform.serve_with(&[&with_keys(&issuer)[..], &["--jwt-secret", SECRET]].concat()).await;
    for token in [token(&admin()), curve.token(&admin()), rsa.token(&admin())] {
        list(&service, &token).await.expect(200);
    }
    let forged = EncodingKey::from_secret(curve.public().to_string().as_bytes());
    list(&service, &signed(&Header::default(), &claims(&admin()), &forged)).await.expect(401);
    refuses_the_public_key_as_a_secret(&service, &rsa, "the token's signature is wrong").await;
    let stranger = SigningKey::rs256("r9").token(&admin());
    let write = service.with_body(reqwest::Method::POST, "/vtid/create", some_task("by an unknown key"));
    let told = service.send(write.bearer_auth(stranger)).await.expect(401);
    assert_eq!(told.body["detail"], "the token's key is unknown");
    assert_eq!(list(&service, &token(&admin())).await.expect(200).position(), 0, "nothing was written");
}

/// HS256 with what everybody may know.
async fn refuses_the_public_key_as_a_secret(service: &Service, rsa: &SigningKey, why: &str) {
    for secret in rsa.public_as_secrets() {
        for kid in [None, Some(rsa.id.to_owned())] {
            let header = Header { kid, ..Header::new(Algorithm::HS256) };
            let forged = signed(&header, &claims(&admin()), &EncodingKey::from_secret(&secret));
            let write = service.with_body(reqwest::Method::POST, "/vtid/create", some_task("forged"));
            let told = service.send(write.bearer_auth(&forged)).await.expect(401);
            assert_eq!(told.body["detail"], why);
        }
    }
}

#[tokio::test]
async fn an_unknown_key_has_the_set_fetched_again_once_a_minute_at_most() {
    let platform = platform().await;
    let (old, new) = (SigningKey::es256("old"), SigningKey::es256("new"));
    let issuer = Issuer::start(&[&old]).await;
    let service = platform.serve_with(&with_keys(&issuer)).await;
    list(&service, &old.token(&admin())).await.expect(200);
    assert_eq!(issuer.fetches(), 1);
    issuer.publish(&[old.public(), new.public()]);
    // The set is not a minute old, so nobody is bothered, however often somebody asks.
    for _ in 0..20 {
        let told = list(&service, &new.token(&admin())).await.expect(401);
        assert_eq!(told.body["detail"], "the token's key is unknown");
    }
    assert_eq!(issuer.fetches(), 1);
    list(&service, &old.token(&admin())).await.expect(200);
}

#[tokio::test]
async fn keys_of_other_kinds_are_left_out() {
    let platform = platform().await;
    let (curve, rsa) = (SigningKey::es256("c1"), SigningKey::rs256("r1"));
    let issuer = Issuer::start(&[]).await;
    let mut encryption = rsa.public();
    encryption["use"] = json!("enc");
    let mut other_algorithm = rsa.public();
    (other_algorithm["alg"], other_algorithm["kid"]) = (json!("PS256"), json!("r2"));
    let symmetric = json!({"kty": "oct", "kid": "s1", "alg": "HS256", "k": "c2VjcmV0"});
    let short = json!({"kty": "EC", "crv": "P-256", "kid": "c2", "x": "AA", "y": "AA"});
    issuer.publish(&[
        encryption,
        other_algorithm,
        symmetric,
        short,
        json!({"kty": "new"}),
        json!(5),
        curve.public(),
    ]);
    let service = platform.serve_with(&with_keys(&issuer)).await;
    list(&service, &curve.token(&admin())).await.expect(200);
    for (id, key) in [("r1", &rsa.private), ("r2", &rsa.private)] {
        let header = Header { kid: Some(id.to_owned()), ..Header::new(Algorithm::RS256) };
        list(&service, &signed(&header, &claims(&admin()), key)).await.expect(401);
    }
    let header = Header { kid: Some("s1".to_owned()), ..Header::new(Algorithm::HS256) };
    list(&service, &signed(&header, &claims(&admin()), &EncodingKey::from_secret(b"secret")))
        .await
        .expect(401);
}

/// Nobody is told that a token is bad which could not be looked at.
#[tokio::test]
async fn while_no_key_could_ever_be_fetched_callers_are_asked_to_try_again() {
    let platform = platform().await;
    let key = SigningKey::es256("c1");
    let issuer = Issuer::start(&[&key]).await;
    issuer.set_away(true);
    let service = platform.serve_with(&[&with_keys(&issuer)[..], &["--jwt-secret", SECRET]].concat()).await;
    let told = list(&service, &key.token(&admin())).await.expect(503);
    assert_eq!((&told.body["code"], told.header("retry-after")), (&json!("unavailable"), "1"));
    let degraded = async || {
        let request = service.request(reqwest::Method::GET, "/readyz").bearer_auth(token(&admin()));
        service.send(request).await.expect(200).body["degraded"].to_string()
    };
    eventually("the keys' absence is told", async || {
        let told = degraded().await;
        (told.contains("keys: the answer was 502") && told.contains("no token can be checked")).then_some(())
    })
    .await;
    issuer.set_away(false);
    eventually("the keys are fetched", async || {
        (list(&service, &key.token(&admin())).await.status == 200).then_some(())
    })
    .await;
    eventually("the keys are well again", async || (!degraded().await.contains("keys")).then_some(())).await;
}
