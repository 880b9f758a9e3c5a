//! `GET /events`

mod exports;
mod filters;
mod pages;
mod windows;

use reqwest::Method;

use crate::support::past::page_of;
use crate::support::service::{Answer, Service};

const LINES: &str = "application/x-ndjson";

async fn read_lines(service: &Service, query: &str) -> Answer {
    let request = service.request(Method::GET, &format!("/events?{query}"));
    service.send(request.header("accept", LINES)).await
}

/// All records by pages of JSON, on from `from`; `query` has the filters.
async fn walk(service: &Service, query: &str) -> Vec<String> {
    let (mut records, mut from) = (Vec::new(), 1);
    loop {
        let page = service.get(&format!("/events?{query}&from={from}")).await.expect(200);
        records.extend(page_of(&page));
        match page.body["next"].as_u64() {
            Some(next) => {
                assert_eq!(next, page.position() + 1);
                from = next;
            }
            None => return records,
        }
    }
}
