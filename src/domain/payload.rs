//! From a JSON body to a command: every fault is found, not only the first.

use super::command::{Change, CreateTask, ParentRef, PatchTask};
use super::json::{FaultKind, Json, JsonFault, Object, ParseLimits};
use super::metadata::{MAX_DEPTH, Metadata};
use super::status::Status;
use super::text::{Assignee, Description, TaskFamily, TaskType, Tenant};
use super::vtid::Vtid;

/// What is wrong with one place of a body.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fault {
    /// Keys and array indexes from the body inwards; empty for the body itself.
    pub path: Vec<String>,
    /// What the value there must be, as a phrase.
    pub message: String,
}

impl Fault {
    /// A fault of one field of the body.
    pub fn of_field(field: &str, message: impl std::fmt::Display) -> Self {
        Self { path: vec![field.to_owned()], message: message.to_string() }
    }
}

/// Reads the body of a create.
///
/// # Errors
/// Every fault of the body.
pub fn parse_create(body: &[u8]) -> Result<CreateTask, Vec<Fault>> {
    let (object, faults) = parse_object(body)?;
    create_from(object, faults)
}

/// Reads the body of a patch.
///
/// # Errors
/// Every fault of the body.
pub fn parse_patch(body: &[u8]) -> Result<PatchTask, Vec<Fault>> {
    let (object, mut faults) = parse_object(body)?;
    if !PATCH_FIELDS.iter().any(|field| object.get(field).is_some()) {
        let message = format!("must have at least one of {}", PATCH_FIELDS.join(", "));
        faults.push(Fault { path: Vec::new(), message });
    }
    patch_from(object, faults)
}

/// A body's levels: the body itself, and metadata within it.
const BODY_LIMITS: ParseLimits = ParseLimits { max_depth: 1 + MAX_DEPTH };

fn parse_object(body: &[u8]) -> Result<(Object, Vec<Fault>), Vec<Fault>> {
    let whole = |message: String| vec![Fault { path: Vec::new(), message }];
    let parsed = Json::parse(body, &BODY_LIMITS).map_err(|error| whole(error.to_string()))?;
    let Json::Object(object) = parsed.value else {
        return Err(whole("must be a JSON object".to_owned()));
    };
    let mut faults: Vec<Fault> = parsed.faults.into_iter().filter_map(from_json_fault).collect();
    if parsed.faults_left_out > 0 {
        faults.extend(whole(format!("has {} more faults of this kind", parsed.faults_left_out)));
    }
    Ok((object, faults))
}

/// Outside of metadata, U+0000 is one of the control characters that the field's own rule tells of, and a
/// nested value is of the wrong type.
fn from_json_fault(fault: JsonFault) -> Option<Fault> {
    let in_metadata = fault.path.first().is_some_and(|field| field == "metadata");
    let told_by_field = matches!(fault.kind, FaultKind::NulCharacter | FaultKind::TooDeep);
    (in_metadata || !told_by_field).then(|| Fault { path: fault.path, message: fault.kind.to_string() })
}

/// What a create's body may have.
pub(crate) const CREATE_FIELDS: [&str; 8] =
    ["taskFamily", "taskType", "description", "tenant", "status", "assignedTo", "metadata", "parentVtid"];
/// What a patch's body may have.
pub(crate) const PATCH_FIELDS: [&str; 3] = ["status", "assignedTo", "metadata"];

