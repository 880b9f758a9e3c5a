//! What `audit verify` finds.

use serde_json::{Value, json};

use crate::support::service::Platform;

/// A report of `audit verify --json`.
pub(super) struct Found(pub(super) Value);

impl Found {
    pub(super) async fn of(platform: &Platform) -> Self {
        Self::with(platform, &[]).await
    }

    /// With further arguments.
    pub(super) async fn with(platform: &Platform, arguments: &[&str]) -> Self {
        let ended = platform.run(&[&["audit", "verify", "--json"], arguments].concat()).await;
        let report: Value = serde_json::from_str(&ended.out).unwrap_or_else(|_| panic!("{ended:?}"));
        assert_eq!(report["ok"], ended.success, "{ended:?}");
        assert!(ended.success || ended.error.contains("WRONG"), "{ended:?}");
        Self(report)
    }

    /// Nothing is wrong.
    pub(super) fn good(self) -> Self {
        assert_eq!(self.0["ok"], true, "{}", self.0);
        self
    }

    pub(super) fn check(&self, name: &str) -> &Value {
        let checks = self.0["checks"].as_array().unwrap();
        checks.iter().find(|found| found["check"] == name).unwrap_or_else(|| panic!("{name}: {}", self.0))
    }

    /// How many things a check looked at.
    pub(super) fn looked_at(&self, check: &str) -> u64 {
        self.check(check)["looked_at"].as_u64().unwrap()
    }

    /// What a check found first is at this position, or from there on.
    pub(super) fn names(&self, check: &str, position: impl Into<Value>) -> &Self {
        let found = self.check(check);
        assert_eq!(found["result"], "wrong", "{check}: {}", self.0);
        assert_eq!(found["first"]["position"], position.into(), "{check}: {}", self.0);
        self
    }

    /// And up to this one.
    pub(super) fn up_to(&self, check: &str, last: impl Into<Value>) -> &Self {
        assert_eq!(self.check(check)["first"]["up_to"], last.into(), "{check}: {}", self.0);
        self
    }

    /// What comes first of all.
    pub(super) fn first(&self, check: &str, position: impl Into<Value>) -> &Self {
        let first = &self.0["first_wrong"];
        assert_eq!((&first["check"], &first["position"]), (&json!(check), &position.into()), "{}", self.0);
        self
    }

    /// It is told in these words.
    pub(super) fn says(&self, text: &str) -> &Self {
        assert!(self.0.to_string().contains(text), "{text}: {}", self.0);
        self
    }
}
