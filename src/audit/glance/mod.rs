//! A look at a record that takes from it what the rules of the log need, without building its values: the ledger prints
//! a record's attributes in one order, compactly, so that most of it can be compared rather than parsed. Some ten times
//! as fast as the parser.
//!
//! It gives none for every line that it does not know for sure to be a record which [`Recorded::parse_with_source`]
//! accepts; that one decides then. A property test holds the two together.
//!
//! [`Recorded::parse_with_source`]: crate::domain::record::Recorded::parse_with_source

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::domain::command::ParentRef;
use crate::domain::event::EventType;
use crate::domain::lawful::{Asked, Fact, Text};
use crate::domain::origin::{IdempotencyKey, RequestId, Role, TraceParent};
use crate::domain::position::{Position, Version};
use crate::domain::record::LedgerId;
use crate::domain::record::attributes::Attributes;
use crate::domain::record::metadata;
use crate::domain::record::reader::{Reader, Span};
use crate::domain::status::Status;
use crate::domain::text::{ActorId, Assignee, Description, TaskFamily, TaskType, Tenant};
use crate::domain::time::Timestamp;
use crate::domain::vtid::Vtid;

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
    let found = Attributes::read(reader)?;
    let source = scratch.source(found.source)?;
    let allowed = Tenant::allows(found.tenant.text)
        && ActorId::allows(found.actor.text)
        && found.actor_tenant.is_none_or(|tenant| Tenant::allows(tenant.text))
        && RequestId::allows(found.request.text)
        && found.traceparent.is_none_or(TraceParent::allows)
        && found.idempotency.is_none_or(|(key, _)| IdempotencyKey::allows(key));
    if !allowed {
        return None;
    }
    let asked = match found.kind {
        EventType::Created => create(reader, scratch)?,
        EventType::Updated => patch(reader, false, scratch)?,
        EventType::Completed => patch(reader, true, scratch)?,
    };
    Some(Glance {
        position: found.position,
        id: found.id,
        source,
        vtid: found.vtid,
        version: found.version,
        time: found.time,
        tenant: found.tenant.span,
        actor: found.actor.span,
        role: found.role,
        actor_tenant: found.actor_tenant.map(|tenant| tenant.span),
        request: found.request.span,
        key: found.idempotency.map(|(key, _)| key_mark(found.actor.text, key)),
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