/// The command of a create's object, for a body and for a record's `data` alike.
///
/// # Errors
/// `faults` and every further one.
pub fn create_from(object: Object, faults: Vec<Fault>) -> Result<CreateTask, Vec<Fault>> {
    let mut fields = Fields { object, faults };
    let family = fields.required("taskFamily", TaskFamily::parse);
    let kind = fields.required("taskType", TaskType::parse);
    let description = fields.required("description", Description::parse);
    let tenant = fields.required("tenant", one(Tenant::parse));
    let status = fields.optional("status", one(Status::parse));
    let assigned_to = fields.optional("assignedTo", Assignee::parse);
    let parent = fields.optional("parentVtid", one(Vtid::parse)).map(ParentRef::from);
    let metadata = fields.metadata();
    fields.refuse_unknown(&CREATE_FIELDS);
    let faults = fields.faults;
    match (family, kind, description, tenant, metadata) {
        (Some(family), Some(kind), Some(description), Some(tenant), metadata) if faults.is_empty() => {
            let metadata = match metadata {
                Change::Set(metadata) => Some(metadata),
                Change::Keep | Change::Clear => None,
            };
            Ok(CreateTask { family, kind, description, tenant, status, assigned_to, metadata, parent })
        }
        _ => Err(faults),
    }
}

/// The command of a patch's object, for a body and for a record's `data` alike.
///
/// # Errors
/// `faults` and every further one.
pub fn patch_from(object: Object, faults: Vec<Fault>) -> Result<PatchTask, Vec<Fault>> {
    let mut fields = Fields { object, faults };
    let status = match fields.object.get("status") {
        Some(Json::Null) => {
            fields.faults.push(Fault::of_field("status", "must not be null"));
            None
        }
        _ => fields.optional("status", one(Status::parse)),
    };
    let assigned_to = match fields.object.get("assignedTo") {
        Some(Json::Null) => Change::Clear,
        _ => fields.optional("assignedTo", Assignee::parse).map_or(Change::Keep, Change::Set),
    };
    let metadata = fields.metadata();
    fields.refuse_unknown(&PATCH_FIELDS);
    if fields.faults.is_empty() {
        Ok(PatchTask { status, assigned_to, metadata })
    } else {
        Err(fields.faults)
    }
}

/// A parser with one possible fault, in the form of those with several.
fn one<T, E: ToString>(parse: impl Fn(&str) -> Result<T, E>) -> impl Fn(&str) -> Result<T, Vec<E>> {
    move |text| parse(text).map_err(|fault| vec![fault])
}

/// Takes the fields out of an object one by one and notes what is wrong with each.
struct Fields {
    object: Object,
    faults: Vec<Fault>,
}

impl Fields {
    fn required<T, E: ToString>(
        &mut self,
        field: &str,
        parse: impl Fn(&str) -> Result<T, Vec<E>>,
    ) -> Option<T> {
        if matches!(self.object.get(field), None | Some(Json::Null)) {
            self.faults.push(Fault::of_field(field, "is required"));
            return None;
        }
        self.optional(field, parse)
    }

    fn optional<T, E: ToString>(
        &mut self,
        field: &str,
        parse: impl Fn(&str) -> Result<T, Vec<E>>,
    ) -> Option<T> {
        match self.object.take(field) {
            None | Some(Json::Null) => None,
            Some(Json::String(text)) => match parse(&text) {
                Ok(value) => Some(value),
                Err(found) => {
                    self.faults.extend(found.iter().map(|fault| Fault::of_field(field, fault.to_string())));
                    None
                }
            },
            Some(_) => {
                self.faults.push(Fault::of_field(field, "must be a string"));
                None
            }
        }
    }

    fn metadata(&mut self) -> Change<Metadata> {
        match self.object.take("metadata") {
            None => Change::Keep,
            // What is too deep was replaced by null, and told.
            Some(Json::Null) => Change::Clear,
            Some(Json::Object(object)) => match Metadata::new(object) {
                Ok(metadata) => Change::Set(metadata),
                Err(fault) => {
                    self.faults.push(Fault::of_field("metadata", fault));
                    Change::Keep
                }
            },
            Some(_) => {
                self.faults.push(Fault::of_field("metadata", "must be an object"));
                Change::Keep
            }
        }
    }

    fn refuse_unknown(&mut self, known: &[&str]) {
        let unknown = self.object.iter().map(|(key, _)| key).filter(|key| !known.contains(key));
        self.faults.extend(unknown.map(|key| Fault::of_field(key, "is not a known field")));
    }
}
