//! Claims and the checks of a token, with the secret alone; keys and their sets are the client tests' subject.

use serde_json::{Value, json};

use super::settings::{AuthArgs, AuthSettingError};
use super::*;
use crate::domain::origin::Role;
use crate::domain::text::ActorId;

const SECRET: &str = "a secret of thirty-two bytes, or more";
/// So that the library, which asks the machine for the time, and these tests agree.
const FAR: i64 = 4_000_000_000;

fn arguments() -> AuthArgs {
    AuthArgs { jwt_secret: None, jwks_url: None, auth: None, jwt_issuer: None, jwt_audience: None }
}

fn auth(expectations: Expectations) -> Auth {
    let settings = AuthSettings::Tokens { secret: Some(SECRET.into()), jwks_url: None, expectations };
    Auth::start(settings, Clock::system(), CancellationToken::new()).unwrap().0
}

fn sign(header: &Value, claims: &str, secret: &str) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
    let message = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims));
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

fn token(claims: &Value) -> String {
    sign(&json!({"alg": "HS256", "typ": "JWT"}), &claims.to_string(), SECRET)
}

async fn caller(claims: Value) -> Result<Caller, AuthError> {
    auth(Expectations::default()).caller(Ok(&token(&claims)), Patience::Some).await
}

fn actor(id: &str, role: Role, tenant: Option<&str>) -> Caller {
    let tenant = tenant.map(|tenant| crate::domain::text::Tenant::parse(tenant).unwrap());
    Caller::Actor(Actor { id: ActorId::parse(id).unwrap(), role, tenant })
}

#[tokio::test]
async fn claims_say_who_calls() {
    let longest = "ä".repeat(255);
    for (claims, expected) in [
        (json!({"role": "service_role", "exp": FAR}), actor("service_role", Role::ServiceRole, None)),
        (json!({"role": "admin", "sub": "u", "exp": FAR}), actor("u", Role::Admin, None)),
        (
            json!({"role": "authenticated", "sub": longest, "exp": FAR, "app_metadata": {"tenant": "acme"}}),
            actor(&longest, Role::Authenticated, Some("acme")),
        ),
        (
            json!({"role": "authenticated", "sub": "u", "exp": FAR, "tenant": "acme"}),
            actor("u", Role::Authenticated, Some("acme")),
        ),
        // What the issuer alone can set goes first, and user_metadata is nobody's word.
        (
            json!({"role": "authenticated", "sub": "u", "exp": FAR, "tenant": "b",
                "app_metadata": {"tenant": "a", "provider": "email"}, "user_metadata": {"tenant": "c", "role": "admin"}}),
            actor("u", Role::Authenticated, Some("a")),
        ),
        (
            json!({"role": "authenticated", "sub": "u", "exp": FAR, "app_metadata": {"role": "admin"}}),
            actor("u", Role::Admin, None),
        ),
        (json!({"sub": "u", "exp": FAR, "app_metadata": {"role": "admin"}}), actor("u", Role::Admin, None)),
        (
            json!({"role": "authenticated", "sub": "u", "exp": FAR, "app_metadata": {"role": ["admin"]}}),
            actor("u", Role::Authenticated, None),
        ),
        (
            json!({"role": "authenticated", "sub": null, "exp": FAR, "tenant": null, "app_metadata": null}),
            actor("authenticated", Role::Authenticated, None),
        ),
    ] {
        assert_eq!(caller(claims.clone()).await, Ok(expected), "{claims}");
    }
}

#[tokio::test]
async fn other_roles_have_no_rights_whatever_else_is_claimed() {
    let outsider = |name: &str| Ok(Caller::Outsider(ActorId::parse(name).unwrap()));
    let long = "x".repeat(300);
    for role in ["anon", "Admin", "root", "", " ", "a\u{0}", &long] {
        assert_eq!(caller(json!({"role": role, "exp": FAR})).await, outsider("anon"), "{role:?}");
    }
    assert_eq!(caller(json!({"exp": FAR})).await, outsider("anon"));
    assert_eq!(caller(json!({"role": "anon", "tenant": "A B", "exp": FAR})).await, outsider("anon"));
    for role in ["anon", "root"] {
        let claims = json!({"role": role, "sub": "u", "exp": FAR, "app_metadata": {"role": "admin"}});
        assert_eq!(caller(claims).await, outsider("u"), "{role}");
    }
}

