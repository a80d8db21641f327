//! `caller`: one plain request after the other, each on a connection that is closed after it, to tell how the
//! answers change.

use super::Registered;
use super::http_per_call::HttpPerCall;
use crate::scenario::{AfterCall, Caller};
use std::sync::Arc;

/// This kind.
pub const REGISTERED: Registered = Registered {
    kind: Caller::Caller,
    name: "caller",
    doc: "one HTTP call after the other beside the other workloads: answered, silent, or unable to connect",
    protocols: &[],
    make: |site, calls| Arc::new(HttpPerCall::new(site, calls, AfterCall::Closed)),
};
