//! Reading JSON: strict in its syntax, complete in its list of other faults, without recursion.

use super::{Decimal, DecimalError, FaultKind, Json, JsonFault, Object, SyntaxError};
use json_event_parser::{JsonEvent, LowLevelJsonParser};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// At most so many faults are listed; the rest are counted.
pub const FAULTS_MAX: usize = 100;

/// Faults past the first are listed only while their paths have no more bytes than this together: a long key
/// around many faults must not make the answer many times as large as the request.
const FAULT_PATHS_BYTES_MAX: usize = 64 * 1024;

/// What [`Json::parse`] may build. The size of the input is the caller's to bound.
#[derive(Clone, Copy, Debug)]
pub struct ParseLimits {
    /// How many levels of arrays and objects are built, the outermost counted as 1.
    pub max_depth: usize,
}

/// A syntactically correct JSON text.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The value; where there are faults, only good for finding more: of a key given twice it holds the first
    /// value, `null` for what is too deep, 0 for a number that is too long.
    pub value: Json,
    /// What makes the value unacceptable, in the order of the text; [`FAULTS_MAX`] at most.
    pub faults: Vec<JsonFault>,
    /// How many more faults there are than listed.
    pub faults_left_out: usize,
}

impl Json {
    /// Reads one JSON text in UTF-8, strictly by RFC 8259: no byte order mark, no lone surrogates, nothing after
    /// the value. Never recurses, and takes time and memory in proportion to the input.
    ///
    /// The caller must look at [`Parsed::faults`] before using the value.
    ///
    /// # Errors
    /// [`SyntaxError`], the first there is.
    pub fn parse(bytes: &[u8], limits: &ParseLimits) -> Result<Parsed, SyntaxError> {
        // The parser would skip it.
        if bytes.starts_with(b"\xEF\xBB\xBF") {
            return Err(SyntaxError::new(1, 1, 0, "Unexpected byte order mark"));
        }
        // Its own limit would turn correct, if deep, JSON into a syntax error. It keeps one byte a level.
        let mut parser = LowLevelJsonParser::new().with_max_stack_size(usize::MAX);
        let mut builder = Builder::new(*limits);
        let mut rest = bytes;
        loop {
            let step = parser.parse_next(rest, true);
            rest = rest.get(step.consumed_bytes..).unwrap_or_default();
            match step.event {
                Some(Ok(JsonEvent::Eof)) => return Ok(builder.finish()),
                Some(Ok(event)) => builder.take(event),
                Some(Err(error)) => return Err(SyntaxError::from_parser(&error, bytes.len())),
                // Only where more input could follow; the parser was told that none does.
                None => return Err(SyntaxError::new(1, 1, 0, "Unexpected end of input")),
            }
        }
    }
}

/// An array or object that is still open.
enum Frame<'a> {
    Array(Vec<Json>),
    Object(OpenObject<'a>),
}

#[derive(Default)]
struct OpenObject<'a> {
    entries: Vec<(String, Json)>,
    /// The keys of `entries`, once there are too many to be gone through one by one.
    index: Option<BTreeSet<String>>,
    /// The keys that were given before, each told of once.
    repeated: BTreeSet<String>,
    /// The key whose value comes next.
    key: Cow<'a, str>,
    /// Whether that key was given before, so that its value goes nowhere.
    is_repeated: bool,
}

/// With more keys than this, an object's keys are indexed.
const UNINDEXED_MAX: usize = 16;

impl<'a> OpenObject<'a> {
    /// Begins an entry; true if its key is given for the second time.
    fn begin(&mut self, key: Cow<'a, str>) -> bool {
        self.is_repeated = match &self.index {
            None => self.entries.iter().any(|(known, _)| *known == key),
            Some(index) => index.contains(&*key),
        };
        let is_second = self.is_repeated && self.repeated.insert(key.clone().into_owned());
        self.key = key;
        is_second
    }

    /// Ends the entry, with its value.
    fn end(&mut self, value: Json) {
        if self.is_repeated {
            return;
        }
        let key = std::mem::take(&mut self.key).into_owned();
        if let Some(index) = &mut self.index {
            index.insert(key.clone());
        } else if self.entries.len() >= UNINDEXED_MAX {
            let keys = self.entries.iter().map(|(key, _)| key);
            self.index = Some(keys.chain([&key]).cloned().collect());
        }
        self.entries.push((key, value));
    }
}

/// Builds the value from the parser's events, which come in an order that makes sense.
struct Builder<'a> {
    limits: ParseLimits,
    stack: Vec<Frame<'a>>,
    /// How many containers beyond the limit are open.
    skipping: usize,
    /// Whether something too deep was told of in the current element of the outermost value.
    is_depth_told: bool,
    root: Json,
    faults: Vec<JsonFault>,
    fault_paths_bytes: usize,
    faults_left_out: usize,
}