#[tokio::test]
async fn claims_that_can_not_be() {
    for (claims, fault) in [
        (json!({"role": "admin", "sub": "", "exp": FAR}), TokenFault::Claim("sub")),
        (json!({"role": "admin", "sub": "x".repeat(256), "exp": FAR}), TokenFault::Claim("sub")),
        (json!({"role": "admin", "sub": "a\u{0}", "exp": FAR}), TokenFault::Claim("sub")),
        (json!({"role": "admin", "sub": "a\nb", "exp": FAR}), TokenFault::Claim("sub")),
        (json!({"role": "admin", "sub": "a\u{85}", "exp": FAR}), TokenFault::Claim("sub")),
        (json!({"role": "admin", "sub": 7, "exp": FAR}), TokenFault::Claims),
        (json!({"role": ["admin"], "exp": FAR}), TokenFault::Claims),
        (json!({"role": "admin", "app_metadata": "x", "exp": FAR}), TokenFault::Claims),
        (json!({"role": "authenticated", "tenant": "*", "exp": FAR}), TokenFault::Claim("tenant")),
        (json!({"role": "authenticated", "tenant": "Acme", "exp": FAR}), TokenFault::Claim("tenant")),
        (json!({"role": "authenticated", "tenant": "", "exp": FAR}), TokenFault::Claim("tenant")),
        (
            json!({"role": "authenticated", "tenant": "good", "app_metadata": {"tenant": "a.b"}, "exp": FAR}),
            TokenFault::Claim("tenant"),
        ),
        (json!({"role": "admin"}), TokenFault::Claims),
        (json!({"role": "admin", "exp": null}), TokenFault::Claims),
        (json!({"role": "admin", "exp": "4000000000"}), TokenFault::Claims),
        (json!({"role": "admin", "exp": -1}), TokenFault::Claim("exp")),
        (json!({"role": "admin", "exp": FAR, "nbf": "x"}), TokenFault::Claim("nbf")),
        (json!({"role": "admin", "exp": FAR, "nbf": FAR}), TokenFault::NotYetValid),
        (json!({"role": "admin", "exp": 1}), TokenFault::Expired),
        (json!([]), TokenFault::Claims),
        // What a list of the fields' values would say, in their order.
        (json!([FAR, "boss", "admin", null, null]), TokenFault::Claims),
        (json!({"role": "authenticated", "exp": FAR, "app_metadata": ["acme", "admin"]}), TokenFault::Claims),
    ] {
        assert_eq!(caller(claims.clone()).await, Err(fault.into()), "{claims}");
    }
    let auth = auth(Expectations::default());
    for twice in [
        r#"{"role":"authenticated","role":"admin","exp":4000000000}"#,
        r#"{"role":"admin","exp":1,"exp":4000000000}"#,
        r#"{"role":"authenticated","app_metadata":{"tenant":"a","tenant":"b"},"exp":4000000000}"#,
    ] {
        let token = sign(&json!({"alg": "HS256"}), twice, SECRET);
        assert_eq!(auth.caller(Ok(&token), Patience::Some).await, Err(TokenFault::Claims.into()), "{twice}");
    }
}

fn now_seconds() -> i64 {
    Clock::system().now().millis() / 1000
}

#[tokio::test]
async fn clocks_may_differ_by_half_a_minute() {
    for (claims, fault) in [
        (json!({"role": "admin", "exp": now_seconds() - 20}), None),
        (json!({"role": "admin", "exp": now_seconds() - 40}), Some(TokenFault::Expired)),
        (json!({"role": "admin", "exp": FAR, "nbf": now_seconds() + 20}), None),
        (json!({"role": "admin", "exp": FAR, "nbf": now_seconds() + 60}), Some(TokenFault::NotYetValid)),
        (json!({"role": "admin", "exp": 4_000_000_000.5}), None),
    ] {
        assert_eq!(caller(claims.clone()).await.err(), fault.map(AuthError::Token), "{claims}");
    }
}

