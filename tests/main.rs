//! The integration tests: one binary, a module a subject. Real processes, at small limits.

mod launch;
mod scenario;
