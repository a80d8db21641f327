//! The integration tests: one binary, a module a subject. Real processes, at small limits.

mod doctor;
mod inspect;
mod launch;
mod measure;
mod run;
mod scenario;
mod subjects;
mod support;
