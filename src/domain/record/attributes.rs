//! A record's attributes as the ledger prints them: in one order, compactly, so that most of them can be compared rather
//! than parsed.

use chrono::NaiveDate;
use uuid::Uuid;

use super::reader::{Piece, Reader};
use crate::domain::event::EventType;
use crate::domain::origin::{RequestHash, Role};
use crate::domain::position::{Position, Version};
use crate::domain::time::Timestamp;
use crate::domain::vtid::Vtid;

/// What stands before a record's data. The texts are not yet looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attributes<'a> {
    pub(crate) id: Uuid,
    pub(crate) source: &'a str,
    pub(crate) kind: EventType,
    pub(crate) vtid: Vtid,
    pub(crate) time: Timestamp,
    pub(crate) position: Position,
    pub(crate) version: Version,
    pub(crate) tenant: Piece<'a>,
    pub(crate) actor: Piece<'a>,
    pub(crate) role: Role,
    pub(crate) actor_tenant: Option<Piece<'a>>,
    pub(crate) request: Piece<'a>,
    pub(crate) traceparent: Option<&'a str>,
    pub(crate) idempotency: Option<(&'a str, RequestHash)>,
}

impl<'a> Attributes<'a> {
    /// Takes them, and the brace that opens the data. None where the record is not one that this ledger printed.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Option<Self> {
        reader.literal(r#"{"specversion":"1.0","id":""#)?;
        let id = reader.read(uuid)?;
        reader.literal(r#","source":""#)?;
        let source = reader.plain()?.text;
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
        let tenant = reader.plain()?;
        reader.literal(r#","actor":""#)?;
        let actor = reader.plain()?;
        reader.literal(r#","actorrole":""#)?;
        let role = reader.read(Role::parse)?;
        let actor_tenant = if reader.skip(r#","actortenant":""#) { Some(reader.plain()?) } else { None };
        reader.literal(r#","correlationid":""#)?;
        let request = reader.plain()?;
        let traceparent = if reader.skip(r#","traceparent":""#) { Some(reader.plain()?.text) } else { None };
        let idempotency = if reader.skip(r#","idempotencykey":""#) {
            let key = reader.plain()?.text;
            reader.literal(r#","requesthash":""#)?;
            Some((key, reader.read(RequestHash::parse)?))
        } else {
            None
        };
        reader.literal(r#","data":{"#)?;
        Some(Self {
            id,
            source,
            kind,
            vtid,
            time,
            position,
            version,
            tenant,
            actor,
            role,
            actor_tenant,
            request,
            traceparent,
            idempotency,
        })
    }
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
