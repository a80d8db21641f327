//! The bundled servers as processes, at small limits. Their own counts are compared with /proc and with their
//! clients' results.

mod baseline;
mod collector;
mod identity;
mod policies;
mod relay;
mod ring;
mod services;
mod support;
mod threads;
mod tls;
mod workers;
