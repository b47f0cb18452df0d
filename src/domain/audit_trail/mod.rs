//! audit_trail
