//! One row of the table: a figure of the ledger, what it is held against, and what it should be.

use std::fmt;
use std::time::Duration;

use crate::BenchError;
use crate::figures::{Figure, as_f64, median};

/// A figure with its unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value {
    /// So many a second.
    Rate(f64),
    Time(Duration),
    Bytes(u64),
}

impl Value {
    fn number(self) -> f64 {
        match self {
            Self::Rate(rate) => rate,
            Self::Time(time) => time.as_secs_f64(),
            Self::Bytes(bytes) => as_f64(bytes),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Rate(rate) => write!(f, "{rate:.0}/s"),
            Self::Time(time) if time >= Duration::from_secs(10) => write!(f, "{:.1} s", time.as_secs_f64()),
            Self::Time(time) => write!(f, "{:.2} ms", time.as_secs_f64() * 1000.0),
            Self::Bytes(bytes) => write!(f, "{:.1} MB", as_f64(bytes) / 1e6),
        }
    }
}

/// What a row should show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Goal {
    /// Nothing in particular: told for comparison.
    None,
    /// A ratio not below this.
    AtLeast(f64),
    /// A ratio not above this.
    AtMost(f64),
    /// A figure of the ledger not above this.
    NoMoreThan(Value),
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("–"),
            Self::AtLeast(ratio) => write!(f, "≥ {ratio}"),
            Self::AtMost(ratio) => write!(f, "≤ {ratio}"),
            Self::NoMoreThan(value) => write!(f, "≤ {value}"),
        }
    }
}

/// What a figure is held against.
#[derive(Debug, Clone)]
pub(crate) struct Against {
    pub(crate) name: String,
    pub(crate) value: Value,
}

/// One row of the table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) what: String,
    /// How large the thing was that it was measured on.
    pub(crate) scale: String,
    pub(crate) ledger: Value,
    pub(crate) against: Option<Against>,
    pub(crate) goal: Goal,
    /// What each round gave.
    pub(crate) rounds: Option<Runs>,
}

/// The rounds of ledger and yardstick, in turn.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runs {
    pub(crate) ledger: Vec<Figure>,
    pub(crate) yardstick: Vec<Figure>,
}

impl Runs {
    /// A row that holds rates against each other.
    pub(crate) fn rates(
        &self,
        what: &str,
        scale: &str,
        against: &str,
        goal: Goal,
    ) -> Result<Row, BenchError> {
        self.row(what, scale, against, goal, |figure| Value::Rate(figure.rate))
    }

    /// A row that holds 99th percentiles against each other.
    pub(crate) fn p99s(&self, what: &str, scale: &str, against: &str, goal: Goal) -> Result<Row, BenchError> {
        let row = self.row(what, scale, against, goal, |figure| Value::Time(figure.p99))?;
        Ok(Row { rounds: None, ..row })
    }

    fn row(
        &self,
        what: &str,
        scale: &str,
        against: &str,
        goal: Goal,
        value: fn(Figure) -> Value,
    ) -> Result<Row, BenchError> {
        Ok(Row {
            what: what.to_owned(),
            scale: scale.to_owned(),
            ledger: value(median(&self.ledger)?),
            against: Some(Against { name: against.to_owned(), value: value(median(&self.yardstick)?) }),
            goal,
            rounds: Some(self.clone()),
        })
    }
}

impl Row {
    /// A row of the ledger alone.
    pub(crate) fn alone(what: &str, scale: &str, ledger: Value, goal: Goal) -> Self {
        let (what, scale) = (what.to_owned(), scale.to_owned());
        Self { what, scale, ledger, against: None, goal, rounds: None }
    }

    /// A row of two times.
    pub(crate) fn times(
        what: &str,
        scale: &str,
        ledger: Duration,
        (name, against): (&str, Duration),
        goal: Goal,
    ) -> Self {
        let against = Some(Against { name: name.to_owned(), value: Value::Time(against) });
        Self { against, ..Self::alone(what, scale, Value::Time(ledger), goal) }
    }

    /// The ledger's figure by the other.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let against = self.against.as_ref()?;
        Some(self.ledger.number() / against.value.number())
    }

    /// Whether it is as it should be; none where there is no goal.
    pub(crate) fn is_met(&self) -> Option<bool> {
        match self.goal {
            Goal::None => None,
            Goal::AtLeast(least) => self.ratio().map(|ratio| ratio >= least),
            Goal::AtMost(most) => self.ratio().map(|ratio| ratio <= most),
            Goal::NoMoreThan(most) => Some(self.ledger.number() <= most.number()),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, scale, ledger, goal, .. } = self;
        let against = self.against.as_ref();
        let against =
            against.map_or("–".to_owned(), |against| format!("{} ({})", against.value, against.name));
        let ratio = self.ratio().map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
        let met = match self.is_met() {
            None => "–",
            Some(true) => "yes",
            Some(false) => "**no**",
        };
        write!(f, "| {what} | {scale} | {ledger} | {against} | {ratio} | {goal} | {met} |")
    }
}