/// A token that was found right is remembered, but not for longer than it is right.
#[tokio::test]
async fn a_remembered_token_still_expires() {
    use std::sync::atomic::{AtomicI64, Ordering};
    let shift = Arc::new(AtomicI64::new(0));
    let ahead = Arc::clone(&shift);
    let clock = Clock::new(move || {
        let now = Clock::system().now().millis() + ahead.load(Ordering::SeqCst);
        crate::domain::time::Timestamp::from_millis(now)
    });
    let settings = AuthSettings::Tokens {
        secret: Some(SECRET.into()),
        jwks_url: None,
        expectations: Expectations::default(),
    };
    let auth = Auth::start(settings, clock, CancellationToken::new()).unwrap().0;
    let token = token(&json!({"role": "admin", "exp": now_seconds() + 100}));
    for _ in 0..2 {
        assert_eq!(auth.caller(Ok(&token), Patience::Some).await, Ok(actor("admin", Role::Admin, None)));
    }
    shift.store(140_000, Ordering::SeqCst);
    assert_eq!(auth.caller(Ok(&token), Patience::Some).await, Err(TokenFault::Expired.into()));
}

#[tokio::test]
async fn issuer_and_audience_are_asked_for_where_they_are_set() {
    let auth = auth(Expectations { issuer: Some("me".to_owned()), audience: Some("you".to_owned()) });
    for (claims, fault) in [
        (json!({"role": "admin", "exp": FAR, "iss": "me", "aud": "you"}), None),
        (json!({"role": "admin", "exp": FAR, "iss": "me", "aud": ["x", "you"]}), None),
        (json!({"role": "admin", "exp": FAR, "iss": "other", "aud": "you"}), Some(TokenFault::Issuer)),
        (json!({"role": "admin", "exp": FAR, "iss": "me", "aud": "other"}), Some(TokenFault::Audience)),
        (json!({"role": "admin", "exp": FAR, "iss": "me", "aud": []}), Some(TokenFault::Audience)),
        (json!({"role": "admin", "exp": FAR, "iss": "me"}), Some(TokenFault::Claim("aud"))),
        (json!({"role": "admin", "exp": FAR, "aud": "you"}), Some(TokenFault::Claim("iss"))),
        (json!({"role": "admin", "exp": FAR, "iss": 5, "aud": "you"}), Some(TokenFault::Claim("iss"))),
    ] {
        let answer = auth.caller(Ok(&token(&claims)), Patience::Some).await;
        assert_eq!(answer.err(), fault.map(AuthError::Token), "{claims}");
    }
    // Without, a token may say what it likes.
    let claims = json!({"role": "admin", "exp": FAR, "iss": "x", "aud": "y"});
    assert!(caller(claims).await.is_ok());
}

