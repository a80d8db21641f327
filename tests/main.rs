//! The integration tests: real processes at small limits.

mod launch;
