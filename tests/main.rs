//! The integration tests: one binary, a module a subject. Real processes, at small limits.

mod launch;
mod run;
mod scenario;
mod subjects;
mod support;
