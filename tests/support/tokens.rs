//! Tokens: by the shared secret, and by an issuer whose keys are on the network.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RsaKeyPair};
use axum::http::StatusCode;
use axum::routing;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use vtid_ledger::clock::Clock;

/// The secret of a ledger under test.
pub(crate) const SECRET: &str = "the secret of a ledger under test, long enough";

/// Arguments of a `serve` that asks for tokens by the secret.
pub(crate) const WITH_SECRET: [&str; 4] = ["--auth", "", "--jwt-secret", SECRET];

pub(crate) fn now_seconds() -> i64 {
    Clock::system().now().millis() / 1000
}

/// Claims that are good for an hour, with these besides.
pub(crate) fn claims(more: &Value) -> Value {
    let mut claims = json!({"exp": now_seconds() + 3_600});
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    claims
}

/// A token by the secret.
pub(crate) fn token(more: &Value) -> String {
    signed(&Header::default(), &claims(more), &EncodingKey::from_secret(SECRET.as_bytes()))
}

/// Somebody who signed in, with a tenant.
pub(crate) fn authenticated(sub: &str, tenant: &str) -> String {
    token(&json!({"sub": sub, "role": "authenticated", "app_metadata": {"tenant": tenant}}))
}

pub(crate) fn signed(header: &Header, claims: &Value, key: &EncodingKey) -> String {
    jsonwebtoken::encode(header, claims, key).unwrap()
}

/// A private key, its name, and its algorithm.
#[derive(Clone)]
pub(crate) struct SigningKey {
    pub(crate) id: &'static str,
    pub(crate) algorithm: Algorithm,
    pub(crate) private: EncodingKey,
}

impl SigningKey {
    pub(crate) fn es256(id: &'static str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let private = EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref());
        Self { id, algorithm: Algorithm::ES256, private }
    }

    pub(crate) fn rs256(id: &'static str) -> Self {
        let pair = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        let pkcs8 = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der>::as_der(&pair).unwrap();
        // The library wants the PKCS#1 form, which of 2,048 bits begins behind a wrapping of so many bytes.
        let private = EncodingKey::from_rsa_der(&pkcs8.as_ref()[26..]);
        Self { id, algorithm: Algorithm::RS256, private }
    }

    /// Its public half.
    pub(crate) fn public(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.private, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.id.to_owned());
        serde_json::to_value(jwk).unwrap()
    }

    /// The public half of an RSA key in each form in which somebody may have it, as a secret would be given.
    pub(crate) fn public_as_secrets(&self) -> Vec<Vec<u8>> {
        use base64::Engine;
        let pair = RsaKeyPair::from_der(self.private.as_bytes()).unwrap();
        let pkcs1 = pair.public_key().as_ref().to_vec();
        let spki = AsDer::<aws_lc_rs::encoding::PublicKeyX509Der>::as_der(pair.public_key()).unwrap();
        let spki = spki.as_ref().to_vec();
        let pem = |name: &str, der: &[u8]| {
            let text = base64::engine::general_purpose::STANDARD.encode(der);
            let lines: Vec<&str> =
                text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
            format!("-----BEGIN {name}-----\n{}\n-----END {name}-----\n", lines.join("\n"))
        };
        let pems = [pem("PUBLIC KEY", &spki), pem("RSA PUBLIC KEY", &pkcs1)];
        let pems =
            pems.iter().flat_map(|pem| [pem.clone(), pem.trim_end().to_owned()]).map(String::into_bytes);
        let jwk = self.public();
        let texts = [jwk.to_string(), jwk["n"].as_str().unwrap().to_owned()].map(String::into_bytes);
        pems.chain(texts).chain([pkcs1, spki]).collect()
    }

    /// A token that names the key.
    pub(crate) fn token(&self, more: &Value) -> String {
        let header = Header { kid: Some(self.id.to_owned()), ..Header::new(self.algorithm) };
        signed(&header, &claims(more), &self.private)
    }
}

/// An issuer that publishes keys, over real HTTP.
pub(crate) struct Issuer {
    pub(crate) url: String,
    published: Arc<Published>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Published {
    document: Mutex<String>,
    is_away: AtomicBool,
    fetches: AtomicUsize,
}

impl Issuer {
    pub(crate) async fn start(keys: &[&SigningKey]) -> Self {
        let published = Arc::new(Published::default());
        let answer = {
            let published = Arc::clone(&published);
            move || {
                published.fetches.fetch_add(1, Ordering::SeqCst);
                let is_away = published.is_away.load(Ordering::SeqCst);
                let status = if is_away { StatusCode::BAD_GATEWAY } else { StatusCode::OK };
                let document = published.document.lock().unwrap().clone();
                async move { (status, document) }
            }
        };
        let router = axum::Router::new().route("/keys", routing::get(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let serving = tokio::spawn(serve(listener, router));
        let issuer = Self { url, published, serving };
        issuer.publish(&keys.iter().map(|key| key.public()).collect::<Vec<_>>());
        issuer
    }

    /// Changes the set.
    pub(crate) fn publish(&self, keys: &[Value]) {
        *self.published.document.lock().unwrap() = json!({"keys": keys}).to_string();
    }

    pub(crate) fn set_away(&self, is_away: bool) {
        self.published.is_away.store(is_away, Ordering::SeqCst);
    }

    /// How often the set was asked for.
    pub(crate) fn fetches(&self) -> usize {
        self.published.fetches.load(Ordering::SeqCst)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

pub(crate) async fn serve(listener: tokio::net::TcpListener, router: axum::Router) {
    use hyper_util::rt::TokioIo;
    use hyper_util::service::TowerToHyperService;
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let service = TowerToHyperService::new(router.clone());
        let connection =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(connection);
    }
}
