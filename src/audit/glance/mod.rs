//! A look at a record that takes from it what the rules of the log need, without building its values: the ledger prints
//! a record's attributes in one order, compactly, so that most of it can be compared rather than parsed. Some ten times
//! as fast as the parser.
//!
//! It gives none for every line that it does not know for sure to be a record which [`Recorded::parse_with_source`]
//! accepts; that one decides then. A property test holds the two together.
//!
//! [`Recorded::parse_with_source`]: crate::domain::record::Recorded::parse_with_source

mod metadata;
mod reader;

use chrono::NaiveDate;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::domain::command::ParentRef;
use crate::domain::event::EventType;
use crate::domain::lawful::{Asked, Fact, Text};
use crate::domain::origin::{IdempotencyKey, RequestHash, RequestId, Role, TraceParent};
use crate::domain::position::{Position, Version};
use crate::domain::record::LedgerId;
use crate::domain::status::Status;
use crate::domain::text::{ActorId, Assignee, Description, TaskFamily, TaskType, Tenant};
use crate::domain::time::Timestamp;
use crate::domain::vtid::Vtid;
use reader::{Reader, Span};

/// What stands at the beginning of every record, and of no other line of an export.
pub const RECORD_BEGINS: &[u8] = b"{\"specversion\"";

/// What a look has found; the texts are pieces of the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    position: Position,
    id: Uuid,
    source: LedgerId,
    vtid: Vtid,
    version: Version,
    time: Timestamp,
    tenant: Span,
    actor: Span,
    role: Role,
    actor_tenant: Option<Span>,
    request: Span,
    key: Option<KeyMark>,
    asked: GlancedAsk,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GlancedAsk {
    Create { tenant: Span, status: Status, parent: Option<ParentRef> },
    Patch { completes: bool, status: Option<Status>, is_empty: bool },
}

/// Tells one caller's key from every other: the first 16 bytes of a SHA-256.
pub type KeyMark = [u8; 16];

/// The mark of `key`, as `actor` gave it.
#[must_use]
pub fn key_mark(actor: &str, key: &str) -> KeyMark {
    let mut hash = Sha256::new();
    hash.update((actor.len() as u64).to_be_bytes());
    hash.update(actor);
    hash.update(key);
    let mut mark = KeyMark::default();
    mark.copy_from_slice(&hash.finalize()[..16]);
    mark
}

/// What a look needs besides the line, kept from line to line.
#[derive(Debug, Default)]
pub struct Scratch {
    keys: Vec<Span>,
    /// The last source, which the next record has too.
    source: Option<(String, LedgerId)>,
}

impl Scratch {
    fn source(&mut self, text: &str) -> Option<LedgerId> {
        if let Some((last, ledger)) = &self.source
            && last == text
        {
            return Some(*ledger);
        }
        let ledger = LedgerId::parse_source(text)?;
        self.source = Some((text.to_owned(), ledger));
        Some(ledger)
    }
}

impl Glance {
    /// Looks at a line without its line feed.
    #[must_use]
    pub fn at(line: &[u8], scratch: &mut Scratch) -> Option<Self> {
        let text = str::from_utf8(line).ok()?;
        let mut reader = Reader::new(text);
        let found = attributes(&mut reader, scratch)?;
        reader.literal("}")?;
        reader.at_end().then_some(found)
    }

    /// What the rules need; `line` is the one that was looked at.
    #[must_use]
    pub fn fact<'a>(&self, line: &'a [u8]) -> Fact<'a> {
        Fact {
            position: self.position,
            id: self.id,
            source: self.source,
            vtid: self.vtid,
            version: self.version,
            time: self.time,
            tenant: Text(self.tenant.of(line)),
            actor: Text(self.actor.of(line)),
            role: self.role,
            actor_tenant: self.actor_tenant.map(|span| Text(span.of(line))),
            request: Text(self.request.of(line)),
            has_key: self.key.is_some(),
            asked: match self.asked {
                GlancedAsk::Create { tenant, status, parent } => {
                    Asked::Create { tenant: Text(tenant.of(line)), status, parent }
                }
                GlancedAsk::Patch { completes, status, is_empty } => {
                    Asked::Patch { completes, status, is_empty }
                }
            },
        }
    }

    /// The mark of the event's idempotency key.
    #[must_use]
    pub fn key(&self) -> Option<KeyMark> {
        self.key
    }
}

