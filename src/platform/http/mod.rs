//! The HTTP edge: bodies, pages, conditional and repeated requests, middleware, the OpenAPI document.

pub mod body;
pub mod compression;
pub mod error;
pub mod etag;
pub mod form;
pub mod idempotency;
pub mod limits;
pub mod middleware;
pub mod openapi;
pub mod page;
pub mod schema;
pub mod upload;
pub mod written;

pub use body::Body;
pub use etag::{Etag, Tagged};
pub use form::{Form, Formed};
pub use idempotency::IdempotencyKey;
pub use page::{Cursor, Page, PageQuery};
pub use written::Written;
