//! Tests that read catalogues (tables, routes, sources, words), so that forgetting something new fails.

mod access_matrix;
mod catalogues;
mod golden;
pub mod http;
mod lint;
mod sockets;
mod sources;
mod words;