fn attributes(reader: &mut Reader, scratch: &mut Scratch) -> Option<Glance> {
    reader.literal(r#"{"specversion":"1.0","id":""#)?;
    let id = reader.read(uuid)?;
    reader.literal(r#","source":""#)?;
    let source = reader.plain().and_then(|(text, _)| scratch.source(text))?;
    reader.literal(r#","type":""#)?;
    let kind = reader.read(EventType::parse)?;
    reader.literal(r#","subject":""#)?;
    let vtid = reader.read(|text| Vtid::parse_possible(text).ok())?;
    reader.literal(r#","time":""#)?;
    let time = reader.read(time)?;
    reader.literal(r#","datacontenttype":"application/json","position":""#)?;
    let position = reader.read(count).map(Position::new)?;
    reader.literal(r#","streamversion":""#)?;
    let version = reader.read(count).map(Version::new)?;
    reader.literal(r#","tenant":""#)?;
    let tenant = reader.allowed(Tenant::allows)?;
    reader.literal(r#","actor":""#)?;
    let (actor_text, actor) = reader.plain().filter(|(text, _)| ActorId::allows(text))?;
    reader.literal(r#","actorrole":""#)?;
    let role = reader.read(Role::parse)?;
    let actor_tenant =
        if reader.skip(r#","actortenant":""#) { Some(reader.allowed(Tenant::allows)?) } else { None };
    reader.literal(r#","correlationid":""#)?;
    let request = reader.allowed(RequestId::allows)?;
    if reader.skip(r#","traceparent":""#) {
        reader.allowed(TraceParent::allows)?;
    }
    let key = if reader.skip(r#","idempotencykey":""#) {
        let (key, _) = reader.plain().filter(|(key, _)| IdempotencyKey::allows(key))?;
        reader.literal(r#","requesthash":""#)?;
        reader.read(RequestHash::parse)?;
        Some(key_mark(actor_text, key))
    } else {
        None
    };
    reader.literal(r#","data":{"#)?;
    let asked = match kind {
        EventType::Created => create(reader, scratch)?,
        EventType::Updated | EventType::Completed => patch(reader, kind == EventType::Completed, scratch)?,
    };
    Some(Glance {
        position,
        id,
        source,
        vtid,
        version,
        time,
        tenant,
        actor,
        role,
        actor_tenant,
        request,
        key,
        asked,
    })
}

fn create(reader: &mut Reader, scratch: &mut Scratch) -> Option<GlancedAsk> {
    reader.literal(r#""taskFamily":""#)?;
    reader.text().filter(|text| TaskFamily::allows(text))?;
    reader.literal(r#","taskType":""#)?;
    reader.text().filter(|text| TaskType::allows(text))?;
    reader.literal(r#","description":""#)?;
    reader.text().filter(|text| Description::allows(text))?;
    reader.literal(r#","tenant":""#)?;
    let tenant = reader.allowed(Tenant::allows)?;
    let status = if reader.skip(r#","status":""#) {
        reader.read(|text| Status::parse(text).ok())?
    } else {
        Status::default()
    };
    if reader.skip(r#","assignedTo":""#) {
        reader.text().filter(|text| Assignee::allows(text))?;
    }
    if reader.skip(r#","metadata":"#) {
        metadata::object(reader, &mut scratch.keys)?;
    }
    let parent = if reader.skip(r#","parentVtid":""#) {
        Some(reader.read(|text| Vtid::parse(text).ok()).map(ParentRef::from)?)
    } else {
        None
    };
    reader.literal("}")?;
    Some(GlancedAsk::Create { tenant, status, parent })
}

fn patch(reader: &mut Reader, completes: bool, scratch: &mut Scratch) -> Option<GlancedAsk> {
    let (mut status, mut is_empty) = (None, true);
    if reader.skip(r#""status":""#) {
        status = Some(reader.read(|text| Status::parse(text).ok())?);
        is_empty = false;
    }
    // What is not the first field has a comma in front.
    let mut has = |reader: &mut Reader, first: &str, later: &str| {
        let has = reader.skip(if is_empty { first } else { later });
        is_empty &= !has;
        has
    };
    if has(reader, r#""assignedTo":"#, r#","assignedTo":"#) && !reader.skip("null") {
        reader.literal("\"")?;
        reader.text().filter(|text| Assignee::allows(text))?;
    }
    if has(reader, r#""metadata":"#, r#","metadata":"#) && !reader.skip("null") {
        metadata::object(reader, &mut scratch.keys)?;
    }
    reader.literal("}")?;
    Some(GlancedAsk::Patch { completes, status, is_empty })
}

/// A UUID as the ledger prints it.
fn uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| text.len() == 36)
}

/// 1, 2, 3, … up to what PostgreSQL can count.
fn count(text: &str) -> Option<u64> {
    let has_form = matches!(text.as_bytes().first(), Some(b'1'..=b'9'))
        && text.len() <= 19
        && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse::<i64>().ok().filter(|_| has_form).and_then(|count| u64::try_from(count).ok())
}

/// As [`Timestamp::parse`], without printing it again.
#[must_use]
pub fn time(text: &str) -> Option<Timestamp> {
    let bytes: &[u8; 24] = text.as_bytes().try_into().ok()?;
    let is_between = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (23, b'Z')]
        .into_iter()
        .all(|(at, byte)| bytes[at] == byte);
    let number = |from: usize, to: usize| {
        bytes[from..to].iter().try_fold(0u32, |number, byte| {
            byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0'))
        })
    };
    let year = i32::try_from(number(0, 4)?).ok().filter(|year| *year > 0 && is_between)?;
    let date = NaiveDate::from_ymd_opt(year, number(5, 7)?, number(8, 10)?)?;
    let time = date.and_hms_milli_opt(number(11, 13)?, number(14, 16)?, number(17, 19)?, number(20, 23)?)?;
    Some(Timestamp::from_millis(time.and_utc().timestamp_millis()))
}
