//! The integration tests: one binary, a module a subject.

mod scenario;
//! The integration tests: real processes at small limits.

mod launch;
