//! What came back from many requests, each answer held to the contract's form.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::generate_requests::Sent;
use crate::support::keyed::is_replay;
use crate::support::service::Answer;

#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// How often each status came; those without a word, and those that nobody answered.
    counts: BTreeMap<String, u64>,
    /// The request ids of refusals.
    pub(crate) refused: BTreeSet<String>,
    /// The request ids of writes that were accepted.
    pub(crate) written: BTreeSet<String>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counts.iter().try_for_each(|(what, count)| writeln!(f, "  {count:>8} {what}"))
    }
}

impl Tally {
    fn count(&mut self, what: String) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Looks at the answers to one connection's bytes.
    pub(crate) fn take(&mut self, sent: &Sent, answers: &[Answer]) -> Result<(), String> {
        if sent.is_request && answers.len() != 1 {
            return Err(format!("{} answers to one request", answers.len()));
        }
        if answers.is_empty() {
            self.count("none".to_owned());
        }
        for answer in answers {
            let is_bare = answer.header("x-request-id").is_empty();
            self.count(format!("{}{}", answer.status.as_u16(), if is_bare { " bare" } else { "" }));
            if is_bare {
                bare(sent, answer)?;
            } else {
                worded(sent, answer)?;
                self.keep(answer);
            }
        }
        Ok(())
    }

    fn keep(&mut self, answer: &Answer) {
        let id = answer.header("x-request-id").to_owned();
        if !answer.status.is_success() {
            self.refused.insert(id);
        } else if answer.text.starts_with("{\"ok\":true,\"vtid\":") && !is_replay(answer) {
            // A replay was written by another request.
            self.written.insert(id);
        }
    }

    /// The generator must not have grown blind.
    pub(crate) fn assert_all_kinds_came(&self) {
        for kind in ["200", "400", "404", "405", "409", "412", "413", "415", "422", "400 bare", "none"] {
            assert!(self.counts.contains_key(kind), "{kind} never came:\n{self}");
        }
    }
}

/// Only for what is no request, and without a word.
fn bare(sent: &Sent, answer: &Answer) -> Result<(), String> {
    if sent.is_request {
        return Err("a bare answer to a request that can be read".to_owned());
    }
    let fits = answer.status.is_client_error() && answer.text.is_empty();
    fits.then_some(()).ok_or_else(|| "a bare answer that is not a 4xx without a word".to_owned())
}

fn worded(sent: &Sent, answer: &Answer) -> Result<(), String> {
    let wrong = |what: &str| Err(what.to_owned());
    // A read may be asked to wait for a position that never comes.
    let may_be_behind = sent.mentions("ledger-min-position") && answer.status == 503;
    if answer.status.is_server_error() && !may_be_behind {
        return wrong("a 5xx");
    }
    if answer.status == 304 {
        let is_right =
            sent.mentions("if-none-match") && answer.text.is_empty() && !answer.header("etag").is_empty();
        return if is_right { Ok(()) } else { wrong("a 304 in another form") };
    }
    if answer.header("content-type") != "application/json" {
        return wrong("not in JSON");
    }
    if answer.status == 405 && answer.header("allow").is_empty() {
        return wrong("a 405 without Allow");
    }
    if answer.text.is_empty() {
        // Changed bytes may have made a HEAD of it.
        return if sent.is_request && !sent.bytes.starts_with(b"HEAD ") { wrong("no body") } else { Ok(()) };
    }
    if answer.status.is_success() {
        // It may hold numbers that no float can.
        let is_right = answer.status == 200 && answer.text.starts_with("{\"ok\":true,");
        return if is_right { Ok(()) } else { wrong("a success in another form") };
    }
    let text = |name: &str| answer.body[name].as_str().is_some_and(|text| !text.is_empty());
    let is_right = answer.status.is_client_error() || may_be_behind && answer.body["code"] == "read_behind";
    if is_right
        && answer.body["ok"] == false
        && text("error")
        && text("code")
        && !answer.body["detail"].is_null()
    {
        Ok(())
    } else {
        wrong("an error in another form")
    }
}
