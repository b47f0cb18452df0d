//! practitioners
