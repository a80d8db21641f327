//! Workloads: the driver process (`lastfd drive`) and the handle that the run holds of it.

mod client;
pub mod dialogue;
pub mod driver;
mod grpc;
mod http_idle;
mod pacing;
mod probe;
pub mod protocol;
mod report;
pub mod source;
mod tcp;
mod websocket;

pub use dialogue::registry;
use crate::event::Event;
/// STUB
pub struct Fleet;
impl Fleet {
    pub fn spawn(_exe: &std::path::Path, _setup: &protocol::Setup, _clients: u32, _sink: std::sync::mpsc::Sender<Vec<Event>>) -> Result<Fleet, std::io::Error> { todo!() }
    pub fn order(&mut self, _o: &protocol::Order) -> Result<(), std::io::Error> { todo!() }
    pub fn workload(&self) -> &str { todo!() }
    pub fn answers(&self) -> bool { todo!() }
}
