//! The bundled servers as processes, at small limits. What they say of themselves is compared with /proc and
//! with what their clients see.

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