#[tokio::test]
async fn tokens_that_are_not_signed_as_they_must_be() {
    let auth = auth(Expectations::default());
    let claims = json!({"role": "admin", "exp": FAR}).to_string();
    let good = sign(&json!({"alg": "HS256"}), &claims, SECRET);
    let parts: Vec<_> = good.split('.').collect();
    let [header, body, signature] = parts[..] else { panic!("{good}") };
    let none = sign(&json!({"alg": "none"}), &claims, SECRET);
    let unsigned = none.rsplit_once('.').unwrap().0;
    let tampered = sign(&json!({"alg": "HS256"}), r#"{"role":"service_role","exp":4000000000}"#, SECRET);
    let other_body = tampered.split('.').nth(1).unwrap();
    for (token, fault) in [
        (
            sign(&json!({"alg": "HS256"}), &claims, "another secret of thirty-two bytes!"),
            TokenFault::Signature,
        ),
        (format!("{header}.{other_body}.{signature}"), TokenFault::Signature),
        (format!("{header}.{body}."), TokenFault::Signature),
        (format!("{header}.{body}.{}", &signature[1..]), TokenFault::Signature),
        (format!("{header}.{body}"), TokenFault::Malformed),
        (format!("{good}.x"), TokenFault::Malformed),
        (format!("{header}.{body}.ä"), TokenFault::Malformed),
        (format!("{unsigned}."), TokenFault::Algorithm),
        (none.clone(), TokenFault::Algorithm),
        (sign(&json!({"alg": "None"}), &claims, SECRET), TokenFault::Algorithm),
        (sign(&json!({"alg": "HS512"}), &claims, SECRET), TokenFault::Algorithm),
        (sign(&json!({"alg": "RS256"}), &claims, SECRET), TokenFault::Algorithm),
        (sign(&json!({"alg": "ES256", "kid": "x"}), &claims, SECRET), TokenFault::Algorithm),
        (sign(&json!({"typ": "JWT"}), &claims, SECRET), TokenFault::Algorithm),
        (
            sign(&json!({"alg": "HS256", "crit": ["b64"], "b64": false}), &claims, SECRET),
            TokenFault::Malformed,
        ),
        ("x".to_owned(), TokenFault::Malformed),
        ("..".to_owned(), TokenFault::Malformed),
        ("x".repeat(TOKEN_BYTES_MAX + 1), TokenFault::TooLong),
    ] {
        assert_eq!(auth.caller(Ok(&token), Patience::Some).await, Err(fault.into()), "{token}");
    }
    assert!(auth.caller(Ok(&good), Patience::Some).await.is_ok());
}

#[test]
fn serve_must_be_told_who_may_call() {
    let set = |text: &str| Some(text.to_owned());
    let secret = |text: &str| Some(text.into());
    assert_eq!(arguments().settings().err(), Some(AuthSettingError::Missing));
    assert!(arguments().settings_or_open().is_ok_and(|settings| settings == AuthSettings::Open));
    let off = AuthArgs { auth: set("off"), jwt_secret: secret(""), ..arguments() };
    assert!(off.settings().is_ok_and(|settings| settings == AuthSettings::Open));
    for (wrong, error) in [
        (AuthArgs { auth: set("on"), ..arguments() }, AuthSettingError::UnknownMode("on".to_owned())),
        (
            AuthArgs { auth: set("off"), jwt_secret: secret(SECRET), ..arguments() },
            AuthSettingError::Contradiction("JWT_SECRET"),
        ),
        (
            AuthArgs { auth: set("off"), jwks_url: set("x"), ..arguments() },
            AuthSettingError::Contradiction("JWKS_URL"),
        ),
        (AuthArgs { jwt_secret: secret(&"x".repeat(31)), ..arguments() }, AuthSettingError::ShortSecret),
        (AuthArgs { jwt_issuer: set("me"), ..arguments() }, AuthSettingError::Missing),
        (
            AuthArgs { jwks_url: set("ftp://x/y"), ..arguments() },
            AuthSettingError::Url("ftp is not".to_owned()),
        ),
    ] {
        assert_eq!(wrong.settings().err(), Some(error.clone()));
        assert_eq!(wrong.settings_or_open().err(), Some(error));
    }
    let both = AuthArgs { jwt_secret: secret(&"x".repeat(32)), jwks_url: set("https://x/y"), ..arguments() };
    assert!(both.settings().is_ok());
}

#[test]
fn keys_from_elsewhere_over_plain_http_are_told_of() {
    for (url, host) in [
        ("http://keys.example/jwks", Some("keys.example")),
        ("http://10.0.0.7:8000/jwks", Some("10.0.0.7")),
        ("https://keys.example/jwks", None),
        ("http://localhost:9/jwks", None),
        ("http://127.0.0.1:9/jwks", None),
        ("http://[::1]:9/jwks", None),
    ] {
        let arguments = AuthArgs { jwks_url: Some(url.to_owned()), ..arguments() };
        assert_eq!(arguments.settings().ok().unwrap().keys_in_the_clear().as_deref(), host, "{url}");
    }
    let secret = AuthArgs { jwt_secret: Some(SECRET.into()), ..arguments() };
    assert!(!format!("{secret:?}").contains(SECRET), "a secret is not to be printed");
}

#[tokio::test]
async fn a_minted_token_is_one_that_is_taken() {
    let request = token::TokenRequest {
        role: Role::Authenticated,
        subject: Some(ActorId::parse("ann").unwrap()),
        tenant: Some(crate::domain::text::Tenant::parse("acme").unwrap()),
        ttl_seconds: 60,
        issuer: Some("me".to_owned()),
        audience: Some("you".to_owned()),
    };
    let token = token::mint(&request, &SECRET.into(), Clock::system().now()).unwrap();
    let auth = auth(Expectations { issuer: Some("me".to_owned()), audience: Some("you".to_owned()) });
    assert_eq!(
        auth.caller(Ok(&token), Patience::Some).await,
        Ok(actor("ann", Role::Authenticated, Some("acme")))
    );
}
