//! The HTTP client of this program, with the TLS that its connections to PostgreSQL and NATS have too.

/// A client yet to be set up. Whoever begins with the library's own builder instead finds no TLS there.
pub fn client() -> reqwest::ClientBuilder {
    // Fails if somebody was faster, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
}
