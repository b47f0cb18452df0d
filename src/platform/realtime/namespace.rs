//! What a namespace takes and tells, said once: the door lets nothing else in, and the document is made of it.

use chrono::{DateTime, Utc};
use poem_openapi::Object;
use poem_openapi::registry::{MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use serde_json::Value;

use crate::platform::auth::Permission;

/// A namespace and its events.
pub struct Namespace {
    pub(super) path: &'static str,
    pub(super) permission: Permission,
    pub(super) about: &'static str,
    pub(super) takes: Vec<Taken>,
    pub(super) tells: Vec<Told>,
}

/// An event of the client, and its answer besides `ok`.
pub(super) struct Taken {
    pub name: &'static str,
    pub about: &'static str,
    pub payload: Payload,
    pub answer: Payload,
    /// While the platform is maintained as well.
    pub goes_on: bool,
}

/// An event of the server.
pub(super) struct Told {
    pub name: &'static str,
    pub about: &'static str,
    pub payload: Payload,
    /// The client may acknowledge it.
    pub is_acknowledged: bool,
}

/// A type of Rust that reads or writes JSON, and says how.
#[derive(Clone, Copy)]
pub(super) struct Payload {
    register: fn(&mut Registry),
    schema: fn() -> MetaSchemaRef,
}

impl Payload {
    pub fn of<T: Type>() -> Self {
        Self { register: T::register, schema: T::schema_ref }
    }

    /// Its schema; what it refers to is put into the registry.
    pub fn schema(self, registry: &mut Registry) -> Value {
        (self.register)(registry);
        serde_json::to_value((self.schema)()).unwrap_or_default()
    }
}

/// An answer that says nothing but `ok`.
#[derive(Object)]
pub struct Nothing {}

/// `auth:refresh`.
#[derive(Object)]
#[oai(deny_unknown_fields)]
pub(super) struct Renewal {
    /// A newer access token of the same person.
    pub token: String,
}

#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(super) struct Renewed {
    /// Until when the new token counts.
    pub expires_at: DateTime<Utc>,
}

impl Namespace {
    /// With `auth:refresh`, which each namespace takes.
    pub fn new(path: &'static str, permission: Permission, about: &'static str) -> Self {
        let it = Self { path, permission, about, takes: Vec::new(), tells: Vec::new() };
        it.takes::<Renewal, Renewed>(
            "auth:refresh",
            "Goes on with a newer access token of the same person in the same role.",
        )
    }

    /// An event of the client with its payload, and what its positive answer holds besides `ok`.
    #[must_use]
    pub fn takes<P: Type, A: Type>(mut self, name: &'static str, about: &'static str) -> Self {
        self.takes.push(Taken { name, about, payload: Payload::of::<P>(), answer: Payload::of::<A>(), goes_on: false });
        self
    }

    /// The same of one that changes nothing, or by which what goes on is brought to its end: maintenance does not refuse it.
    #[must_use]
    pub fn goes_on<P: Type, A: Type>(self, name: &'static str, about: &'static str) -> Self {
        let mut it = self.takes::<P, A>(name, about);
        if let Some(taken) = it.takes.last_mut() {
            taken.goes_on = true;
        }
        it
    }

    /// An event of the server with its payload.
    #[must_use]
    pub fn tells<P: Type>(mut self, name: &'static str, about: &'static str) -> Self {
        self.tells.push(Told { name, about, payload: Payload::of::<P>(), is_acknowledged: false });
        self
    }

    /// An event of the server that the client acknowledges once it has it.
    #[must_use]
    pub fn delivers<P: Type>(mut self, name: &'static str, about: &'static str) -> Self {
        self.tells.push(Told { name, about, payload: Payload::of::<P>(), is_acknowledged: true });
        self
    }

    /// The name of an event as the program knows it.
    pub(super) fn taken(&self, name: &str) -> Option<&'static str> {
        self.takes.iter().find(|it| it.name == name).map(|it| it.name)
    }

    pub(super) fn is_for_later(&self, taken: &str) -> bool {
        self.takes.iter().any(|it| it.name == taken && !it.goes_on)
    }

    pub(super) fn has_told(&self, told: &str) -> bool {
        self.tells.iter().any(|it| it.name == told)
    }
}
