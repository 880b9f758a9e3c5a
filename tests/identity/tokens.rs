//! Tokens as they should not be, and `vtid-ledger token`.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::support::service::{Service, platform, some_task};
use crate::support::tokens::{SECRET, WITH_SECRET, claims, now_seconds, signed, token};

async fn create(service: &Service, authorization: &[&str]) -> (u16, String, Value) {
    let mut request = service.with_body(reqwest::Method::POST, "/vtid/create", some_task("by token"));
    for value in authorization {
        request = request.header("authorization", *value);
    }
    let answer = service.send(request).await;
    (answer.status.as_u16(), answer.header("www-authenticate").to_owned(), answer.body["detail"].clone())
}

#[tokio::test]
async fn bad_tokens_are_refused_with_what_is_wrong_and_write_nothing() {
    let platform = platform().await;
    let arguments = [&WITH_SECRET[..], &["--jwt-issuer", "me", "--jwt-audience", "you"]].concat();
    let service = platform.serve_with(&arguments).await;
    let good = json!({"role": "admin", "iss": "me", "aud": "you"});
    let with = |name: &str, value: Value| {
        let mut more = good.clone();
        more[name] = value;
        token(&more)
    };
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let hs512 = signed(&Header::new(Algorithm::HS512), &claims(&good), &key);
    let other_key = EncodingKey::from_secret(b"another secret of the same length, or so");
    let forged = signed(&Header::default(), &claims(&good), &other_key);
    let valid = token(&good);
    let (message, signature) = valid.rsplit_once('.').unwrap();
    // {"alg":"none"} and {"alg":"None"}
    let body = message.split('.').nth(1).unwrap();
    let unsigned = format!("eyJhbGciOiJub25lIn0.{body}.");
    let unsigned_too = format!("eyJhbGciOiJOb25lIn0.{body}.{signature}");
    let mut no_exp = good.clone();
    no_exp["exp"] = Value::Null;
    for (token, told) in [
        (with("exp", json!(now_seconds() - 31)), "the token has expired"),
        (with("nbf", json!(now_seconds() + 60)), "the token is not valid yet"),
        (with("aud", json!("them")), "the token is for another audience"),
        (with("iss", json!("them")), "the token is of another issuer"),
        (token(&no_exp), "the token's claims can't be read"),
        (with("sub", json!("x".repeat(256))), "the token's sub claim is missing or can't be used"),
        (with("sub", json!("a\u{7f}")), "the token's sub claim is missing or can't be used"),
        (with("tenant", json!("oasis.>")), "the token's tenant claim is missing or can't be used"),
        (hs512, "the token's algorithm is not accepted"),
        (unsigned, "the token's algorithm is not accepted"),
        (unsigned_too, "the token's algorithm is not accepted"),
        (forged, "the token's signature is wrong"),
        (format!("{message}x.{signature}"), "the token's signature is wrong"),
        ("a.b.c".to_owned(), "the token is malformed"),
        ("x".repeat(10_000), "the token is too long"),
    ] {
        let (status, challenge, detail) = create(&service, &[&format!("Bearer {token}")]).await;
        assert_eq!((status, detail), (401, json!(told)), "{token}");
        let expected =
            format!(r#"Bearer realm="vtid-ledger", error="invalid_token", error_description="{told}""#);
        assert_eq!(challenge, expected);
    }
    let bearer = format!("Bearer {valid}");
    for wrong in [&["Basic YTpi"][..], &[&valid], &["Bearer"], &[&bearer, &bearer]] {
        let (status, challenge, detail) = create(&service, wrong).await;
        assert_eq!(
            (status, detail),
            (401, json!("the Authorization header must be one, and be: Bearer <token>"))
        );
        assert_eq!(challenge, r#"Bearer realm="vtid-ledger""#);
    }
    let (status, challenge, _) = create(&service, &[]).await;
    assert_eq!((status, challenge.as_str()), (401, r#"Bearer realm="vtid-ledger""#));

    let list = service.request(reqwest::Method::GET, "/vtid/list").header("authorization", &bearer);
    assert_eq!(service.send(list).await.expect(200).position(), 0, "nothing was written");
    assert_eq!(create(&service, &[&bearer]).await.0, 200);
    assert_eq!(create(&service, &[&format!("bearer {valid}")]).await.0, 200);
    let log = service.log_text();
    assert!(!log.contains(signature) && !log.contains(SECRET), "a token or the secret is in the log");
}

#[tokio::test]
async fn a_minted_token_opens_the_ledger() {
    let platform = platform().await;
    let service = platform.serve_with(&WITH_SECRET).await;
    let mint = async |more: &[&str]| platform.run(&[&["token", "--jwt-secret", SECRET], more].concat()).await;
    let token = mint(&["--role", "authenticated", "--tenant", "system", "--sub", "ann", "--ttl", "15m"])
        .await
        .succeeded();
    let bearer = format!("Bearer {}", token.trim());
    assert_eq!(create(&service, &[&bearer]).await.0, 200);
    let mut connection = platform.connection().await;
    let who = "select actor || ' ' || actor_role || ' ' || actor_tenant from ledger.event";
    let who: String = sqlx::query_scalar(who).fetch_one(&mut connection).await.unwrap();
    assert_eq!(who, "ann authenticated system");
    for (wrong, named) in [
        (&["--role", "anon"][..], "service_role"),
        (&["--role", "admin", "--tenant", "A"], "tenant"),
        (&["--role", "admin", "--ttl", "0s"], "ttl"),
        (&["--role", "admin", "--sub", ""], "sub"),
        (&[], "--role"),
    ] {
        let told = mint(wrong).await.failed();
        assert!(told.contains(named), "{told}");
    }
    let told = platform.run(&["token", "--jwt-secret", "short", "--role", "admin"]).await.failed();
    assert!(told.contains("32 bytes"), "{told}");
}
