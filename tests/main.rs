//! The integration tests: one binary, a module a subject. Real processes, at small limits.

mod binds;
mod calls;
mod clients;
mod counts;
mod docs;
mod doctor;
mod explain;
mod house;
mod incidents;
mod inspect;
mod judge;
mod launch;
mod launchers;
mod measure;
mod moved;
mod netns;
mod output;
mod public;
mod recovery;
mod run;
mod scenario;
mod subjects;
mod support;
mod sweep;
mod wall;
mod workers;
