//! The API's description: `/openapi.json`, and the page that shows it from files inside the binary.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;

use crate::support::service::{Service, platform};

/// What the contract promises; a route that is added has to be added here too.
const ROUTES: [(&str, &str); 15] = [
    ("/events/{position}/proof", "get"),
    ("/tlog/checkpoint", "get"),
    ("/tlog/consistency", "get"),
    ("/tlog/tile/entries/{number}", "get"),
    ("/tlog/tile/{level}/{number}", "get"),
    ("/vtid/{vtid}/proof", "get"),
    ("/docs", "get"),
    ("/docs/{file}", "get"),
    ("/openapi.json", "get"),
    ("/readyz", "get"),
    ("/vtid/create", "post"),
    ("/vtid/health", "get"),
    ("/vtid/list", "get"),
    ("/vtid/{vtid}", "get"),
    ("/vtid/{vtid}", "patch"),
];

#[tokio::test]
async fn the_document_is_served_and_has_every_route() {
    let platform = platform().await;
    let service = platform.serve().await;
    let answer = service.get("/openapi.json").await.expect(200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.body["openapi"], "3.1.0");
    let paths = answer.body["paths"].as_object().unwrap();
    let methods = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().keys().map(move |method| (path.as_str(), method.as_str()))
    });
    assert_eq!(methods.collect::<BTreeSet<_>>(), BTreeSet::from(ROUTES));
    let printed: Value = serde_json::from_str(&platform.run(&["openapi"]).await.succeeded()).unwrap();
    assert_eq!(printed, answer.body, "`vtid-ledger openapi` prints the same");
    service.get("/openapi.json?x=1").await.expect(400);
}

/// The addresses that a page loads.
fn loaded(page: &str) -> Vec<&str> {
    let after = |attribute| page.split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap());
    after(" href=\"").chain(after(" src=\"")).filter(|address| !address.starts_with("data:")).collect()
}

async fn file(service: &Service, address: &str, media_type: &str) -> String {
    // As a browser resolves it from `/docs`.
    let answer = service.get(&format!("/{address}")).await.expect(200);
    assert_eq!(answer.header("content-type"), media_type, "{address}");
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{address}");
    assert!(answer.header("cache-control").contains("max-age"), "{address}");
    answer.text
}

#[tokio::test]
async fn the_page_is_made_of_files_inside_the_binary() {
    let platform = platform().await;
    let service = platform.serve().await;
    let page = service.get("/docs").await.expect(200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(page.header("x-frame-options"), "DENY");
    let policy: Vec<&str> = page.header("content-security-policy").split("; ").collect();
    for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "connect-src 'self'"] {
        assert!(policy.contains(&part), "{policy:?}");
    }
    assert!(!policy.concat().contains("unsafe"), "{policy:?}");
    // What such a policy would not let run.
    assert!(!page.text.contains("<style") && !page.text.contains("style=") && !page.text.contains(" on"));
    assert!(page.text.split("<script").skip(1).all(|script| script.starts_with(" src=\"")), "{}", page.text);
    let mut files = loaded(&page.text);
    files.sort_unstable();
    assert_eq!(
        files,
        ["docs/page.css", "docs/page.js", "docs/swagger-ui-bundle.js", "docs/swagger-ui.css", "openapi.json"]
    );
    let style = file(&service, "docs/swagger-ui.css", "text/css; charset=utf-8").await;
    let images: Vec<&str> = style.split("url(").skip(1).map(|rest| rest.trim_start_matches('"')).collect();
    assert!(!images.is_empty() && images.iter().all(|address| address.starts_with("data:")), "{images:?}");
    file(&service, "docs/page.css", "text/css; charset=utf-8").await;
    let bundle = file(&service, "docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8").await;
    assert!(bundle.contains("SwaggerUIBundle"));
    let script = file(&service, "docs/page.js", "text/javascript; charset=utf-8").await;
    for text in [&page.text, &script] {
        assert!(!text.contains("//cdn") && !text.contains("http:") && !text.contains("https:"), "{text}");
    }
    assert!(script.contains("validatorUrl: null") && script.contains("url: \"openapi.json\""));
}

#[tokio::test]
async fn what_is_no_file_of_the_page_is_told_in_the_one_form() {
    let platform = platform().await;
    let service = platform.serve().await;
    for path in
        ["/docs/", "/docs/x.js", "/docs/..%2fCargo.toml", "/docs/%ff", "/docs/page.js/x", "/favicon.ico"]
    {
        let answer = service.get(path).await.expect(404);
        assert_eq!(answer.body["code"], "not_found", "{path}");
    }
    service.get("/docs?url=//evil.example").await.expect(400);
    service.get("/docs/page.js?x=1").await.expect(400);
    let answer = service.send(service.request(Method::POST, "/docs")).await.expect(405);
    assert_eq!(answer.header("allow"), "GET,HEAD");
}