impl<'a> Builder<'a> {
    fn new(limits: ParseLimits) -> Self {
        Self {
            limits,
            stack: Vec::new(),
            skipping: 0,
            is_depth_told: false,
            root: Json::Null,
            faults: Vec::new(),
            fault_paths_bytes: 0,
            faults_left_out: 0,
        }
    }

    fn finish(self) -> Parsed {
        Parsed { value: self.root, faults: self.faults, faults_left_out: self.faults_left_out }
    }

    fn take(&mut self, event: JsonEvent<'a>) {
        match event {
            JsonEvent::StartArray => self.open(Frame::Array(Vec::new())),
            JsonEvent::StartObject => self.open(Frame::Object(OpenObject::default())),
            JsonEvent::EndArray | JsonEvent::EndObject => self.close(),
            // Whatever stands within something too deep is not looked at.
            _ if self.skipping > 0 => {}
            JsonEvent::ObjectKey(key) => self.key(key),
            JsonEvent::String(text) => {
                if text.contains('\0') {
                    self.fault(FaultKind::NulCharacter);
                }
                self.value(Json::String(text.into_owned()));
            }
            JsonEvent::Number(text) => {
                let number = Decimal::parse(&text).unwrap_or_else(|error| {
                    // The parser has seen to the grammar.
                    debug_assert_eq!(error, DecimalError::TooLong);
                    self.fault(FaultKind::NumberTooLong);
                    Decimal::zero()
                });
                self.value(Json::Number(number));
            }
            JsonEvent::Boolean(value) => self.value(Json::Bool(value)),
            JsonEvent::Null => self.value(Json::Null),
            JsonEvent::Eof => {}
        }
    }

    fn open(&mut self, frame: Frame<'a>) {
        if self.skipping > 0 {
            self.skipping += 1;
        } else if self.stack.len() < self.limits.max_depth {
            self.stack.push(frame);
        } else {
            self.skipping = 1;
            if !self.is_depth_told {
                self.is_depth_told = true;
                self.fault(FaultKind::TooDeep);
            }
        }
    }

    fn close(&mut self) {
        if self.skipping > 0 {
            self.skipping -= 1;
            if self.skipping == 0 {
                self.value(Json::Null);
            }
            return;
        }
        match self.stack.pop() {
            Some(Frame::Array(items)) => self.value(Json::Array(items)),
            Some(Frame::Object(open)) => self.value(Json::Object(Object::from_distinct(open.entries))),
            None => debug_assert!(false, "the parser closes only what it opened"),
        }
    }

    fn key(&mut self, key: Cow<'a, str>) {
        let Some(Frame::Object(open)) = self.stack.last_mut() else {
            debug_assert!(false, "the parser gives keys only within objects");
            return;
        };
        let has_nul = key.contains('\0');
        let is_second = open.begin(key);
        if has_nul {
            self.fault(FaultKind::NulCharacter);
        }
        if is_second {
            self.fault(FaultKind::DuplicateKey);
        }
    }

    /// Puts a finished value where it belongs.
    fn value(&mut self, value: Json) {
        if self.stack.len() <= 1 {
            self.is_depth_told = false;
        }
        match self.stack.last_mut() {
            None => self.root = value,
            Some(Frame::Array(items)) => items.push(value),
            Some(Frame::Object(open)) => open.end(value),
        }
    }

    /// Notes a fault of the value or key that is being read.
    fn fault(&mut self, kind: FaultKind) {
        let path_bytes: usize = self.stack.iter().map(Frame::segment_bytes).sum();
        let fits = self.faults.is_empty() || self.fault_paths_bytes + path_bytes <= FAULT_PATHS_BYTES_MAX;
        if self.faults.len() >= FAULTS_MAX || !fits {
            self.faults_left_out += 1;
            return;
        }
        self.fault_paths_bytes += path_bytes;
        let path = self.stack.iter().map(Frame::segment).collect();
        self.faults.push(JsonFault { path, kind });
    }
}

impl Frame<'_> {
    /// The key or index of the element that is being read.
    fn segment(&self) -> String {
        match self {
            Self::Array(items) => items.len().to_string(),
            Self::Object(open) => open.key.clone().into_owned(),
        }
    }

    fn segment_bytes(&self) -> usize {
        match self {
            // An index has some ten digits at most.
            Self::Array(_) => 10,
            Self::Object(open) => open.key.len(),
        }
    }
}
